from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import pytest

from budget_proxy.store.turns import Turns
from tests.test_holding import until


def line_up(turns: Turns, name: str, came: list[str], *, urgent: bool = False) -> threading.Thread:
    """Stand in line at the next place, and note when the turn came."""

    def wait() -> None:
        assert turns.enter(5.0, urgent=urgent)
        came.append(name)
        turns.leave()

    line = turns._urgent if urgent else turns._others
    waiting = len(line)
    thread = threading.Thread(target=wait)
    thread.start()
    assert until(lambda: len(line) == waiting + 1)
    return thread


def test_turns_come_in_order_and_every_other_one_to_the_urgent() -> None:
    """Nobody is passed by one of his own line, and neither line waits for all of the other."""
    turns, came = Turns(), list[str]()
    assert turns.enter(0.0)
    threads = [line_up(turns, name, came) for name in "abcd"]
    threads += [line_up(turns, name, came, urgent=True) for name in ("first", "second", "third")]
    turns.leave()
    for thread in threads:
        thread.join()
    assert came == ["first", "a", "second", "b", "third", "c", "d"]
    assert turns.enter(0.0)


def test_who_waited_too_long_leaves_the_line() -> None:
    """The turn goes to the next one, not to him."""
    turns, came = Turns(), list[str]()
    assert turns.enter(0.0)
    assert not turns.enter(0.01)
    thread = line_up(turns, "a", came)
    assert not turns.enter(0.01, urgent=True)
    turns.leave()
    thread.join()
    assert came == ["a"]


class Raising:
    """A place whose wait a signal's handler ends; ``meanwhile`` is done just before."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile
        self._first = True

    def acquire(self, *, timeout: float = -1) -> bool:
        """Taken at first; then raises."""
        if self._first:
            self._first = False
            return True
        assert timeout > 0
        self._meanwhile()
        raise KeyboardInterrupt

    def release(self) -> None:
        """The turn is handed over."""


@pytest.mark.parametrize("called", [False, True])
def test_a_signal_while_waiting_keeps_nobody_else_waiting(
    called: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the turn came at that very moment."""
    turns = Turns()
    assert turns.enter(0.0)
    with monkeypatch.context() as patch:
        place = Raising(turns.leave if called else lambda: None)
        patch.setattr("budget_proxy.store.turns.threading.Lock", lambda: place)
        with pytest.raises(KeyboardInterrupt):
            turns.enter(1.0)
    assert not turns._urgent
    assert not turns._others
    if not called:
        turns.leave()
    assert turns.enter(0.0)


def test_many_at_once_never_meet_and_all_go_on() -> None:
    """Some urgent, some of whom give up: two are never in at once, and the line ends empty."""
    turns, inside, met, turns_had = Turns(), list[int](), list[int](), list[int]()

    def come(number: int) -> None:
        draw = random.Random(number)  # noqa: S311 (any order will do)
        for _ in range(100):
            if turns.enter(draw.choice([0.0, 0.0005, 5.0]), urgent=draw.random() < 0.2):
                inside.append(number)
                time.sleep(0)
                met.append(len(inside))
                inside.remove(number)
                turns_had.append(number)
                turns.leave()

    threads = [threading.Thread(target=come, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert set(met) == {1}
    assert set(turns_had) == set(range(12))
    assert not turns._urgent
    assert not turns._others
    assert turns.enter(0.0)
