"""The calendar of a time zone: where minutes, hours, days, weeks and months begin.

Days begin at local midnight, also those of 23 or 25 hours; weeks on Mondays (ISO 8601). Hours
begin where the clock shows a whole one, and where it is set by part of an hour.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

Span = Literal["minute", "hour", "day", "week", "month"]

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)


def floor(unit: Span, moment: datetime) -> datetime:
    """The start of the span that a moment lies in."""
    if unit == "minute":
        return moment.replace(second=0, microsecond=0)
    if unit == "hour":
        return _hour(moment)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if unit == "week":
        return day - timedelta(days=day.weekday())  # on the wall clock: midnight again
    return day.replace(day=1) if unit == "month" else day


def following(unit: Span, moment: datetime) -> datetime:
    """The start of the next one: minutes and hours in absolute time, the others by the calendar."""
    if unit == "minute":
        return _later(moment, _MINUTE)
    if unit == "hour":
        return _hour(_later(moment, _HOUR))
    if unit == "month":
        return floor("month", moment + timedelta(days=31))
    return moment + timedelta(days=1 if unit == "day" else 7)


def _hour(moment: datetime) -> datetime:
    """The start of an hour. In Lord Howe clocks are set by half of one."""
    past = timedelta(minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond)
    start = _later(moment, -past)
    if _odd(start) == _odd(moment):
        return start
    seconds = range(int(past.total_seconds()))
    reset = bisect_left(
        seconds,
        1,
        key=lambda second: _odd(_later(start, timedelta(seconds=second))) == _odd(moment),
    )
    return _later(start, timedelta(seconds=reset))


def _odd(moment: datetime) -> timedelta:
    """How far a zone's whole hours are from UTC's."""
    return (moment.utcoffset() or timedelta()) % _HOUR


def _later(moment: datetime, span: timedelta) -> datetime:
    """A moment that is so much later, in absolute time."""
    return (moment.astimezone(UTC) + span).astimezone(moment.tzinfo)
