"""Numbers as people read them, in terminals, files and pages alike; "-" is what is unknown."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo
from typing import Final

NONE: Final = "-"
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_UNITS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def whole(number: float | None) -> str:
    """A count with thousands separated."""
    return NONE if number is None else f"{number:,.0f}"


def short(number: float | None) -> str:
    """A count in at most five characters: 950, 12.3k, 4.56M."""
    if number is None:
        return NONE
    for unit, letter in _UNITS:
        if abs(number) >= 0.9995 * unit:
            return f"{number / unit:.3g}{letter}"
    return f"{number:.0f}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share as a percentage."""
    return NONE if share is None else f"{100 * share:.{digits}f} %"


def dollars(amount: float | None) -> str:
    """US dollars; small amounts keep two significant digits."""
    if amount is None:
        return NONE
    if amount == 0 or abs(amount) >= 1:
        return f"${amount:,.2f}"
    return f"${amount:.{max(2, 1 - math.floor(math.log10(abs(amount))))}f}"


def moment(ts: float | None, zone: tzinfo = UTC) -> str:
    """A point in time (Unix seconds) in a time zone, to the minute."""
    return NONE if ts is None else f"{datetime.fromtimestamp(ts, tz=zone):%Y-%m-%d %H:%M}"


def written(number: float, measure: str) -> str:
    """So many tokens or calls, or dollars where the measure is "cost"."""
    return dollars(number) if measure == "cost" else f"{short(number)} {measure}"


def bar(share: float, width: int, *, ascii_only: bool = False) -> str:
    """A horizontal bar of ``share`` (0-1) of ``width`` characters."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    if ascii_only:
        return "#" * round(eighths / 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
