"""The recommended budget: the amount that a call most probably uses well, and how probably.

Pure arithmetic on quantiles; it knows nothing of where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

LOWEST_USE: Final = 0.50
HIGHEST_USE: Final = 0.95
"""A budget is used well if use / budget lies between these two, both included."""

_LOG_LOWEST: Final = float(np.log(LOWEST_USE))
_LOG_HIGHEST: Final = float(np.log(HIGHEST_USE))
_HAIR: Final = 1e-9


def recommend(
    levels: Sequence[float] | NDArray[np.float64],
    values: Sequence[float] | NDArray[np.float64],
    floor: float,
) -> tuple[int, float]:
    """Find the whole B >= ``floor`` with the greatest P(.50 B <= used <= .95 B), and that.

    ``levels`` ascend and ``values`` (tokens) do not decrease; between them the distribution
    is log-linear, and what lies outside of them counts as missed. The probability is then
    piecewise linear in ln B with its corners at value / .50 and value / .95, so that the best
    whole number is next to a corner or is the floor. On ties the smallest wins.
    """
    knots = np.maximum(values, 1.0)
    least = max(float(ceil(floor)), 1.0)
    below = np.floor(np.concatenate((knots / LOWEST_USE, knots / HIGHEST_USE)))
    options = np.maximum(np.concatenate(([least], below, below + 1.0)), least)
    options.sort()
    # The hair makes both ends of the interval count where a value is a whole atom of mass.
    log_knots, log_options = np.log(knots), np.log(options)
    upper = np.interp(log_options + (_LOG_HIGHEST + _HAIR), log_knots, levels)
    lower = np.interp(log_options + (_LOG_LOWEST - _HAIR), log_knots, levels)
    chances = upper - lower
    best = int((chances >= chances.max() - _HAIR).argmax())
    return int(options[best]), float(chances[best])
