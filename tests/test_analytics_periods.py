from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import get_args
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.periods import Unit, latest, periods

BERLIN = ZoneInfo("Europe/Berlin")


def at(zone: ZoneInfo, *parts: int) -> float:
    """The Unix seconds of a moment on the wall clock."""
    return datetime(*parts, tzinfo=zone).timestamp()  # type: ignore[arg-type,misc]


def test_days_begin_at_local_midnight_also_those_of_25_hours() -> None:
    """Clocks in Berlin are set back on 2026-10-25."""
    found = latest("day", BERLIN, at(BERLIN, 2026, 10, 26, 8), 3)
    assert [span.name for span in found] == ["2026-10-24", "2026-10-25", "2026-10-26"]
    assert [(span.end - span.start) / 3600 for span in found] == [24, 25, 24]
    assert found[0].start == at(BERLIN, 2026, 10, 24)


def test_an_hour_that_is_there_twice_has_two_names() -> None:
    """And each is an hour long."""
    found = latest("hour", BERLIN, at(BERLIN, 2026, 10, 25, 3, 30), 4)
    names = [span.name for span in found]
    assert names == [
        "2026-10-25 01:00", "2026-10-25 02:00 +0200", "2026-10-25 02:00 +0100", "2026-10-25 03:00",
    ]  # fmt: skip
    assert {span.end - span.start for span in found} == {3600}


def test_hours_begin_where_the_zone_has_them() -> None:
    """Half past of UTC in India."""
    india = ZoneInfo("Asia/Kolkata")
    (span,) = latest("hour", india, at(india, 2026, 1, 2, 3, 4), 1)
    assert (span.start % 3600, span.name) == (1800, "2026-01-02 03:00")


def test_weeks_begin_on_mondays_and_have_the_year_of_their_thursday() -> None:
    """2026-12-31 is a Thursday: week 53 of 2026 ends on 2027-01-03."""
    found = latest("week", BERLIN, at(BERLIN, 2027, 1, 5), 2)
    assert [span.name for span in found] == ["2026-W53", "2027-W01"]
    assert found[1].start == at(BERLIN, 2027, 1, 4)


def test_months_of_every_length() -> None:
    """From a long one into February of a leap year."""
    utc = ZoneInfo("UTC")
    found = periods("month", utc, at(utc, 2028, 1, 31), at(utc, 2028, 3, 1))
    assert [span.name for span in found] == ["2028-01", "2028-02"]
    assert (found[1].end - found[1].start) / 86_400 == 29


@given(
    st.sampled_from(get_args(Unit)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"]),
    st.floats(0, 4e9),
    st.integers(1, 40),
)
def test_the_latest_periods_follow_each_other_up_to_now(
    unit: Unit, name: str, now: float, count: int
) -> None:
    """Without a gap, in any zone; the last one holds the moment."""
    found = latest(unit, ZoneInfo(name), now, count)
    assert len(found) == count
    assert all(one.end == other.start for one, other in pairwise(found))
    assert found[-1].start <= now < found[-1].end
    assert len({span.name for span in found}) == count
