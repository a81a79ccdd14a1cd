"""What a model is told of its run's budget, and when."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.policy.noting import STEPS, Share, next_note, text_of
from budget_proxy.run_types import Note


def told(used: int, *before: Note, size: int = 1_000, run: str = "t", at: int = 0) -> Note | None:
    """What is told when so much of a budget is used."""
    return next_note([Share(run, "tokens", size, used)], before, at)


@pytest.mark.parametrize(
    ("used", "step"),
    [(0, None), (499, None), (500, 50), (749, 50), (880, 75), (999, 90), (1_500, 100)],
)
def test_the_highest_step_that_is_reached_is_told(used: int, step: int | None) -> None:
    """A call that passes two steps is told of the second alone."""
    note = told(used)
    assert (None if note is None else note.step) == step


def test_each_step_is_told_once() -> None:
    """Until the next one is reached nothing more is said."""
    half = told(510)
    assert half is not None
    assert told(700, half) is None
    most = told(760, half)
    assert most is not None
    assert told(760, half, most) is None


def test_an_extension_is_told_once_to_who_was_told_before() -> None:
    """Its text says so; a session that was told nothing begins with the steps of the new size."""
    half = told(510)
    assert half is not None
    more = told(520, half, size=2_000)
    assert more is not None
    assert "was extended to about 2,000 tokens" in more.text
    assert told(530, half, more, size=2_000) is None
    again = told(1_100, half, more, size=2_000)
    assert again is not None
    assert "50 %" in again.text
    assert told(520, size=2_000) is None


def test_of_several_budgets_the_one_that_is_used_farthest_is_told() -> None:
    """The whole's, or money, where that is scarcer; the other has its turn later."""
    shares = [Share("t", "usd", 10**9, 95 * 10**7), Share("t/fix", "tokens", 1_000, 600)]
    first = next_note(shares, [], 0)
    assert first is not None
    assert (first.run, first.unit, first.step) == ("t", "usd", 90)
    assert "$1.00" in first.text
    second = next_note(shares, [first], 1)
    assert second is not None
    assert (second.run, second.step) == ("t/fix", 50)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (text_of("tokens", 123_456, 50), "50 % of the budget of this run (about 120,000 tokens"),
        (text_of("tokens", 123_456, 90), "up to 12,000 tokens are left. Finish with what you have"),
        (text_of("tokens", 123_456, 100), "is used up. Finish now"),
        (text_of("usd", 50_000_000, 75), "up to $0.013 are left"),
    ],
)
def test_the_words(text: str, says: str) -> None:
    """Two digits that count, and what to do; 60 tokens at most."""
    assert says in text
    assert len(text) < 240
    assert text.startswith("<budget>")
    assert text.endswith("</budget>")


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 3_000), st.integers(0, 60))
def test_a_run_is_told_each_step_once_at_most_whatever_its_calls_use(
    uses: list[int], size: int, extended: int
) -> None:
    """Steps ascend while the budget stays; there are never more notes than steps and extensions."""
    notes: list[Note] = []
    used = 0
    for number, use in enumerate(uses):
        budget = size if number < extended else 2 * size
        note = told(used, *notes, size=budget, at=number)
        if note is not None:
            notes.append(note)
        used += use
    for one, other in pairwise(notes):
        assert (one.size, one.step) < (other.size, other.step)
    assert len(notes) <= 2 * len(STEPS) + 1
