from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.runs.trajectories import COST, KEPT, OUTPUT, TOKENS, Trajectories


def _filled(table: Trajectories, turns: int, tokens: int = 10) -> int:
    """A run of so many calls of 10, 20, 30 ... tokens."""
    number = table.begin()
    for turn in range(turns):
        table.add(table.row_of(number), tokens * (turn + 1), 1, 0.5, float(turn))
    return number


@pytest.mark.parametrize("step", [0, 1, 7, 31, 32])
def test_early_steps_are_kept_exactly(step: int) -> None:
    """What a run had used after each of its first 32 calls."""
    table = Trajectories(8)
    rows = np.array([table.row_of(_filled(table, 40))])
    used = [table.by(rows, step, measure)[0] for measure in (TOKENS, OUTPUT, COST)]
    assert used[TOKENS] == 10 * step * (step + 1) / 2
    assert used[OUTPUT] == step
    assert used[COST] == 0.5 * step


@pytest.mark.parametrize("turns", [40, 200, 30_000])
def test_later_steps_are_interpolated(turns: int) -> None:
    """Within 2 % of the truth between kept steps, beyond the last of them, and near the end."""
    table = Trajectories(8)
    rows = np.array([table.row_of(_filled(table, turns))])
    for step in (34, 39, 150, 199, 5_000, 25_000, turns - 1):
        if step < turns:
            used = [table.by(rows, step, measure)[0] for measure in (TOKENS, OUTPUT)]
            assert used[TOKENS] == pytest.approx(10 * step * (step + 1) / 2, rel=0.02)
            assert used[OUTPUT] == pytest.approx(step)


def test_rows_are_given_again_to_newer_runs() -> None:
    """With room for three runs the fourth takes the first one's row, which begins empty."""
    table = Trajectories(3)
    first, *_, last = [_filled(table, turns) for turns in (50, 2, 3, 4)]
    assert table.row_of(first) == -1
    row = table.row_of(last)
    assert table.steps[row] == 4
    assert table.used[row, TOKENS] == 100
    assert table.by(np.array([row]), 2, TOKENS)[0] == 30


def test_a_table_that_grows_keeps_what_is_in_it() -> None:
    """A thousand runs in a table that begins small: all as they were."""
    table = Trajectories(2_000)
    numbers = [_filled(table, 1 + number % 40) for number in range(1_000)]
    for number in numbers:
        row = table.row_of(number)
        assert table.steps[row] == 1 + number % 40
        assert table.by(np.array([row]), 1, TOKENS)[0] == 10


def test_a_price_that_is_missing_makes_the_cost_unknown() -> None:
    """From that call on; before it, the cost is known."""
    table = Trajectories(2)
    row = table.row_of(table.begin())
    for cost in (0.5, None, 0.5):
        table.add(row, 1, 1, cost, 0.0)
    assert table.by(np.array([row]), 1, COST)[0] == 0.5
    assert np.isnan(table.used[row, COST])


def test_a_run_that_had_ended_goes_on() -> None:
    """Its next call takes back that it is over."""
    table = Trajectories(2)
    row = table.row_of(_filled(table, 2))
    table.ended[row] = True
    table.add(row, 1, 1, None, 9.0)
    assert not table.ended[row]
    assert table.last[row] == 9.0


def test_kept_steps_ascend() -> None:
    """Each once, so that a step is kept at one place."""
    assert list(KEPT) == sorted(set(KEPT))
