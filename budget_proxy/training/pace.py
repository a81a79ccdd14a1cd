"""How fast work goes on that calls are to pass by: a third of a millisecond, then a pause.

Python runs one thread at a time, and takes turns only every five milliseconds. A call that lets
go of its turn (for a large array, say) may have to wait for it each time; beside work that mostly
pauses it waits for one step or two.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import get_clock_info, perf_counter, sleep, thread_time
from typing import Final, Protocol

_STEP: Final = 0.0003
"""Seconds of work, or a little more: as much as its caller does at once."""

_REST: Final = 4.0
"""Times as long as what it took is what follows."""

_LONGEST: Final = 0.02
"""Seconds that are rested at most."""

_TRIES: Final = 200
"""So often a lock is tried before it is waited for."""

_SOON: Final = 0.001

_STRETCH: Final = 0.003
"""Seconds of work, in a hurry, for which calls wait."""

_TURN: Final = 0.0005
"""Seconds after which a thread that waits for its turn gets it."""

_clock: Final = (
    thread_time if get_clock_info("thread_time").resolution < _STEP else perf_counter
)  # Windows tells a thread's time in steps of 16 ms
_turns: list[float] = []
"""What they were, while they are short."""


class GivenUp(Exception):
    """Nobody wants what is being made any more."""


class Lock(Protocol):
    """A lock as ``threading`` makes them."""

    def acquire(self, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002 (threading's own)
        """Take it; false if it is not to be waited for, and taken."""

    def release(self) -> None:
        """Give it back."""


class Pace:
    """Call it often, between small pieces of work and holding no lock: now and then it sleeps.

    It raises GivenUp once ``given_up`` says so.
    """

    def __init__(self, given_up: Callable[[], bool]) -> None:
        self._given_up = given_up
        self._hurried = False
        self._since = _clock()

    def __call__(self) -> None:
        """Sleep for a moment, if enough was done since the last one."""
        if self._given_up():
            raise GivenUp
        taken = _clock() - self._since
        if taken >= _STEP and not self._hurried:
            sleep(min(_REST * taken, _LONGEST))
            self._since = _clock()

    def hurry(self) -> None:
        """Have calls wait from now on, if not for long: else the work would not come to an end.

        Threads that plan without a gap leave it a turn of many, and ask for each back at once.
        """
        self._hurried = True

    def take(self, steps: Iterator[None], lock: Lock) -> None:
        """Take steps with pauses; in a hurry some at a time, holding the lock that calls take."""
        if not self._hurried:
            for _ in steps:
                self()
            return
        ended = False
        while not ended:
            with self.between(lock):
                ended = _stretch(steps)
            sleep(0.0)
            self()

    @contextmanager
    def between(self, lock: Lock) -> Iterator[None]:
        """Hold a lock that calls take, without standing in line for it, as long as there is time.

        A thread that is given a lock it waited for has to be woken up first, and to wait for its
        turn: all that time calls would wait for it. One that finds the lock free uses it at once.
        """
        for _ in range(0 if self._hurried else _TRIES):
            if lock.acquire(blocking=False):
                break
            sleep(_SOON)
        else:
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def _stretch(steps: Iterator[None]) -> bool:
    """Take steps for a while; whether they came to an end."""
    until = perf_counter() + _STRETCH
    return all(perf_counter() < until for _ in steps)


@contextmanager
def paced(given_up: Callable[[], bool]) -> Iterator[Pace]:
    """Work with pauses, and with short turns: what holds a lock gets its own soon.

    Whoever changed the turns puts them back, so that several engines in one process agree.
    """
    turn = sys.getswitchinterval()
    if turn > _TURN:
        _turns.append(turn)
        sys.setswitchinterval(_TURN)
    try:
        yield Pace(given_up)
    finally:
        if turn > _TURN:
            _put_back()


def _put_back() -> None:
    while _turns:
        sys.setswitchinterval(_turns.pop())


if hasattr(os, "register_at_fork"):  # who would do it in a child is a thread of its parent's
    os.register_at_fork(after_in_child=_put_back)
