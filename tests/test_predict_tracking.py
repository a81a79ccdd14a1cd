from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.tracking import Tracking

LEVELS = np.array((0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99))
NORMAL = np.array((-1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449, 2.3263))


def _tracked(tracking: Tracking, lengths: np.ndarray, spread: float, cap: float) -> np.ndarray:
    """Coverage while forecasts of ``spread`` are tracked, one by one."""
    forecasts = np.array([spread * NORMAL])
    below = np.zeros(len(LEVELS))
    for length in lengths:
        shifted = tracking.apply(forecasts)
        seen = min(length, cap)
        below += length <= shifted[0]
        tracking.learn(np.array([seen]), shifted, np.array([cap]))
    return below / len(lengths)


@pytest.mark.parametrize("spread", [0.5, 2.0])
def test_forecasts_too_narrow_or_too_wide_come_to_hold(spread: float) -> None:
    """Half as wide or twice as wide as the truth: after 4,000 calls each level holds its share."""
    draw = np.random.default_rng(1)
    tracking = Tracking(LEVELS)
    _tracked(tracking, draw.normal(0, 1, 4000), spread, np.inf)
    found = _tracked(tracking, draw.normal(0, 1, 4000), spread, np.inf)
    assert found == pytest.approx(LEVELS, abs=0.02)


def test_a_level_above_a_cap_stays_where_as_many_are_cut_as_was_forecast() -> None:
    """With every answer cut at 1 standard deviation, and true forecasts, q95 does not wander."""
    tracking = Tracking(LEVELS)
    _tracked(tracking, np.random.default_rng(2).normal(0, 1, 4000), 1.0, 1.0)
    assert tracking.offsets == pytest.approx(np.zeros(len(LEVELS)), abs=0.25)


def test_a_level_above_a_cap_rises_where_more_are_cut_than_was_forecast() -> None:
    """Answers that are all longer by half a deviation: q95 follows, though it never sees one."""
    tracking = Tracking(LEVELS)
    _tracked(tracking, np.random.default_rng(2).normal(0.5, 1, 4000), 1.0, 1.0)
    shifted = tracking.apply(NORMAL[None])[0]
    assert shifted[2] == pytest.approx(0.5, abs=0.15)
    assert shifted[5] == pytest.approx(0.5 + NORMAL[5], abs=0.3)


def test_a_group_whose_lengths_differ_comes_to_hold_by_itself() -> None:
    """One of three groups runs longer by half a deviation: its levels follow, the others' hold."""
    draw, tracking = np.random.default_rng(3), Tracking(LEVELS)
    forecasts, below = np.array([NORMAL]), np.zeros((3, len(LEVELS)))
    for number in range(6000):
        group = number % 3
        length = draw.normal(0.5 if group == 2 else 0.0, 1.0)
        shifted = tracking.apply(forecasts, [(1, 10 + group)])
        if number >= 3000:
            below[group] += length <= shifted[0]
        tracking.learn(np.array([length]), shifted, np.array([np.inf]), [(1, 10 + group)])
    for found in below / 1000:
        assert found == pytest.approx(LEVELS, abs=0.05)


def test_a_group_of_few_outcomes_stays_with_its_parent() -> None:
    """Ten outcomes above all levels hardly move a group; one never seen is as all calls are."""
    tracking, forecasts = Tracking(LEVELS), np.array([NORMAL])
    for _ in range(10):
        tracking.learn(np.array([9.0]), forecasts, np.array([np.inf]), [(7,)])
    general = tracking.apply(forecasts)
    assert (tracking.apply(forecasts, [(8,)]) == general).all()
    assert np.abs(tracking.apply(forecasts, [(7,)]) - general).max() < 0.15


def test_groups_are_bounded() -> None:
    """Of ever new groups those that learned last are kept."""
    tracking = Tracking(LEVELS, 8)
    for key in range(1, 101):
        tracking.learn(np.array([9.0]), np.array([NORMAL]), np.array([np.inf]), [(key, 1)])
    assert list(tracking._groups) == [*range(94, 101), 1]


def test_shifted_levels_ascend_and_shifts_are_bounded() -> None:
    """However wrong forecasts were, levels do not cross, and no shift runs away."""
    tracking = Tracking(LEVELS)
    for length in (-50.0, 50.0) * 5000:
        tracking.learn(np.array([length]), tracking.apply(NORMAL[None]), np.array([np.inf]))
    shifted = tracking.apply(NORMAL[None])
    assert (np.diff(shifted) >= 0).all()
    assert np.abs(tracking.offsets).max() <= 3.0
