"""How sums of calls come out beside what had been expected of them."""

from __future__ import annotations

import math
from typing import Final

_LATELY: Final = 50.0
"""Sums after which what was seen counts e times less for the factor, which follows drifts."""
_SUMS: Final = 800.0
"""Sums after which what was seen counts e times less for all else."""
_BEFORE: Final = 4.0
"""So many sums that came out as expected are taken for granted."""
_TIGHT: Final = 0.7973
"""Their scatter, in expected spreads: it makes the q99.5 that holds ask for the q98 that forecasts
promise, until sums have told how far they scatter."""
_PROVEN: Final = 40.0
"""Sums that must have been seen before less is held than the sum of reserves."""
_NORMAL: Final = math.sqrt(math.pi / 2)
"""Standard deviation over mean absolute deviation of the normal distribution."""
_OFTEN: Final = 0.02
"""The part of sums that may lie beyond the sum of their reserves."""


class Calibration:
    """By what factor sums lie beside their means, and how far they scatter about that.

    The scatter is measured by the mean absolute error of what ``of`` told, in expected spreads:
    that forgets a bad start sooner than squares do.
    """

    __slots__ = ("_beyond", "_error", "_expected", "_seen", "_sums")

    def __init__(self) -> None:
        self._seen = self._expected = 0.0
        self._sums = _BEFORE
        self._error = _BEFORE * _TIGHT / _NORMAL
        self._beyond = 0.0

    @property
    def factor(self) -> float:
        """What is seen over what is expected."""
        return self._seen / self._expected if self._expected > 0.0 else 1.0

    @property
    def proven(self) -> bool:
        """Whether enough sums have told how they come out to hold less than reserves."""
        return self._sums >= _BEFORE + _PROVEN

    @property
    def suffices(self) -> bool:
        """Whether the sum of reserves is enough, as far as was seen."""
        return self._beyond <= _OFTEN * self._sums

    def learn(self, seen: float, mean: float, spread: float, told: float, reserved: float) -> None:
        """Take in what a sum came to; ``told`` is the mean by ``of``, when it was begun."""
        if self._expected <= 0.0:
            self._seen = self._expected = _BEFORE * mean
        keep = 1.0 - 1.0 / _LATELY
        self._seen = keep * self._seen + seen
        self._expected = keep * self._expected + mean
        keep = 1.0 - 1.0 / _SUMS
        self._sums = keep * self._sums + 1.0
        self._error = keep * self._error + abs(seen - told) / spread
        self._beyond = keep * self._beyond + (seen > reserved)

    def of(self, mean: float, spread: float, level: float) -> float:
        """A quantile of a sum of which mean and spread are expected, by its normal ``level``."""
        return self.factor * mean + level * spread * _NORMAL * self._error / self._sums
