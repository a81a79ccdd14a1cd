from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.reach import Window, reach, window_of
from budget_proxy.errors import InvalidInput

FIRST = date(2026, 11, 1)
AMOUNTS = st.floats(0, 100)


def test_a_limit_is_reached_on_the_day_that_the_paths_say() -> None:
    """10 so far in two days, today among them with 4; then 5, 10 or 2 a day: limit 20."""
    ahead = np.array([[4.0, 5.0, 5.0], [4.0, 10.0, 10.0], [4.0, 2.0, 2.0]])
    found = reach(np.array([6.0]), ahead, 4.0, 20.0, FIRST)
    # path 1 has 6, 10, 15, 20; path 2 6, 10, 20; path 3 6, 10, 12, 14
    assert (found.start, found.end) == (FIRST, date(2026, 11, 5))
    assert (found.spent, found.total.expected) == (10, 20)
    assert found.probability == pytest.approx(2 / 3)
    assert found.expected == date(2026, 11, 4)
    assert found.earliest == date(2026, 11, 3)
    assert found.latest is None


def test_a_limit_that_is_passed_already_says_since_when() -> None:
    """The second day of the month passed it."""
    found = reach(np.array([6.0, 6.0, 1.0]), np.ones((5, 2)), 0.5, 10.0, FIRST)
    assert found.expected == found.earliest == found.latest == date(2026, 11, 2)
    assert (found.probability, found.spent, found.saving) == (1, 13.5, None)


def test_a_limit_far_away_is_not_reached() -> None:
    """No date, and no saving that would be needed."""
    found = reach(np.zeros(0), np.ones((5, 30)), 0.0, 1_000.0, FIRST)
    assert (found.probability, found.expected, found.earliest, found.latest) == (
        0,
        None,
        None,
        None,
    )
    assert found.saving is None


def test_the_saving_makes_what_is_expected_fit() -> None:
    """40 spent, 60 to come, limit 70: half of it has to go."""
    found = reach(np.array([40.0]), np.full((3, 6), 10.0), 0.0, 70.0, FIRST)
    assert found.saving == pytest.approx(0.5)


@given(
    st.lists(AMOUNTS, max_size=5),
    st.lists(st.lists(AMOUNTS, min_size=4, max_size=4), min_size=1, max_size=30),
    st.floats(1, 400),
)
def test_days_and_probability_are_those_of_a_count(
    past: list[float], ahead: list[list[float]], limit: float
) -> None:
    """Path by path, day by day, and the quantiles by sorting."""
    days = []
    for path in ahead:
        spent, reached = 0.0, 99
        for number, amount in enumerate([*past, *path]):
            spent += amount
            if spent >= limit:
                reached = min(reached, number)
        days.append(reached)
    found = reach(np.array(past), np.array(ahead), 0.0, limit, FIRST)
    assert found.probability == pytest.approx(np.mean([day < 99 for day in days]))
    days.sort()
    for share, date_found in (
        (0.5, found.expected),
        (0.025, found.earliest),
        (0.975, found.latest),
    ):
        number = next(day for place, day in enumerate(days, 1) if place / len(days) >= share)
        assert date_found == (None if number == 99 else FIRST + timedelta(days=number))


@pytest.mark.parametrize("limit", [0.0, -5.0, float("nan"), float("inf")])
def test_a_limit_must_be_above_zero(limit: float) -> None:
    """Anything else is told."""
    with pytest.raises(InvalidInput, match="above 0"):
        reach(np.zeros(0), np.ones((2, 3)), 0.0, limit, FIRST)


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("day", date(2026, 12, 31), date(2027, 1, 1)),
        ("week", date(2026, 12, 28), date(2027, 1, 4)),
        ("month", date(2026, 12, 1), date(2027, 1, 1)),
    ],
)
def test_windows_are_those_of_the_calendar(window: Window, start: date, end: date) -> None:
    """Thursday, 31 December 2026: its day, its week from Monday, its month."""
    assert window_of(window, date(2026, 12, 31)) == (start, end)


def test_february_ends_on_the_28th() -> None:
    """Or on the 29th, in 2028."""
    assert window_of("month", date(2026, 2, 28)) == (date(2026, 2, 1), date(2026, 3, 1))
    assert window_of("month", date(2028, 2, 1)) == (date(2028, 2, 1), date(2028, 3, 1))
