"""How fast work goes on that calls are to pass by: a third of a millisecond, then a pause.

Python runs one thread at a time, and takes turns only every five milliseconds. A call that lets
go of its turn (for a large array, say) may have to wait for it each time; beside work that mostly
pauses it waits for one step or two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep, thread_time
from typing import Final, Protocol

_STEP: Final = 0.0003
"""Seconds of work, or a little more: as much as its caller does at once."""

_REST: Final = 4.0
"""Times as long as what it took is what follows."""

_TRIES: Final = 200
_SOON: Final = 0.001
"""So often, and after so many seconds each, a lock is tried before it is waited for."""

_TURN: Final = 0.0005
"""Seconds after which a thread that waits for its turn gets it."""


class Pace:
    """Call it often, between small pieces of work and holding no lock: now and then it sleeps."""

    def __init__(self) -> None:
        self._since = thread_time()

    def __call__(self) -> None:
        """Sleep for a moment, if enough was done since the last one."""
        taken = thread_time() - self._since
        if taken >= _STEP:
            sleep(_REST * taken)
            self._since = thread_time()


class Lock(Protocol):
    """A lock as ``threading`` makes them."""

    def acquire(self, blocking: bool = True) -> bool:  # noqa: FBT001, FBT002 (threading's own)
        """Take it; false if it is not to be waited for, and taken."""

    def release(self) -> None:
        """Give it back."""


@contextmanager
def between(lock: Lock) -> Iterator[None]:
    """Hold a lock that calls take, without standing in line for it.

    A thread that is given a lock it waited for has to be woken up first, and to wait for its turn:
    all that time calls would wait for it. One that finds the lock free uses it at once.
    """
    for _ in range(_TRIES):
        if lock.acquire(blocking=False):
            break
        sleep(_SOON)
    else:
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def paced() -> Iterator[Pace]:
    """Work with pauses, and with short turns: what holds a lock gets its own soon.

    Whoever changed the turns puts them back, so that several engines in one process agree.
    """
    turn = sys.getswitchinterval()
    if turn > _TURN:
        sys.setswitchinterval(_TURN)
    try:
        yield Pace()
    finally:
        if turn > _TURN:
            sys.setswitchinterval(turn)
