from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.runs.survival import jumps, log_quantiles


def test_jumps_are_those_of_kaplan_and_meier() -> None:
    """With weights and censoring, as lifelines has them."""
    from lifelines import KaplanMeierFitter  # seconds to import, needed here alone

    draw = np.random.default_rng(3)
    turns = draw.permutation(np.arange(1.0, 61.0))
    ended = (draw.random(60) < 0.6).astype(float)
    ended[turns.argmax()] = 1.0
    weights = draw.integers(1, 5, 60).astype(float)
    found = jumps(turns, ended, weights)
    fitter = KaplanMeierFitter().fit(turns, ended, weights=weights)
    for turn in (5.0, 20.0, 42.0, 59.0):
        survived = float(fitter.survival_function_at_times(turn).iloc[0])
        assert found[turns > turn].sum() == pytest.approx(survived)
    assert found.sum() == pytest.approx(1.0)


def test_without_censoring_the_weights_stay() -> None:
    """Runs that are all over count as they were weighted."""
    weights = np.array([1.0, 2.0, 1.0])
    found = jumps(np.array([7.0, 3.0, 9.0]), np.ones(3), weights)
    assert found == pytest.approx(weights / 4.0)


def test_an_open_run_hands_its_weight_to_those_beyond_it() -> None:
    """One open at 5 calls: its third goes to the run of 9 calls, none to that of 3."""
    found = jumps(np.array([3.0, 5.0, 9.0]), np.array([1.0, 0.0, 1.0]), np.ones(3))
    assert found == pytest.approx([1 / 3, 0.0, 2 / 3])


def test_a_run_that_is_perhaps_over_is_divided() -> None:
    """With probability 1/2 over: half of its weight stays."""
    found = jumps(np.array([5.0, 9.0]), np.array([0.5, 1.0]), np.ones(2))
    assert found == pytest.approx([0.25, 0.75])


def test_quantiles_follow_the_weights() -> None:
    """The median lies where half of the weight is reached."""
    values = np.array([1000.0, 10.0, 100.0])
    even = np.exp(log_quantiles(values, np.ones(3), (0.5,)))
    assert even == pytest.approx([100.0])
    heavy = np.exp(log_quantiles(values, np.array([8.0, 1.0, 1.0]), (0.25, 0.9)))
    assert heavy[0] > 100.0
    assert heavy[1] == pytest.approx(1000.0)
