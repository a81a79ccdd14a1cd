"""What calls may use of a limit, one by one and added up."""

from __future__ import annotations

import math
from typing import Final

from budget_proxy.ledger.moments import Moments, Stage
from budget_proxy.types import frozen

_SHARED: Final = 0.015
"""The part of a forecast's variance that all forecasts share."""


@frozen
class Share:
    """What one call may use of a limit, in the limit's unit.

    ``reserve`` is its q95, ``worst`` the most; mean, variance and third central moment are
    those of the call while it is under way, up to the first of the ``later`` stages, which
    are in seconds after it began (``moments.py``).
    """

    reserve: int
    worst: int
    mean: float
    variance: float
    third: float
    later: tuple[Stage, ...] = ()

    def scaled(self, reserve: int, worst: int, factor: float, shift: float = 0.0) -> Share:
        """The share of ``factor`` times the amount, plus ``shift``."""
        first = Moments(self.mean, self.variance, self.third).scaled(factor, shift)
        later = tuple(
            Stage(stage.after, stage.moments.scaled(factor, shift)) for stage in self.later
        )
        return Share(reserve, worst, first.mean, first.variance, first.third, later)


@frozen
class Totals:
    """Sums over shares. ``deviation`` is that of standard deviations."""

    calls: int = 0
    reserved: int = 0
    worst: int = 0
    mean: float = 0.0
    variance: float = 0.0
    third: float = 0.0
    deviation: float = 0.0

    def plus(self, share: Share, moments: Share | Moments, sign: int = 1) -> Totals:
        """With a share that has these moments now."""
        return Totals(
            self.calls + sign,
            self.reserved + sign * share.reserve,
            self.worst + sign * share.worst,
            self.mean + sign * moments.mean,
            self.variance + sign * moments.variance,
            self.third + sign * moments.third,
            self.deviation + sign * math.sqrt(moments.variance),
        )

    def spread(self) -> float:
        """The standard deviation of the sum."""
        shared = (1 - _SHARED) * self.variance + _SHARED * self.deviation**2
        return math.sqrt(max(shared, 0.0))


NONE: Final = Totals()
