"""Calibration that holds: each level's forecast moves up when it is passed too often.

Quantile tracking (Angelopoulos, Candès and Tibshirani 2023, "Conformal PID control"; Gibbs and
Candès 2021): offset += rate x size x (1[y > q] - (1 - level)), on ln(tokens), where size is the
running mean error of the median.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RATE: Final = 0.01
_FARTHEST: Final = 3.0
_NARROWEST: Final = 0.05


class Tracking:
    """An offset in ln(tokens) for each of ``levels``."""

    __slots__ = ("_levels", "offsets")

    def __init__(self, levels: Floats) -> None:
        self._levels = levels
        self.offsets: Floats = np.zeros(len(levels))

    def apply(self, forecasts: Floats) -> Floats:
        """Shift forecasts (n, levels) in ln(tokens); they still ascend."""
        shifted = forecasts + self.offsets * _spread(forecasts)
        return np.maximum.accumulate(shifted, axis=1)

    def learn(self, lengths: Floats, shifted: Floats) -> None:
        """Learn from n lengths in ln(tokens) and what was forecast of them, shifted."""
        above = (lengths[:, None] > shifted).sum(axis=0)
        self.offsets += RATE * (above - len(lengths) * (1.0 - self._levels))
        np.clip(self.offsets, -_FARTHEST, _FARTHEST, out=self.offsets)


def _spread(forecasts: Floats) -> Floats:
    """How wide each forecast is (n, 1): from its second level to the last but two."""
    return np.maximum(forecasts[:, -3:-2] - forecasts[:, 1:2], _NARROWEST) / 2.0
