from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.analytics.growth import _variance, growth


def weekly(weeks: int, rate: float, sd: float, seed: int = 0) -> np.ndarray[tuple[int], np.dtype]:
    """Days that grow by ``rate`` a week, weekends at a fifth, with noise."""
    days = np.arange(weeks * 7)
    noise = np.random.default_rng(seed).normal(0, sd, len(days))
    return np.where(days % 7 < 5, 10.0, 2.0) * (1 + rate) ** (days / 7) * np.exp(noise)


def test_growth_without_noise_is_found_whatever_the_weekdays() -> None:
    """5 % a week, weekends at a fifth: 5 %, or nearly: zeros need a logarithm."""
    found = growth(weekly(10, 0.05, 0))
    assert found is not None
    assert found.expected == pytest.approx(0.05, rel=0.05)
    assert found.low == pytest.approx(found.high, rel=0.1)


def test_a_burst_is_no_growth() -> None:
    """Last week two days of a hundredfold: the median slope stays at 0."""
    days = weekly(8, 0.0, 0.05)
    days[-3:-1] *= 100
    found = growth(days)
    assert found is not None
    assert found.low < 0 < found.high
    assert abs(found.expected) < 0.01


def test_the_interval_covers_the_growth_of_19_in_20_histories() -> None:
    """Over 200 made-up histories of 12 weeks that grow by 3 % a week, with sd .3."""
    ranges = [growth(weekly(12, 0.03, 0.3, seed)) for seed in range(200)]
    held = [one is not None and one.low <= 0.03 <= one.high for one in ranges]
    assert 0.90 <= np.mean(held) <= 0.99
    assert np.mean([one is not None and one.low > 0 for one in ranges]) > 0.5


def test_the_variance_of_one_weekday_is_kendalls() -> None:
    """Without ties it is n (n - 1) (2 n + 5) / 18; all days alike count as 49 times that."""
    values = np.random.default_rng(1).normal(size=(9, 1))
    early, late = np.triu_indices(9, 1)
    one = 9 * 8 * 23 / 18
    assert _variance(values, np.sign(values[late] - values[early])) == pytest.approx(one)
    seven = np.repeat(values, 7, axis=1)
    assert _variance(seven, np.sign(seven[late] - seven[early])) == pytest.approx(49 * one)


def test_free_weekdays_say_nothing() -> None:
    """Weekends at 0 do not pull the median slope to 0."""
    days = weekly(8, 0.1, 0)
    days[np.arange(56) % 7 >= 5] = 0
    found = growth(days)
    assert found is not None
    assert found.expected == pytest.approx(0.1, rel=0.05)


def test_only_the_last_twelve_weeks_count() -> None:
    """Twenty weeks of decline before twelve of growth are over."""
    found = growth(np.concatenate((weekly(20, -0.1, 0), weekly(12, 0.05, 0))))
    assert found is not None
    assert found.expected == pytest.approx(0.05, rel=0.05)


@pytest.mark.parametrize("amounts", [np.ones(27), np.zeros(70), np.zeros(0)])
def test_without_four_weeks_or_any_amount_there_is_none(amounts: np.ndarray) -> None:
    """It is not made up."""
    assert growth(amounts) is None
