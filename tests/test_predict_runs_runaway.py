from __future__ import annotations

from math import inf

import numpy as np
import pytest

from budget_proxy.predict.runs import runaway
from budget_proxy.predict.runs.runaway import usual


@pytest.mark.parametrize(
    ("freedom", "printed"), [(7.0, 3.4995), (12.0, 3.0545), (50.0, 2.6778), (1000.0, 2.5808)]
)
def test_the_expansion_is_students_quantile(freedom: float, printed: float) -> None:
    """Within 0.2 % of the tables' value at 99.5 %, from 7 degrees of freedom on."""
    assert runaway._student(freedom) == pytest.approx(printed, rel=0.002)


def test_few_runs_set_no_limit() -> None:
    """Below eight nothing is known of what is usual, but the mean of turns."""
    found = usual(np.full(5, 10.0), np.full(5, 1e5), np.ones(5), 5.0)
    assert (found.most_turns, found.most_tokens, found.turns) == (inf, inf, 10.0)


@pytest.mark.parametrize("runs", [10, 30, 200])
def test_usual_runs_stay_below_the_limit(runs: int) -> None:
    """Of log-normal totals 1 % at most pass the limit of one measure, at any number of runs."""
    draw = np.random.default_rng(runs)
    passed = []
    for _ in range(2_000):
        totals = np.exp(draw.normal(11.0, 0.7, runs + 1))
        limits = usual(totals[1:], totals[1:], np.ones(runs), float(runs))
        passed.append(totals[0] > limits.most_tokens)
    assert np.mean(passed) <= 0.01


def test_a_tail_that_was_seen_is_respected() -> None:
    """Where 5 in 100 runs are twenty times as long, such a run is none to raise an alarm."""
    turns = np.concatenate((np.full(95, 10.0), np.full(5, 200.0)))
    assert usual(turns, turns, np.ones(100), 100.0).most_turns >= 199.0
