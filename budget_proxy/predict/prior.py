"""The forecast of the first day: one broad log-normal, before any history exists.

It leaves out everything that is known of the call, on purpose: a few dozen outcomes outweigh
any guess from the text, and until then the evidence gate lets no forecast act.
"""

from __future__ import annotations

from math import erfc, log, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

MEDIAN: Final = 260.0
"""Tokens: the mean of ln(output tokens) over four development files, each counted once."""

SPREAD: Final = 1.6
"""Standard deviation of ln(tokens) over the same files, so also between applications."""


def quantile(level: float) -> float:
    """Tokens at ``level`` (0-1, exclusive) of the prior: exp(ln MEDIAN + SPREAD z)."""
    return MEDIAN * float(np.exp(SPREAD * NormalDist().inv_cdf(level)))


def survival(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(length > edge) at ascending ``edges`` in tokens; 1 at the first, 0 at the last."""
    scores = (np.log(edges) - log(MEDIAN)) / SPREAD
    values = np.array([0.5 * erfc(score / sqrt(2.0)) for score in scores])
    values[0], values[-1] = 1.0, 0.0
    return values
