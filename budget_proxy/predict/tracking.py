"""Calibration that holds: each level's forecast moves up when it is passed too often.

Quantile tracking (Angelopoulos, Candès and Tibshirani 2023, "Conformal PID control"; Gibbs and
Candès 2021): offset += rate x size x (1[y > q] - (1 - level)), on ln(tokens), where size is the
half the width of the forecast.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RATE: Final = 0.01
_HIDDEN_RATE: Final = 0.05
"""Chosen on development rows whose answers were cut at their 90th percentile; what is expected
tells less than what is seen, but it is the sooner told that more answers run into the cap."""

_SEEN_RATE, _RAREST = 0.01, 0.1
_FARTHEST: Final = 3.0
_NARROWEST: Final = 0.05


class Tracking:
    """An offset in ln(tokens) for each of ``levels``."""

    __slots__ = ("_levels", "_seen", "offsets")

    def __init__(self, levels: Floats) -> None:
        self._levels = levels
        self.offsets: Floats = np.zeros(len(levels))
        self._seen: Floats = np.ones(len(levels))

    def apply(self, forecasts: Floats) -> Floats:
        """Shift forecasts (n, levels) in ln(tokens); they still ascend."""
        shifted = forecasts + self.offsets * _spread(forecasts)
        return np.maximum.accumulate(shifted, axis=1)

    def learn(self, lengths: Floats, shifted: Floats, known: Floats) -> None:
        """Learn from n lengths in ln(tokens) and what was forecast of them, shifted.

        ``known`` are the ln(tokens) that each could have been seen up to. Of a call whose level is
        above that, the level learns what can be expected given the forecast: to learn from the
        short ones alone would bias it. The rarer a level is seen, the more it learns at a time.
        """
        seen = shifted <= known[:, None]
        above = ((lengths[:, None] > shifted) & seen).sum(axis=0)
        counts = seen.sum(axis=0)
        self._seen += _SEEN_RATE * (counts - len(lengths) * self._seen)
        rate = RATE / np.maximum(self._seen, _RAREST)
        self.offsets += rate * (above - counts * (1.0 - self._levels))
        if not seen.all():
            hidden = np.where(seen, 0.0, self._expected(lengths, shifted, known))
            self.offsets += _HIDDEN_RATE * hidden.sum(axis=0)
        np.clip(self.offsets, -_FARTHEST, _FARTHEST, out=self.offsets)

    def _expected(self, lengths: Floats, shifted: Floats, known: Floats) -> Floats:
        """By how much more often than it should each level is expected to be passed (n, levels).

        Of a length that ran into its cap, the forecast tells what lies beyond; if that is passed
        as often as forecast, the mean over all calls is 0 (as in an EM step; Dempster, Laird and
        Rubin 1977).
        """
        pairs = zip(known.tolist(), shifted, strict=True)
        reached = np.array(
            [np.interp(cap, levels, self._levels, left=0.0) for cap, levels in pairs]
        )
        short = 1.0 - self._levels
        passed = short / np.maximum(1.0 - reached[:, None], short)
        return np.where((lengths >= known)[:, None], passed, 0.0) - short


def _spread(forecasts: Floats) -> Floats:
    """How wide each forecast is (n, 1): from its second level to the last but two."""
    return np.maximum(forecasts[:, -3:-2] - forecasts[:, 1:2], _NARROWEST) / 2.0
