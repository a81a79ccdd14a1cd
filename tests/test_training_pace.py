"""Work beside calls pauses, and does not stand in their way at a lock."""

from __future__ import annotations

import sys
import threading
from time import monotonic, thread_time

import pytest

from budget_proxy.training import pace as pace_module
from budget_proxy.training.pace import Pace, between, paced


def computed(seconds: float) -> None:
    """Compute for so long."""
    until = thread_time() + seconds
    while thread_time() < until:
        pass


def test_a_pause_follows_work_and_only_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times as long as what was done since the last one; nothing after next to nothing."""
    slept: list[float] = []
    monkeypatch.setattr(pace_module, "sleep", slept.append)
    pace = Pace()
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
        with paced():
            assert sys.getswitchinterval() == pytest.approx(0.0005)
        assert sys.getswitchinterval() == pytest.approx(0.005)
        sys.setswitchinterval(0.0001)
        with paced():
            assert sys.getswitchinterval() == pytest.approx(0.0001)
    finally:
        sys.setswitchinterval(before)


def test_a_lock_is_taken_when_it_is_free() -> None:
    """While another thread holds it, it is not; it is given back."""
    lock, held, free = threading.RLock(), threading.Event(), threading.Event()
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
    with between(lock):
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
    with between(Busy()):
        assert asked[-1] is True
        assert len(asked) > 10
    assert monotonic() - start < 5.0
