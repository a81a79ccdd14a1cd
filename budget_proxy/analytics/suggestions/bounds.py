"""What a sample lets one say of a mean, a ratio or a tail: always with its bounds.

Calls of one session are alike, so that a hundred of them tell less than a hundred sessions:
sessions, not calls, are what the intervals count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Final

from budget_proxy.types import CallRecord

Z: Final = 1.959963984540054
"""The 97.5 % point of the standard normal: two-sided intervals at 95 %."""
FEWEST: Final = 20
"""Sessions below which an interval has no bounds: the normal law needs some."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval and standard error, from ``n`` calls.

    Without bounds (infinite ones) where there were too few sessions to tell.
    """

    value: float
    low: float
    high: float
    error: float
    n: int


def ratio(parts: Iterable[tuple[str, float, float]]) -> Interval:
    """Sum of the second over the sum of the third, by (session, above, below).

    The linearised variance of a ratio of sums over clusters (Cochran 1977, section 6.3).
    """
    sums: dict[str, tuple[float, float]] = {}
    n = 0
    for cluster, above, below in parts:
        first, second = sums.get(cluster, (0.0, 0.0))
        sums[cluster] = (first + above, second + below)
        n += 1
    whole = sum(below for _, below in sums.values())
    value = sum(above for above, _ in sums.values()) / whole if whole else 0.0
    if len(sums) < FEWEST or not whole:
        return Interval(value, -inf, inf, inf, n)
    squares = sum((above - value * below) ** 2 for above, below in sums.values())
    error = sqrt(squares * len(sums) / (len(sums) - 1)) / abs(whole)
    return Interval(value, value - Z * error, value + Z * error, error, n)


def mean(parts: Iterable[tuple[str, float]]) -> Interval:
    """The mean of values, by (session, value)."""
    return ratio((cluster, value, 1.0) for cluster, value in parts)


def difference(one: Interval, other: Interval) -> Interval:
    """``one`` less ``other``, which are independent."""
    value, error = one.value - other.value, sqrt(one.error**2 + other.error**2)
    bound = Z * error
    return Interval(value, value - bound, value + bound, error, min(one.n, other.n))


def session_of(row: CallRecord) -> str:
    """What a row is alike with: its session, or nothing but itself."""
    return row.session or f"call {row.call_id}"


def length_holding(rows: Sequence[CallRecord], share: float) -> float | None:
    """The tokens a choice within which a share of the answers would end.

    Cut answers are lower bounds, so that this is the survival curve's (Kaplan and Meier 1958):
    the least length at which no more than 1 - share is left; ``None`` where the answers that
    were cut leave that open.
    """
    lengths = sorted(
        ((row.output_tokens or 0) / max(row.n, 1), row.truncated) for row in rows
    )  # of equal ones the whole come first, as they should
    left, at_risk = 1.0, len(lengths)
    for length, cut in lengths:
        if not cut:
            left *= 1.0 - 1.0 / at_risk
            if left <= 1.0 - share + 1e-12:
                return length
        at_risk -= 1
    return None
