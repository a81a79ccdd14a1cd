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


def _by_group(tracking: Tracking, draw: np.random.Generator, moved: float) -> np.ndarray:
    """Coverage by group of three, learned 15 calls at a time, the last one's lengths moved."""
    forecasts, below = np.tile(NORMAL, (15, 1)), np.zeros((3, len(LEVELS)))
    groups = [(1, 10 + number % 3) for number in range(15)]
    for _ in range(200):
        lengths = draw.normal(0.0, 1.0, 15)
        lengths[2::3] += moved
        shifted = tracking.apply(forecasts, groups)
        held = lengths[:, None] <= shifted
        below += held.reshape(5, 3, -1).sum(axis=0)
        tracking.learn(lengths, shifted, np.full(15, np.inf), groups)
    return below / 1000


def test_a_group_whose_lengths_differ_comes_to_hold_by_itself() -> None:
    """One of three groups runs longer by half a deviation: its levels follow, the others' hold."""
    draw, tracking = np.random.default_rng(3), Tracking(LEVELS)
    _by_group(tracking, draw, 0.5)
    for found in _by_group(tracking, draw, 0.5):
        assert found == pytest.approx(LEVELS, abs=0.05)


def test_a_group_that_is_all_calls_adds_nothing() -> None:
    """Offsets by group leave a forecast as it is where all calls are of one."""
    tracked, plain = Tracking(LEVELS), Tracking(LEVELS)
    draw, forecasts, known = np.random.default_rng(4), np.tile(NORMAL, (16, 1)), np.full(16, np.inf)
    for _ in range(100):
        lengths = draw.normal(0.5, 1.0, 16)
        tracked.learn(lengths, tracked.apply(forecasts, [(1, 2)] * 16), known, [(1, 2)] * 16)
        plain.learn(lengths, plain.apply(forecasts), known)
    found = tracked.apply(forecasts, [(1, 2)] * 16)
    assert found == pytest.approx(plain.apply(forecasts), abs=0.005)


def test_what_caps_hide_moves_groups_too_and_no_forecast_wanders() -> None:
    """With every answer of a group cut at 1 deviation, and true forecasts, levels stay near."""
    draw, tracking = np.random.default_rng(2), Tracking(LEVELS)
    known, groups = np.ones(16), [(1, 2)] * 16
    for _ in range(250):
        shifted = tracking.apply(np.tile(NORMAL, (16, 1)), groups)
        tracking.learn(np.minimum(draw.normal(0, 1, 16), 1.0), shifted, known, groups)
    assert tracking.apply(NORMAL[None], groups[:1])[0] == pytest.approx(NORMAL, abs=0.5)


def test_a_group_of_few_outcomes_stays_with_its_parent() -> None:
    """Ten outcomes above all levels hardly move a group; one never seen is as all calls are."""
    tracking, forecasts = Tracking(LEVELS), np.tile(NORMAL, (2, 1))
    for _ in range(10):
        lengths, groups = np.array([9.0, 0.0]), [(7,), (8,)]
        tracking.learn(lengths, forecasts, np.full(2, np.inf), groups)
    general = tracking.apply(forecasts[:1])
    assert (tracking.apply(forecasts[:1], [(9,)]) == general).all()
    moved = np.abs(tracking.apply(forecasts[:1], [(7,)]) - general).max()
    assert 0.0 < moved < 0.15


def test_groups_are_bounded() -> None:
    """Of ever new groups those that learned last are kept."""
    tracking = Tracking(LEVELS, 8)
    for key in range(1, 101):
        tracking.learn(np.array([9.0]), NORMAL[None], np.array([np.inf]), [(key, 1)])
    assert list(tracking._groups) == [*range(94, 101), 1]


def test_shifted_levels_ascend_and_shifts_are_bounded() -> None:
    """However wrong forecasts were, levels do not cross, and no shift runs away."""
    tracking = Tracking(LEVELS)
    for length in (-50.0, 50.0) * 5000:
        tracking.learn(np.array([length]), tracking.apply(NORMAL[None]), np.array([np.inf]))
    shifted = tracking.apply(NORMAL[None])
    assert (np.diff(shifted) >= 0).all()
    assert np.abs(tracking.offsets).max() <= 3.0
