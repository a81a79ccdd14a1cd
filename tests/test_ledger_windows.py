"""Windows of limits, in zones whose days are not all alike."""

from __future__ import annotations

from datetime import datetime
from math import inf, nextafter
from zoneinfo import ZoneInfo

import pytest

from budget_proxy.ledger.windows import Window, window_of

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    """A wall time of Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("minute", "2026-10-25 12:34:00", "2026-10-25 12:35:00"),
        ("hour", "2026-10-25 12:00:00", "2026-10-25 13:00:00"),
        ("day", "2026-10-25 00:00:00", "2026-10-26 00:00:00"),  # 25 hours long
        ("week", "2026-10-19 00:00:00", "2026-10-26 00:00:00"),
        ("month", "2026-10-01 00:00:00", "2026-11-01 00:00:00"),
    ],
)
def test_a_window_begins_and_ends_by_the_zone(window: Window, start: str, end: str) -> None:
    """Also where the clocks are set back meanwhile."""
    found = window_of(window, "Europe/Berlin", at("2026-10-25 12:34:56"))
    assert found == (at(start), at(end))


@pytest.mark.parametrize("window", ["minute", "hour", "day", "week", "month"])
def test_the_last_moment_of_a_window_lies_in_it(window: Window) -> None:
    """It is less than a microsecond from the next one, where clocks round."""
    _, end = window_of(window, "Europe/Berlin", at("2026-10-25 12:34:56"))
    assert window_of(window, "Europe/Berlin", nextafter(end, 0.0))[1] == end
    assert window_of(window, "Europe/Berlin", end)[0] == end


def test_a_days_length_is_the_calendars() -> None:
    """25 hours when clocks are set back, 23 when they are set forward."""
    for day, hours in (("2026-10-25", 25), ("2026-03-29", 23)):
        start, end = window_of("day", "Europe/Berlin", at(f"{day} 12:00"))
        assert end - start == hours * 3600


@pytest.mark.parametrize("window", ["flight", "lifetime"])
def test_some_windows_never_end(window: Window) -> None:
    """What is held at once, and what is counted for ever."""
    assert window_of(window, "UTC", 1e9) == (0.0, inf)


@pytest.mark.parametrize("day", ["2026-04-05", "2026-10-04", "2026-09-27", "2027-04-04"])
@pytest.mark.parametrize("zone", ["Pacific/Chatham", "Australia/Lord_Howe", "Europe/Berlin"])
def test_one_hour_follows_the_other_where_clocks_are_set_amid_one(zone: str, day: str) -> None:
    """In Chatham they are set at a quarter to, in Lord Howe by half an hour."""
    begin = datetime.fromisoformat(day).timestamp() - 86_400
    start, end = window_of("hour", zone, begin)
    while end < begin + 3 * 86_400:
        start, end = end, window_of("hour", zone, end)[1]
        assert 0 < end - start <= 3600
        for moment in (start, start + 1, (start + end) / 2, end - 1):
            assert window_of("hour", zone, moment) == (start, end)
