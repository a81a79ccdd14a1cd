"""Refits in turn, each of which goes on from the pass of the one before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from budget_proxy.predict.columns import Columns
from budget_proxy.predict.fitting import Refits, Snapshot, refit
from budget_proxy.predict.fold import Fold
from budget_proxy.predict.learned import SHAPES
from budget_proxy.predict.passing import Passing
from budget_proxy.training.arrays import packed
from tests.cases import case, outcome

WIDTH = 200


def _windows(counts: tuple[int, ...], *, cut_from: int = 10**9) -> Iterator[Snapshot]:
    """Of one history, what a fit rests on after so many outcomes each."""
    columns = Columns(2 * WIDTH)
    for number in range(counts[-1]):
        asked = case(
            model=f"m{number % 2}", agent=f"a{number % 3}", session=f"s{number // 4}",
            prompt=1 + number % 13, words=(number % 7, 9 + number % 11), input_tokens=100 + number,
        )  # fmt: skip
        cut = number >= cut_from and number % 5 == 0
        tokens = 60 + 37 * (number * 7919 % 101)
        columns.add(asked, outcome(tokens, censored=cut, reasoning=tokens // 3))
        if number + 1 in counts:
            yield Snapshot(columns.newest(WIDTH), columns.total, WIDTH)


def _state(fitted: object) -> bytes:
    """All of it, to the last bit."""
    return packed(fitted, SHAPES, small=False)


@pytest.mark.parametrize(
    ("counts", "cut_from"),
    [((40, 41, 77, 140), 10**9), ((90, 200, 201, 230), 10**9), ((60, 100, 130), 70)],
    ids=["windows that grow", "windows that move on", "answers that are cut from the 70th on"],
)
def test_refits_in_turn_find_what_each_finds_alone(counts: tuple[int, ...], cut_from: int) -> None:
    """To the last bit, whatever the fits before have learned since."""
    series = Refits()
    for snapshot in _windows(counts, cut_from=cut_from):
        in_turn, alone = series.refit(snapshot), refit(snapshot)
        assert _state(in_turn) == _state(alone)
        for _ in in_turn.learn(snapshot.outcomes):
            pass
        assert in_turn.fold.count > alone.fold.count


def test_a_window_that_grew_is_passed_through_from_where_the_last_pass_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of 60 outcomes after 40, twenty are looked at; of a window that lost one, all are."""
    looked: list[int] = []
    look = Fold.look

    def counted(fold: Fold, one: object) -> object:
        looked[-1] += 1
        return look(fold, one)  # type: ignore[arg-type]

    monkeypatch.setattr(Fold, "look", counted)
    series = Refits()
    for snapshot in _windows((40, 60, 200, 201)):
        looked.append(0)
        series.refit(snapshot)
    assert looked == [40, 20, 140, 200]


def test_a_pass_in_pieces_sees_what_one_at_once_sees() -> None:
    """Wherever it is broken off, and though what was known there has been taken."""
    (snapshot,) = _windows((150,))
    rows = list(snapshot.outcomes.rows())
    whole = Passing(WIDTH, cuts=False)
    whole.go_on(rows)
    _, seen = whole.ended()
    pieces = Passing(WIDTH, cuts=False)
    for start, stop in ((0, 1), (1, 47), (47, 64), (64, 80), (80, 133), (133, 150)):
        pieces.go_on(rows[start:stop])
        assert len(pieces) == stop
        fold, _ = pieces.ended()
        for at in range(3):
            fold.learn(*rows[at])
    _, again = pieces.ended()
    assert (again.numbers == seen.numbers).all()
    assert (again.centres == seen.centres).all()
    assert (again.lengths == seen.lengths).all()
    assert (again.by_group == seen.by_group).all()
