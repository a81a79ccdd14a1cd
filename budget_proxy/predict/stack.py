"""One forecast of several: for each level a weighted mean of the members' ln(tokens).

The weights lie on a simplex and come by exponentiated gradient (Kivinen and Warmuth 1997) on
the pinball loss in tokens, which is what is scored; few outcomes leave them at their start.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROUNDS: Final = 80
_RATE: Final = 0.2
_PULL, _PULLED = 0.1, 400.0
"""How strongly the start draws, and how many outcomes outweigh it. Below so many it draws less too:
there the weights hardly leave it by themselves, and what is plain in few outcomes is to count. The
fewer, the more the levels learn together, too: weights that differ from one to the next by chance
would let forecasts cross."""

_TINY: Final = 1e-9


def fit(members: Floats, lengths: Floats, levels: Floats, start: Floats) -> Floats:
    """Weights (levels, members) for ``members`` (members, n, levels) in ln(tokens).

    ``lengths`` (n) are in tokens; ``start`` has the weights' shape. A member that has none there
    at a level never gets any.
    """
    weights, counts = start.copy(), start > 0.0
    n = len(lengths)
    apart = members - _mean(members, counts / counts.sum(axis=1, keepdims=True))
    apart *= counts.T[:, None]
    many = min(n / _PULLED, 1.0)
    pull = _PULL * many * _PULLED / (_PULLED + n)
    for _ in range(_ROUNDS):
        tokens = np.exp(combine(members, weights))
        slope = ((lengths[:, None] <= tokens) - levels) * tokens
        total = np.einsum("nl,mnl->lm", slope, apart)
        noise = np.sqrt(np.einsum("nl,mnl->lm", slope * slope, apart * apart))
        step = total / (noise.max(axis=1, keepdims=True) + _TINY)
        step += (1.0 - many) * (step.mean(axis=0) - step)
        weights = weights * np.exp(-_RATE * step)
        weights /= weights.sum(axis=1, keepdims=True)
        weights = (1.0 - pull) * weights + pull * start
    return weights


def combine(members: Floats, weights: Floats) -> Floats:
    """The weighted mean (n, levels) of members (members, n, levels), ascending by level."""
    mixed = _mean(members, weights)
    mixed.sort(axis=1)
    return mixed


def combine_one(members: Sequence[Sequence[float]], weights: Floats) -> list[float]:
    """The same of one call, of which each member tells a list by level.

    Of so few numbers plain arithmetic is quicker than that of arrays.
    """
    by_level = zip(weights.tolist(), zip(*members, strict=True), strict=True)
    return sorted([sum(map(mul, weight, values)) for weight, values in by_level])


def _mean(members: Floats, weights: Floats) -> Floats:
    mean: Floats = np.einsum("lm,mnl->nl", weights, members)
    return mean
