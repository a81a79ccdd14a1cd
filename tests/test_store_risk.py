from __future__ import annotations

from itertools import accumulate, pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from budget_proxy.store.measures import risk_of
from budget_proxy.types import LEVELS, CallRecord, Forecast
from tests.makers import record


def forecast(recommended: float, quantiles: tuple[float, ...]) -> CallRecord:
    """A row with a budget and its quantiles."""
    names = ("q50", "q75", "q90", "q95", "q99")
    return record(recommended=recommended, **dict(zip(names, quantiles, strict=True)))


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
    st.lists(st.floats(1.0, 4.0), min_size=4, max_size=4),
    st.floats(0.5, 200),
)
def test_the_risk_is_that_of_the_forecast(median: float, steps: list[float], budget: float) -> None:
    """Within .015 of its distribution function, between the quantiles that rows have."""
    quantiles = tuple(accumulate([median, *steps], lambda a, b: a * b))
    edge = 0.95 * (recommended := median * budget)
    assume(quantiles[0] <= edge < quantiles[-1])
    assume(all(low == high or high / low > 1.0001 for low, high in pairwise(quantiles)))
    known = Forecast(LEVELS, quantiles, "learned", 1, 0.5)
    assert risk_of(forecast(recommended, quantiles)) == pytest.approx(
        1 - known.cdf(edge), abs=0.015
    )
