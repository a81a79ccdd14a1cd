"""Hours, days, weeks and months in a time zone, as spans of Unix seconds.

Days begin at local midnight, also those of 23 or 25 hours; weeks on Mondays (ISO 8601).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf, nextafter
from typing import Final, Literal
from zoneinfo import ZoneInfo

from budget_proxy.errors import InvalidInput
from budget_proxy.types import frozen
from budget_proxy.zones import floor, following

Unit = Literal["hour", "day", "week", "month"]

_SPANS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


@frozen
class Period:
    """The span [start, end) and what people call it, such as 2026-11-27 or 2026-W48."""

    start: float
    end: float
    name: str


def periods(unit: Unit, zone: ZoneInfo, start: float, end: float) -> list[Period]:
    """The periods that touch [start, end), oldest first; the first one begins before ``start``.

    At least one, that of ``start``.
    """
    edges = list(_edges(unit, zone, start, end))
    return [
        Period(low.timestamp(), high.timestamp(), _name(unit, low)) for low, high in pairwise(edges)
    ]


def latest(unit: Unit, zone: ZoneInfo, now: float, count: int) -> list[Period]:
    """The newest ``count`` periods, oldest first; the last is the running one."""
    moment = floor(unit, datetime.fromtimestamp(now, zone))
    for _ in range(count - 1):
        moment = _before(unit, moment)
    return periods(unit, zone, moment.timestamp(), nextafter(now, inf))


def seconds_of(text: str) -> float:
    """A span of time such as 90s, 30m, 24h, 7d or 2w, in seconds. Raises InvalidInput."""
    number, unit = text[:-1], text[-1:].lower()
    if unit not in _SPANS or not (number.isascii() and number.isdigit()):
        raise InvalidInput(f"a span of time is a number with s, m, h, d or w (7d), not {text!r}")
    return int(number) * _SPANS[unit]


def _edges(unit: Unit, zone: ZoneInfo, start: float, end: float) -> Iterator[datetime]:
    moment = floor(unit, datetime.fromtimestamp(start, zone))
    yield moment
    while True:
        moment = following(unit, moment)
        yield moment
        if moment.timestamp() >= end:
            return


def _before(unit: Unit, moment: datetime) -> datetime:
    if unit == "hour":
        return (moment.astimezone(UTC) - timedelta(hours=1)).astimezone(moment.tzinfo)
    return floor(unit, moment - timedelta(days=1))


def _name(unit: Unit, moment: datetime) -> str:
    if unit == "hour":
        return f"{moment:%Y-%m-%d %H:%M}" + (f" {moment:%z}" if _twice(moment) else "")
    if unit == "week":
        return f"{moment:%G-W%V}"
    return f"{moment:%Y-%m-%d}" if unit == "day" else f"{moment:%Y-%m}"


def _twice(moment: datetime) -> bool:
    """Whether an hour's name is there twice, where clocks are set back."""
    return moment.replace(fold=0).utcoffset() != moment.replace(fold=1).utcoffset()
