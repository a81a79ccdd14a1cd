"""What calls under way hold of a limit together: a quantile of their sum.

Each call alone holds its reserve, the q95 of what it will use. Many calls seldom all use that
much: the q95 of their sum is less than the sum of their q95s. It is approximated from the sums
of their moments by Cornish and Fisher's expansion (Biometrika 1938), with a part of the spread
that all forecasts of a moment share (one may not hold them independent: they come from one
history). Where that is not sharper, the sum of the reserves holds.
"""

from __future__ import annotations

import math
from typing import Final

from budget_proxy.types import frozen

_LEVEL: Final = 1.6448536269514722
"""The standard normal distribution's q95."""
_SHARED: Final = 0.05
"""The part of a forecast's variance that all forecasts share."""


@frozen
class Share:
    """What one call may use of a limit, in the limit's unit.

    ``reserve`` is its q95, ``worst`` the most; mean, variance and third central moment say
    how it is spread.
    """

    reserve: int
    worst: int
    mean: float
    variance: float
    third: float


class Holds:
    """The shares of open calls, with their sums kept up to date. O(1) a call."""

    __slots__ = ("_deviation", "_mean", "_open", "_third", "_variance", "reserved", "worst")

    def __init__(self) -> None:
        self._open: dict[object, Share] = {}
        self._clear()

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, key: object) -> bool:
        return key in self._open

    def add(self, key: object, share: Share) -> None:
        """Hold a share under a key."""
        self._open[key] = share
        self._count(share, 1)

    def remove(self, key: object) -> None:
        """Let a share go; one that is not held is nothing."""
        share = self._open.pop(key, None)
        if share is None:
            return
        if self._open:
            self._count(share, -1)
        else:  # sums of floats drift: begin anew where that costs nothing
            self._clear()

    def clear(self) -> None:
        """Let all go."""
        self._open.clear()
        self._clear()

    def amount(self, worst: bool, extra: Share | None = None) -> int:  # noqa: FBT001
        """What all of them hold together, with ``extra`` too if that is given."""
        count = len(self._open)
        reserved, most = self.reserved, self.worst
        mean, variance, third = self._mean, self._variance, self._third
        deviation = self._deviation
        if extra is not None:
            count += 1
            reserved, most = reserved + extra.reserve, most + extra.worst
            mean, variance, third = (
                mean + extra.mean,
                variance + extra.variance,
                third + extra.third,
            )
            deviation += math.sqrt(extra.variance)
        if worst:
            return most
        if count <= 1:
            return reserved
        return min(reserved, math.ceil(_quantile(mean, variance, third, deviation)))

    def _count(self, share: Share, sign: int) -> None:
        self.reserved += sign * share.reserve
        self.worst += sign * share.worst
        self._mean += sign * share.mean
        self._variance += sign * share.variance
        self._third += sign * share.third
        self._deviation += sign * math.sqrt(share.variance)

    def _clear(self) -> None:
        self.reserved = self.worst = 0
        self._mean = self._variance = self._third = self._deviation = 0.0


def _quantile(mean: float, variance: float, third: float, deviation: float) -> float:
    """The q95 of a sum: its own moments, and ``deviation``, the sum of standard deviations."""
    spread = math.sqrt(max((1 - _SHARED) * variance + _SHARED * deviation**2, 0.0))
    if spread <= 0.0:
        return mean
    skew = max(third, 0.0) / spread**3
    return mean + spread * (_LEVEL + (_LEVEL**2 - 1) * skew / 6)
