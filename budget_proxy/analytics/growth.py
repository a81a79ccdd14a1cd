"""How fast daily amounts grow: the seasonal Kendall slope, which weekdays and bursts leave alone.

Each day is compared with the same weekday of other weeks (Hirsch, Slack and Smith 1982): the
median of all those slopes of ln(amount), and Sen's (1968) interval about it, with a variance
that allows for days of a week that go together (Hirsch and Slack 1984).
"""

from __future__ import annotations

from math import expm1, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.analytics.ranges import Range
from budget_proxy.analytics.seasonal import little_of

Floats = NDArray[np.float64]

LEAST_WEEKS: Final = 4
MOST_WEEKS: Final = 12

_WEEK: Final = 7
_Z: Final = 1.959963984540054


def growth(amounts: Floats) -> Range | None:
    """The growth a week, as a share, over the last whole weeks (4 to 12) of daily amounts.

    ``None`` where there are fewer, or weekdays with amounts that differ at all are none.
    """
    weeks = min(len(amounts) // _WEEK, MOST_WEEKS)
    if weeks < LEAST_WEEKS:
        return None
    days = amounts[-weeks * _WEEK :].reshape(weeks, _WEEK)
    days = days[:, days.any(axis=0)]  # weekdays that are always free say nothing
    if not days.size:
        return None
    values = np.log(days + little_of(days))
    early, late = np.triu_indices(weeks, 1)
    rises = values[late] - values[early]
    slopes = np.sort((rises / (late - early)[:, None]).ravel())
    margin = _Z * sqrt(_variance(values, np.sign(rises)))
    places = (len(slopes) - 1) / 2 + np.array((0.0, -margin / 2, margin / 2))
    found = np.interp(places, np.arange(len(slopes)), slopes)
    return Range(*(expm1(slope) for slope in found.tolist()))


def _variance(values: Floats, signs: Floats) -> float:
    """The variance of Kendall's S summed up over weekdays: (weeks, days), (pairs, days)."""
    weeks = len(values)
    below = (values[:, None] > values).sum(axis=1)
    same = (values[:, None] == values).sum(axis=1)
    ranks = below + (same + 1) / 2
    cross = signs.T @ signs + 4 * ranks.T @ ranks - weeks * (weeks + 1) ** 2
    return float(max(cross.sum() / 3, 0.0))
