"""Moments of calls under way, against sums over many drawn lengths."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.ledger.moments import moments_of, stages_of
from budget_proxy.types import Forecast


def forecast(levels: tuple[float, ...], values: tuple[float, ...]) -> Forecast:
    """A forecast with these quantiles."""
    return Forecast(levels, values, "test", 100, 0.5)


def drawn(told: Forecast, most: int, count: int = 400_000) -> np.ndarray:
    """Lengths as the forecast has them, the lines at both ends going on as documented."""
    logs = [math.log(max(told.values[0] / 2, 1))] + [math.log(max(v, 1)) for v in told.values]
    left, right = (1 - level for level in told.levels[-2:])
    steep = min((logs[-1] - logs[-2]) / math.log(left / right), 1.0)
    tails = [right / 4**step for step in (1, 2, 3)]
    logs += [logs[-1] + steep * math.log(right / tail) for tail in tails]
    levels = [0.0, *told.levels, *(1 - tail for tail in tails), 1.0]
    logs.append(logs[-1])
    at = (np.arange(count) + 0.5) / count
    return np.minimum(np.exp(np.interp(at, levels, logs)), most)


@pytest.mark.parametrize("most", [10_000, 900, 400, 60])
def test_moments_are_those_of_calls_under_way(most: int) -> None:
    """Mean, variance and third moment are those of lengths that count by their length."""
    told = forecast((0.25, 0.5, 0.75, 0.9, 0.95, 0.99), (50.0, 120.0, 300.0, 700.0, 1000.0, 2000.0))
    lengths = drawn(told, most)
    found = moments_of(told, most)
    mean = np.average(lengths, weights=lengths)
    assert found.mean == pytest.approx(mean, rel=1e-3)
    variance = np.average((lengths - mean) ** 2, weights=lengths)
    assert found.variance == pytest.approx(variance, rel=5e-3, abs=1e-6)
    third = np.average((lengths - mean) ** 3, weights=lengths)
    assert found.third == pytest.approx(max(third, 0.0), rel=2e-2, abs=1.0)


def test_a_certain_length_has_no_spread() -> None:
    """Where all quantiles agree only the lowest part differs."""
    found = moments_of(forecast((0.01, 0.99), (500.0, 500.0)), 10_000)
    assert found.mean == pytest.approx(500.0, rel=0.01)
    assert math.sqrt(found.variance) < 40


@given(
    st.lists(st.floats(1, 1e6), min_size=2, max_size=8).map(sorted),
    st.integers(1, 200_000),
)
def test_moments_stay_within_bounds(values: list[float], most: int) -> None:
    """No mean beyond the most, no negative variance, whatever the quantiles."""
    levels = tuple((index + 1) / (len(values) + 1) for index in range(len(values)))
    found = moments_of(forecast(levels, tuple(values)), most)
    assert 0 < found.mean <= most * (1 + 1e-9)
    assert found.variance >= 0
    assert found.third >= 0
    twice = found.scaled(2.0, 10.0)
    assert twice.mean == pytest.approx(2 * found.mean + 10)
    assert twice.variance == pytest.approx(4 * found.variance)


@pytest.mark.parametrize("most", [10_000, 900])
def test_stages_are_those_of_calls_that_have_got_so_far(most: int) -> None:
    """Each length beyond a stage's beginning counts by its time in it; means grow with age."""
    told = forecast((0.25, 0.5, 0.75, 0.9, 0.95, 0.99), (50.0, 120.0, 300.0, 700.0, 1000.0, 2000.0))
    lengths = drawn(told, most)
    stages = stages_of(told, most)
    ends = [stage.after for stage in stages[1:]] + [float(most)]
    assert [stage.after for stage in stages[:3]] == [0.0, 50.0, 120.0]
    for stage, end in zip(stages, ends, strict=True):
        left = lengths[lengths > stage.after]
        weights = np.minimum(left, end) - stage.after
        assert stage.moments.mean == pytest.approx(np.average(left, weights=weights), rel=2e-3)
    means = [stage.moments.mean for stage in stages]
    assert means == sorted(means)
