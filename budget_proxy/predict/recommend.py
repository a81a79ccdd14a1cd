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

_HAIR: Final = 1e-9
_USES: Final = np.array(((LOWEST_USE,), (HIGHEST_USE,)))
# The hair makes both ends of the interval count where a value is a whole atom of mass.
_LOG_USES: Final = np.log(_USES) + np.array(((-_HAIR,), (_HAIR,)))


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
    below = np.floor(knots / _USES).ravel()
    options = np.maximum(np.concatenate(((least,), below, below + 1.0)), least)
    options.sort()
    lower, upper = np.interp(np.log(options) + _LOG_USES, np.log(knots), levels)
    chances = upper - lower
    best = int((chances >= chances.max() - _HAIR).argmax())
    return int(options[best]), float(chances[best])
