from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.calibration import coverage, wilson
from budget_proxy.store.measures import sums_of
from budget_proxy.store.sums import Sums
from tests.makers import record


def test_wilson_by_hand() -> None:
    """Eight of ten: the classic example.

    z = 1.96, z^2 = 3.8415; middle = (.8 + 3.8415 / 20) / 1.38415 = .99207 / 1.38415 = .71674;
    half = 1.96 / 1.38415 x sqrt(.16 / 10 + 3.8415 / 400) = 1.41600 x .16001 = .22657.
    """
    low, high = wilson(8, 10)
    assert low == pytest.approx(0.4902, abs=2e-4)
    assert high == pytest.approx(0.9433, abs=2e-4)


def test_wilson_at_the_ends_stays_within_0_and_1() -> None:
    """None of n: the interval is [0, z^2 / (n + z^2)]; all of n mirrors it."""
    assert wilson(0, 20) == pytest.approx((0.0, 3.8415 / 23.8415), abs=1e-4)
    assert wilson(20, 20) == pytest.approx((20 / 23.8415, 1.0), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_brackets_the_share(counts: tuple[int, int]) -> None:
    """The realised share lies inside, and the interval is at most z / sqrt(n) wide."""
    hits, n = counts
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high <= 1
    assert high - low <= 1.96 / sqrt(n) + 1e-9


def _told(used: int, ceiling: int | None, *, truncated: bool = False) -> dict[float, Any]:
    row = record(
        strategy="quantile", output_tokens=used, ceiling=ceiling, truncated=truncated,
        q50=100.0, q75=200.0, q90=300.0, q95=400.0, q99=500.0,
    )  # fmt: skip
    (sums,) = sums_of([row])
    return {
        percent / 100: (getattr(sums, f"told_{percent}"), getattr(sums, f"held_{percent}"))
        for percent in (50, 75, 90, 95, 99)
    }


def test_a_length_holds_at_every_level_that_it_does_not_exceed() -> None:
    """300 tokens: beyond q50 and q75, within q90 (equal counts as within), q95, q99."""
    assert _told(300, None) == {
        0.50: (1, 0), 0.75: (1, 0), 0.90: (1, 1), 0.95: (1, 1), 0.99: (1, 1),
    }  # fmt: skip


def test_levels_above_the_cap_in_force_are_not_told_cut_or_not() -> None:
    """Under a cap of 250 nothing can be said of q90 = 300, so short answers do not count either."""
    silent = {0.90: (0, 0), 0.95: (0, 0), 0.99: (0, 0)}
    assert _told(50, 250) == {0.50: (1, 1), 0.75: (1, 1), **silent}
    assert _told(250, 250, truncated=True) == {0.50: (1, 0), 0.75: (1, 0), **silent}


def test_an_answer_cut_at_a_quantile_did_not_hold_there() -> None:
    """Its true length is beyond the 300 tokens that were seen."""
    assert _told(300, 300, truncated=True)[0.90] == (1, 0)


def test_a_row_without_a_forecast_tells_nothing() -> None:
    """Imported rows have no quantiles."""
    (sums,) = sums_of([record(strategy="quantile")])
    assert not any(item.n for item in coverage(sums))


def test_coverage_stands_beside_its_promise() -> None:
    """9 of 10 at q75; nothing measured is None, never 0."""
    first, second, *rest = coverage(Sums(told_75=10, held_75=9))
    assert (second.level, second.n, second.realised) == (0.75, 10, 0.9)
    assert second.low is not None
    assert second.high is not None
    assert second.low < 0.75 < second.high
    for empty in (first, *rest):
        assert (empty.n, empty.realised, empty.low, empty.high) == (0, None, None, None)
