"""When a limit on a window of time is reached, by the paths that its days may take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from math import inf
from typing import Final, Literal

import numpy as np

from budget_proxy.analytics.kalman import Floats
from budget_proxy.analytics.ranges import ENDS, Range, range_of
from budget_proxy.errors import InvalidInput

Window = Literal["day", "week", "month"]
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether and when the days of a window, [start, end), amount to ``limit``.

    ``spent`` is what they have so far, ``total`` what they will have in the end.
    ``probability`` is that of reaching the limit before the end. The day that this happens on
    is ``expected`` (the median), and with 95 % probability not before ``earliest`` and not
    after ``latest``; ``None`` where that is not within the window. ``saving`` is by which share of
    what is expected the rest has to shrink to keep to the limit: ``None`` where it need not, or no
    saving suffices.
    """

    limit: float
    start: date
    end: date
    spent: float
    total: Range
    probability: float
    expected: date | None
    earliest: date | None
    latest: date | None
    saving: float | None


def reach(past: Floats, ahead: Floats, so_far: float, limit: float, start: date) -> Reach:
    """When a window that began on ``start`` reaches a limit (> 0). Raises InvalidInput.

    ``past`` (days) are its whole days that are over, ``ahead`` (draws, days) the others as they
    may come, the running one first, of which ``so_far`` is there already.
    """
    if not 0 < limit < inf:
        raise InvalidInput(f"a limit is a number above 0, not {limit}")
    over = np.broadcast_to(past, (len(ahead), len(past)))
    sums = np.hstack((over, ahead)).cumsum(axis=1)
    reached = sums >= limit
    days = np.where(reached.any(axis=1), reached.argmax(axis=1).astype(float), inf)
    expected, earliest, latest = (
        None if day == inf else start + int(day) * _DAY
        for day in np.quantile(days, ENDS, method="inverted_cdf").tolist()
    )
    spent, total = float(past.sum()) + so_far, range_of(sums[:, -1])
    rest, room = total.expected - spent, limit - spent
    return Reach(
        limit, start, start + sums.shape[1] * _DAY, spent, total, float((days < inf).mean()),
        expected, earliest, latest, 1 - room / rest if 0 <= room < rest else None,
    )  # fmt: skip


def window_of(window: Window, day: date) -> tuple[date, date]:
    """The calendar window [start, end) that a day lies in; weeks begin on Monday."""
    if window == "day":
        return day, day + _DAY
    if window == "week":
        start = day - day.weekday() * _DAY
        return start, start + 7 * _DAY
    start = day.replace(day=1)
    return start, (start + 31 * _DAY).replace(day=1)
