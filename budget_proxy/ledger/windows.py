"""The windows of limits: when one begins, and when the next one does."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from math import inf
from typing import Final, Literal
from zoneinfo import ZoneInfo

from budget_proxy.zones import floor, following

Window = Literal["flight", "minute", "hour", "day", "week", "month", "lifetime"]
"""``flight``: nothing but what calls hold while they are under way; ``lifetime``: for ever."""

TIMELESS: Final[frozenset[str]] = frozenset({"flight", "lifetime"})


def window_of(window: Window, zone: str, ts: float) -> tuple[float, float]:
    """The window [start, end) that a time lies in, in Unix seconds; from 0 to inf if timeless."""
    if window == "flight" or window == "lifetime":  # noqa: PLR1714 (type checkers follow this)
        return 0.0, inf
    # Windows begin with a second; a fraction of one may be rounded up into the next.
    start = floor(window, datetime.fromtimestamp(ts // 1, _zone(zone)))
    return start.timestamp(), following(window, start).timestamp()


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
