"""Work beside calls pauses, and does not stand in their way at a lock."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from time import monotonic, thread_time

import pytest

from budget_proxy.training import pace as pace_module
from budget_proxy.training.pace import GivenUp, Pace, paced


def on() -> bool:
    """It is not given up."""
    return False


def computed(seconds: float) -> None:
    """Compute for so long."""
    until = thread_time() + seconds
    while thread_time() < until:
        pass


def test_a_pause_follows_work_and_only_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times as long as what was done since the last one; nothing after next to nothing."""
    slept: list[float] = []
    monkeypatch.setattr(pace_module, "sleep", slept.append)
    pace = Pace(on)
    pace()
    assert slept == []
    for _ in range(2):
        computed(0.002)
        pace()
    pace()
    first, second = slept
    assert first >= 4 * 0.002
    assert second >= 4 * 0.002
    assert second < first + 4 * 0.002  # what came before the first pause is not paid for again


def test_turns_are_short_meanwhile_and_then_as_they_were() -> None:
    """Shorter ones of somebody else are left alone."""
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.005)
        with paced(on):
            assert sys.getswitchinterval() == pytest.approx(0.0005)
        assert sys.getswitchinterval() == pytest.approx(0.005)
        sys.setswitchinterval(0.0001)
        with paced(on):
            assert sys.getswitchinterval() == pytest.approx(0.0001)
    finally:
        sys.setswitchinterval(before)


def test_a_lock_is_taken_when_it_is_free() -> None:
    """While another thread holds it, it is not; it is given back."""
    lock, held, free = threading.Lock(), threading.Event(), threading.Event()
    order: list[str] = []

    def call() -> None:
        with lock:
            held.set()
            free.wait(5.0)
            order.append("call")

    thread = threading.Thread(target=call)
    thread.start()
    held.wait(5.0)
    threading.Timer(0.05, free.set).start()
    with Pace(on).between(lock):
        order.append("work")
    thread.join(5.0)
    assert order == ["call", "work"]
    assert lock.acquire(blocking=False)


def test_a_lock_that_is_never_seen_free_is_waited_for_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that work goes on where calls follow each other without a gap."""
    asked: list[bool] = []

    class Busy:
        """Free only for those who wait."""

        def acquire(self, blocking: bool = True) -> bool:  # noqa: FBT002
            """Note how it is asked for."""
            asked.append(blocking)
            return blocking

        def release(self) -> None:
            """Note it."""
            asked.append(False)

    monkeypatch.setattr(pace_module, "_SOON", 0.0)
    start = monotonic()
    with Pace(on).between(Busy()):
        assert asked[-1] is True
        assert len(asked) > 10
    assert monotonic() - start < 5.0


def test_who_hurries_works_in_stretches_and_stands_in_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calls wait for some milliseconds at a time, and come between."""
    slept: list[float] = []
    monkeypatch.setattr(pace_module, "sleep", slept.append)
    pace, lock, taken = Pace(on), threading.Lock(), 0

    def steps(count: int) -> Iterator[None]:
        nonlocal taken
        for _ in range(count):
            computed(0.001)
            taken += lock.locked()
            yield

    pace.take(steps(10), lock)
    assert taken == 0
    assert len(slept) == 10
    slept.clear()
    pace.hurry()
    pace.take(steps(10), lock)
    assert taken == 10
    assert 2 <= len(slept) <= 10
    assert not any(slept)
    lock.acquire()
    threading.Timer(0.05, lock.release).start()
    slept.clear()
    with pace.between(lock):
        assert slept == []


def test_a_rest_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a step took."""
    slept: list[float] = []
    monkeypatch.setattr(pace_module, "sleep", slept.append)
    pace = Pace(on)
    computed(0.02)
    pace()
    assert slept == [0.02]


def test_what_is_given_up_ends_at_the_next_step() -> None:
    """And turns are put back."""
    before, asked = sys.getswitchinterval(), iter([False, True])
    with pytest.raises(GivenUp), paced(lambda: next(asked)) as pace:  # noqa: PT012
        pace()
        pace()
    assert sys.getswitchinterval() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_forked_child_has_the_turns_of_before() -> None:
    """Who would put them back is a thread of its parent's."""
    before = sys.getswitchinterval()
    with paced(on):
        child = os.fork()
        if child == 0:
            os._exit(0 if sys.getswitchinterval() == before else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert sys.getswitchinterval() < before
