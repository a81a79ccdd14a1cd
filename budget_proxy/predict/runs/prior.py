"""What is believed of a run before any run is known: a few made-up runs, wide apart.

They weigh as much as two runs, so that they matter while there are few, and beyond the longest;
as runs become known, they become like those.
"""

from __future__ import annotations

from math import exp, log, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WEIGHT: Final = 2.0
"""Runs that the prior counts as in a forecast (chosen on development rows)."""

POINTS: Final = 15
_MEDIAN_TURNS: Final = 20.0
_SPREAD_TURNS: Final = 1.2
"""Median, and standard deviation of ln, of turns: thrice the spread within one agent, for agents
unlike those of two recordings, whose medians are 10 and 33."""

_BELIEVED: Final = 3.0
"""Runs that these two weigh as, when runs are known (chosen on development rows)."""

_MEDIAN_A_TURN, _SPREAD_A_TURN = 10_000.0, 0.8
"""Likewise of tokens a turn, which are 14,000 and 13,000."""

_OUTPUT: Final = 0.03
_GROWTH: Final = 0.05
_TAIL: Final = 0.02
_NORMAL: Final = NormalDist()
_SHARES: Final = (np.arange(POINTS) + 0.5) / POINTS
_SCORES: Final = np.array([_NORMAL.inv_cdf(share) for share in _SHARES.tolist()])
_Z: Final[Floats] = np.linspace(-6.0, 6.0, 481)
_BELOW: Final[Floats] = np.array([_NORMAL.cdf(z) for z in _Z.tolist()])


def turns(steps: int, known: Floats, weights: Floats) -> Floats:
    """Turns of POINTS runs that get beyond ``steps``, ascending and equally probable.

    Log-normal, like the turns ``known`` (n,), weighted. Far beyond its middle they are shares of
    what was made so far: a run of 200 calls may well make 100 more, but hardly 10,000.
    """
    centre, spread = _shape(known, weights, _MEDIAN_TURNS, _SPREAD_TURNS)
    below = float(np.interp((log(steps) - centre) / spread, _Z, _BELOW)) if steps else 0.0
    start = min(below, 1.0 - _TAIL)
    scores = np.interp(start + (1.0 - start) * _SHARES, _BELOW, _Z)
    found = np.exp(centre + spread * scores)
    if below > start:
        found *= steps / exp(centre + spread * _NORMAL.inv_cdf(start))
    return np.maximum(found, steps + 1.0)


def whole(more: Floats, known: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Tokens (input + output) and output tokens of runs of ``more`` turns (POINTS,), ascending.

    Tokens a turn are log-normal, like those ``known`` (n,), weighted: the longer a run, the more.
    """
    centre, spread = _shape(known, weights, _MEDIAN_A_TURN, _SPREAD_A_TURN)
    tokens = more * np.exp(centre + spread * _SCORES)
    return tokens, _OUTPUT * tokens


def remaining(
    more: Floats, steps: int, first: float, last: float, output: float
) -> tuple[Floats, Floats]:
    """Tokens (input + output) and output tokens still to come in ``more`` calls (POINTS,).

    After ``steps`` calls (> 0), ``first`` and ``last`` are the input tokens of the first and the
    newest, ``output`` the mean output: a conversation is resent, so that input grows by as much a
    call as it has so far, and tokens with the square of the calls.
    """
    grown = (last - first) / (steps - 1) if steps > 1 else _GROWTH * last
    outputs = max(output, 1.0) * more
    return more * max(last, 1.0) + max(grown, 0.0) * more * more / 2.0 + outputs, outputs


def _shape(known: Floats, weights: Floats, median: float, spread: float) -> tuple[float, float]:
    """Mean and standard deviation of ln(known): the posterior's, of a normal's both unknown."""
    believed = log(median)
    count = float(weights.sum())
    if not count:
        return believed, spread
    logs = np.log(known)
    mean = float(weights @ logs) / count
    inner = float(weights @ (logs - mean) ** 2)
    total = _BELIEVED + count
    between = _BELIEVED * count / total * (mean - believed) ** 2
    return (
        (_BELIEVED * believed + count * mean) / total,
        sqrt((_BELIEVED * spread**2 + inner + between) / total),
    )
