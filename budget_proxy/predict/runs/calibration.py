"""Calibration of runs' quantiles, level by level, by how many calls had been seen.

Quantile tracking as in ``predict/tracking.py``, at a rate for hundreds of runs, not thousands of
calls: offset += rate x (1[y > q] - (1 - level)), in halves of the forecast's width on ln.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.runs.base import LEVELS

Floats = NDArray[np.float64]

STAGES: Final = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
"""Calls seen at which a stage of a run begins."""

MEASURES: Final = 3
"""Tokens, output tokens and turns."""

RATE: Final = 0.02
_FARTHEST: Final = 2.0
_NARROWEST: Final = 0.05
_SHORT: Final = 1.0 - np.array(LEVELS)


def stage_of(steps: int) -> int:
    """The place in STAGES of a run of so many calls."""
    return bisect_right(STAGES, steps) - 1


class StageTracking:
    """Offsets by stage, measure and level."""

    __slots__ = ("_offsets",)

    def __init__(self) -> None:
        self._offsets: Floats = np.zeros((len(STAGES), MEASURES, len(LEVELS)))

    def apply(self, stage: int, forecasts: Floats) -> Floats:
        """Shift forecasts (MEASURES, levels), or the first of them, on ln; they still ascend."""
        half = np.maximum(forecasts[:, -1:] - forecasts[:, :1], _NARROWEST) / 2.0
        shifted = forecasts + self._offsets[stage, : len(forecasts)] * half
        return np.maximum.accumulate(shifted, axis=1)

    def learn(self, stage: int, forecasts: Floats, came: Floats) -> None:
        """Learn from what came (MEASURES,) and what was forecast of it, shifted; all on ln."""
        offsets = self._offsets[stage]
        offsets += RATE * ((came[:, None] > forecasts) - _SHORT)
        np.clip(offsets, -_FARTHEST, _FARTHEST, out=offsets)
