"""How far sums of calls came out beside what had been expected of them."""

from __future__ import annotations

import math
from typing import Final

_PRIOR: Final = 10.0
"""So many sums that came out as expected are taken for granted."""
_MEMORY: Final = 100.0
"""Sums after which what was seen counts e times less."""


class Calibration:
    """Mean and standard deviation of (sum - expected) / expected spread, of sums seen so far.

    Old ones fade. As long as none were seen they are 0 and 1.
    """

    __slots__ = ("_first", "_second", "_weight")

    def __init__(self) -> None:
        self._weight = _PRIOR
        self._first = 0.0
        self._second = _PRIOR

    def learn(self, score: float) -> None:
        """Take in how far a sum came out, in expected spreads."""
        keep = 1.0 - 1.0 / _MEMORY
        self._weight = keep * self._weight + 1.0
        self._first = keep * self._first + score
        self._second = keep * self._second + score**2

    def of(self, level: float) -> float:
        """Where a level of the standard normal distribution really lies, in expected spreads."""
        mean = self._first / self._weight
        variance = self._second / self._weight - mean**2
        return mean + level * math.sqrt(max(variance, 0.0))
