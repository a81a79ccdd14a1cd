from __future__ import annotations

import math
from itertools import accumulate
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from budget_proxy.store.scoring import efficiency_of, expected_efficiency, risk_of
from budget_proxy.types import LEVELS, CallRecord, Forecast
from tests.makers import record


def forecast(recommended: float, quantiles: tuple[float, ...], **given: Any) -> CallRecord:
    """A row with a budget and its quantiles."""
    names = ("q50", "q75", "q90", "q95", "q99")
    return record(recommended=recommended, **dict(zip(names, quantiles, strict=True)), **given)


def test_the_risk_of_a_budget_by_hand() -> None:
    """95 % of 1,000 is 950, between q75 = 700 and q90 = 1,000.

    (950 - 700) / (950 + 700) * (1000 + 700) / (1000 - 700) = .8586 of the way from .75 to .90:
    P(use <= .95) = .8788. The logarithm has ln(950 / 700) / ln(1000 / 700) = .8562.
    """
    row = forecast(1000, (500, 700, 1000, 1200, 2000))
    assert risk_of(row) == pytest.approx(1 - 0.8788, abs=0.0001)


@pytest.mark.parametrize(
    ("recommended", "risk"), [(500, 0.5), (1000, 0.25), (4000, 0.01), (10_000, 0.01)]
)
def test_beyond_the_quantiles_the_risk_is_that_of_the_last(recommended: int, risk: float) -> None:
    """Below q50 .5, at q75 itself .25, from q99 on .01."""
    assert risk_of(forecast(recommended, (900, 950, 2000, 3000, 3800))) == pytest.approx(risk)


def test_without_quantiles_there_is_no_risk() -> None:
    """Nor without a budget."""
    assert risk_of(record(recommended=100)) is None
    assert risk_of(forecast(0, (1, 2, 3, 4, 5))) is None


@given(
    st.floats(1, 1e5),
    st.lists(st.just(1.0) | st.floats(1.001, 4.0), min_size=4, max_size=4),
    st.floats(0, 1, exclude_max=True),
)
def test_the_risk_is_that_of_the_forecast(median: float, steps: list[float], share: float) -> None:
    """Within .015 of its distribution function, between the quantiles that rows have."""
    quantiles = tuple(accumulate([median, *steps], lambda a, b: a * b))
    recommended = quantiles[0] * (quantiles[-1] / quantiles[0]) ** share / 0.95
    edge = 0.95 * recommended
    assume(quantiles[0] <= edge < quantiles[-1])
    known = Forecast(LEVELS, quantiles, "learned", 1, 0.5)
    assert risk_of(forecast(recommended, quantiles)) == pytest.approx(
        1 - known.cdf(edge), abs=0.015
    )


def test_the_expected_efficiency_by_hand() -> None:
    """P(use <= .95) is .90 and P(.50 <= use <= .95) = .6, so that P(use < .50) = .3.

    Of 1,000 the q50 is 500, the q75 700 and the q90 950. 600 is (100 / 1100) * (1200 / 200) =
    .5455 of the way to q75, 850 is (150 / 1550) * (1650 / 250) = .6387 of that to q90, 750 is
    (50 / 1450) * (1650 / 250) = .2276 of it. P(use <= .60) = .6364, <= .75: .7841, <= .85: .8458.

    .3 * .3 + .6 * .3364 + .8 * .1478 + 1.0 * .0617 + .8 * .0542 + .5 * .1 = .5650
    """
    row = forecast(1000, (500, 700, 950, 1200, 1500), confidence=0.6)
    assert expected_efficiency(row) == pytest.approx(0.5650, abs=0.0001)


def test_below_the_median_the_confidence_tells_how_likely_little_use_is() -> None:
    """P(use < .50) = 1 - risk - confidence = .35; then .50 at q50: 80 % of 1,000.

    600 and 750 are (100 / 1100) * (1300 / 300) = .3939 and (250 / 1250) * (1300 / 300) = .8667 of
    the way from 500 to 800; 850 is (50 / 1650) * (1750 / 150) = .3535 of that to q75 = 950.

    .3 * .35 + .6 * .0591 + .8 * .0709 + 1.0 * .1084 + .8 * .1616 + .5 * .25 = .5599
    """
    row = forecast(1000, (800, 950, 1100, 1300, 1700), confidence=0.4)
    assert expected_efficiency(row) == pytest.approx(0.5599, abs=0.0001)


def test_without_quantiles_or_confidence_nothing_is_expected() -> None:
    """Nor without a budget."""
    assert expected_efficiency(forecast(1000, (500, 700, 950, 1200, 1500), confidence=None)) is None
    assert expected_efficiency(record(recommended=1000, confidence=0.5)) is None
    assert expected_efficiency(forecast(0, (1, 2, 3, 4, 5), confidence=0.5)) is None


@given(st.floats(50, 5000), st.floats(0.2, 1.2))
def test_what_is_expected_is_the_mean_over_the_forecast(median: float, spread: float) -> None:
    """Of 4,001 lengths, evenly spread over a log-normal forecast, within .015."""
    lengths = NormalDist(math.log(median), spread)
    quantiles = [math.exp(lengths.inv_cdf(level)) for level in LEVELS]
    budget = median * 1.45  # as recommended, or nearly, whatever the spread
    known = lengths.cdf(math.log(0.95 * budget)) - lengths.cdf(math.log(0.5 * budget))
    row = forecast(budget, tuple(quantiles), confidence=known)
    draws = (math.exp(lengths.inv_cdf((i + 0.5) / 4001)) for i in range(4001))
    mean = sum(efficiency_of(draw / budget) for draw in draws) / 4001
    assert expected_efficiency(row) == pytest.approx(mean, abs=0.015)


@given(
    st.floats(1, 1e5),
    st.lists(st.floats(1.0, 4.0), min_size=4, max_size=4),
    st.floats(0.01, 200),
    st.floats(0, 1),
)
def test_what_is_expected_lies_between_the_least_and_the_most_points(
    median: float, steps: list[float], share: float, confidence: float
) -> None:
    """However odd the budget and the confidence are beside the quantiles."""
    quantiles = tuple(accumulate([median, *steps], lambda a, b: a * b))
    found = expected_efficiency(forecast(median * share, quantiles, confidence=confidence))
    assert found is not None
    assert 0.3 <= found <= 1.0
