"""Do promises hold? Realised coverage beside the promised quantile level, with its margin.

Only strategies that promise a distribution are measured; mission.md's weights promise none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import sqrt
from typing import Final

from budget_proxy.types import LEVELS, CallRecord

CALIBRATED: Final = frozenset({"learned", "quantile", "rolling"})
"""The strategies whose quantiles and confidence are probabilities."""

_Z: Final = 1.959963984540054  # the 97.5 % point of the standard normal: a two-sided 95 % interval


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of ``n`` forecasts at ``level``, the share that held: ``realised``, in [``low``, ``high``].

    The interval is Wilson's at 95 %; all three are ``None`` where ``n`` is 0.
    """

    level: float
    n: int
    realised: float | None
    low: float | None
    high: float | None


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share of ``hits`` in ``n`` > 0 (Wilson 1927)."""
    share, square = hits / n, _Z * _Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = _Z / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def tell(record: CallRecord, used: float, limit: float, told: Counter[float]) -> None:
    """Count into ``told`` what a length says of its row's quantiles.

    ``told[level]`` counts the calls that can tell, ``told[-level]`` those of them that held.
    A call whose ``limit`` (the cap in force) lay below the quantile cannot tell, cut or not:
    leaving out the cut ones alone would leave out the long ones. One that was cut at or above
    the quantile did not hold.
    """
    values = (record.q50, record.q75, record.q90, record.q95, record.q99)
    for level, value in zip(LEVELS, values, strict=True):
        if value is not None and limit >= value:
            told[level] += 1
            if used <= value and not record.truncated:
                told[-level] += 1


def coverage(told: Counter[float]) -> tuple[Coverage, ...]:
    """The coverage at every promised level, from what ``tell`` counted."""
    return tuple(_coverage(level, told[-level], told[level]) for level in LEVELS)


def _coverage(level: float, held: int, n: int) -> Coverage:
    if n == 0:
        return Coverage(level, 0, None, None, None)
    low, high = wilson(held, n)
    return Coverage(level, n, held / n, low, high)
