"""A number that is not known, by what is expected and between which bounds it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

ENDS: Final = (0.5, 0.025, 0.975)
"""The quantiles of a Range."""


@dataclass(frozen=True, slots=True)
class Range:
    """What is expected (the median), and between which bounds it lies with 95 % probability."""

    expected: float
    low: float
    high: float


def range_of(draws: NDArray[np.float64]) -> Range:
    """The range of what was drawn (n)."""
    return Range(*np.quantile(draws, ENDS).tolist())
