from __future__ import annotations

from statistics import linear_regression

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.slope import slope_of, student


def test_a_slope_by_hand() -> None:
    """1, 2, 2, 4, 6 at 0 to 4: slope 12 / 10, residuals .4 .2 -1 -.2 .6, their squares 1.6.

    Half the interval is 3.182 x sqrt(1.6 / 3 / 10) = .7349.
    """
    found = slope_of([1, 2, 2, 4, 6])
    assert found is not None
    assert (found.n, found.slope, found.intercept) == pytest.approx((5, 1.2, 0.6))
    assert (found.low, found.high) == pytest.approx((1.2 - 0.7349, 1.2 + 0.7349), abs=1e-4)


def test_gaps_keep_their_place() -> None:
    """A line through 0, 3 and 4 is not that through 0, 1 and 2."""
    found = slope_of([1.0, None, None, 4.0, 5.0])
    assert found is not None
    assert (found.n, found.slope) == pytest.approx((3, 1.0))


def test_too_few_points_have_no_line_or_no_interval() -> None:
    """Two points fit any line exactly, which says nothing."""
    assert slope_of([]) is None
    assert slope_of([None, 2.0]) is None
    found = slope_of([2.0, 5.0])
    assert found is not None
    assert (found.slope, found.low, found.high) == (3.0, None, None)


@pytest.mark.parametrize(
    ("freedom", "point"), [(1, 12.706), (10, 2.2281), (11, 2.2010), (30, 2.0423), (120, 1.9799)]
)
def test_students_points_are_those_of_the_tables(freedom: int, point: float) -> None:
    """Two-sided 95 %, as printed in any table."""
    assert student(freedom) == pytest.approx(point, abs=2e-4)


@given(st.lists(st.none() | st.floats(-1e6, 1e6), max_size=40))
def test_slopes_are_those_of_the_standard_library(values: list[float | None]) -> None:
    """On whatever points are there."""
    points = [(x, y) for x, y in enumerate(values) if y is not None]
    found = slope_of(values)
    if len(points) < 2:
        assert found is None
        return
    expected = linear_regression(*zip(*points, strict=True))
    assert found is not None
    assert (found.slope, found.intercept) == pytest.approx(tuple(expected), rel=1e-6, abs=1e-6)
