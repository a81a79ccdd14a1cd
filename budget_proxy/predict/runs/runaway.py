"""How far runs of an agent usually get: beyond that, a run has run away.

What a run has used only grows, so that it passes a fixed limit at some time exactly if its total
does: one comparison a call is valid at every call together.
"""

from __future__ import annotations

from math import exp, inf, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.runs.survival import log_quantiles
from budget_proxy.types import frozen

Floats = NDArray[np.float64]

RATE: Final = 0.01
"""Share of usual runs that an alarm may be raised for, over both measures together."""

FEWEST: Final = 8.0
"""Runs, below which there is no limit: nothing is known of what is usual."""

_LEVEL: Final = 1.0 - RATE / 2.0
_SCORE: Final = NormalDist().inv_cdf(_LEVEL)


@frozen
class Usual:
    """What runs stay below: turns and tokens (input + output); infinite where nothing is known.

    ``runs`` of them say so, and ``turns`` is their mean number of turns.
    """

    runs: float = 0.0
    turns: float = 0.0
    most_turns: float = inf
    most_tokens: float = inf


def usual(turns: Floats, tokens: Floats, weights: Floats, runs: float) -> Usual:
    """The limits that a sample of runs (n,) sets; ``runs`` is how many it counts as."""
    share = weights / weights.sum()
    mean = float(share @ turns)
    if runs < FEWEST:
        return Usual(runs, mean)
    return Usual(runs, mean, *(_limit(values, share, runs) for values in (turns, tokens)))


def _limit(values: Floats, share: Floats, runs: float) -> float:
    """What a run passes with probability RATE / 2 at most.

    A log-normal's prediction limit (Hahn and Meeker 1991), since few runs tell little of a tail;
    or the sample's own quantile, where that lies higher.
    """
    logs = np.log(values)
    centre = float(share @ logs)
    spread = sqrt(float(share @ (logs - centre) ** 2) * runs / (runs - 1.0))
    limit = centre + _student(runs - 1.0) * spread * sqrt(1.0 + 1.0 / runs)
    return exp(max(limit, float(log_quantiles(values, share, (_LEVEL,))[0])))


def _student(freedom: float) -> float:
    """The quantile of Student's t at _LEVEL (Cornish and Fisher's expansion; 0.1 % off at 7)."""
    z = _SCORE
    return (
        z
        + (z**3 + z) / (4.0 * freedom)
        + (5.0 * z**5 + 16.0 * z**3 + 3.0 * z) / (96.0 * freedom**2)
        + (3.0 * z**7 + 19.0 * z**5 + 17.0 * z**3 - 15.0 * z) / (384.0 * freedom**3)
    )
