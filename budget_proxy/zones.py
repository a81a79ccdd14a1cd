"""The calendar of a time zone: where minutes, hours, days, weeks and months begin.

Days begin at local midnight, also those of 23 or 25 hours; weeks on Mondays (ISO 8601).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

Span = Literal["minute", "hour", "day", "week", "month"]


def floor(unit: Span, moment: datetime) -> datetime:
    """The start of the span that a moment lies in."""
    if unit == "minute":
        return moment.replace(second=0, microsecond=0)
    if unit == "hour":
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if unit == "week":
        return day - timedelta(days=day.weekday())  # on the wall clock: midnight again
    return day.replace(day=1) if unit == "month" else day


def following(unit: Span, moment: datetime) -> datetime:
    """The start of the next one: minutes and hours in absolute time, the others by the calendar."""
    if unit in {"minute", "hour"}:
        step = timedelta(minutes=1) if unit == "minute" else timedelta(hours=1)
        return (moment.astimezone(UTC) + step).astimezone(moment.tzinfo)
    if unit == "month":
        return floor("month", moment + timedelta(days=31))
    return moment + timedelta(days=1 if unit == "day" else 7)
