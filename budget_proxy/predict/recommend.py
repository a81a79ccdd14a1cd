"""The recommended budget: the amount that a call most probably uses well, and how probably.

Pure arithmetic on quantiles; it knows nothing of where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log
from typing import Final

import numpy as np
from numpy.typing import NDArray

LOWEST_USE: Final = 0.50
HIGHEST_USE: Final = 0.95
"""A budget is used well if use / budget lies between these two, both included."""

_HAIR: Final = 1e-9
_USES: Final = LOWEST_USE, HIGHEST_USE
# The hair makes both ends of the interval count where a value is a whole atom of mass.
_LOG_USES: Final = np.array(((log(LOWEST_USE) - _HAIR,), (log(HIGHEST_USE) + _HAIR,)))


def recommend(
    levels: Sequence[float] | NDArray[np.float64], values: Sequence[float], least: float
) -> tuple[int, float]:
    """Find the whole B >= ``least`` with the greatest P(.50 B <= used <= .95 B), and that.

    ``levels`` ascend and ``values`` (tokens) do not decrease; between them the distribution
    is log-linear, and what lies outside of them counts as missed. The probability is then
    piecewise linear in ln B with its corners at value / .50 and value / .95, so that the best
    whole number is next to a corner or is the least. On ties the smallest wins.
    """
    knots = [max(value, 1.0) for value in values]
    lowest = max(ceil(least), 1)
    below = [floor(knot / use) for use in _USES for knot in knots]
    corners = {lowest, *below, *[number + 1 for number in below]}
    options = sorted([number for number in corners if number >= lowest])
    asked = np.log(np.array(options, np.float64)) + _LOG_USES
    reached = np.interp(asked, list(map(log, knots)), levels)
    chances = (reached[1] - reached[0]).tolist()
    enough = max(chances) - _HAIR
    return next(pair for pair in zip(options, chances, strict=True) if pair[1] >= enough)
