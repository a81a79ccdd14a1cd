"""Lengths counted on a logarithmic grid: censored ones included, old ones fading.

One structure does the smoothing, the censoring and the back-off to a parent group. It leaves
out which groups there are, and what is done with the quantiles.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LONGEST: Final = 2_000_000
"""Tokens; anything longer counts as this long."""

BANDWIDTH: Final = 0.12
"""Standard deviation, in ln(tokens), of the kernel that a length is spread with: well below
the .35 by which the lengths of one and the same prompt spread."""

_WIDTH: Final = 1.05
_REACH: Final = 2.5
_HEAVIEST: Final = 1e30
_LEAST: Final = 1e-12  # keeps the tail from rounding to 0, and 0 / 0 out of the next group


def _grid() -> tuple[float, ...]:
    edges = [0.5]
    while edges[-1] < LONGEST:
        edges.append(max(edges[-1] + 1.0, floor(edges[-1] * _WIDTH - 0.5) + 0.5))
    return tuple(edges)


_EDGES: Final = _grid()
EDGES: Final[Floats] = np.array(_EDGES)
"""Bin b holds the whole numbers between EDGES[b] and EDGES[b + 1]: one each up to about 40
tokens, then as many as fit into 5 %."""

LOG_EDGES: Final[Floats] = np.log(EDGES)
BINS: Final = len(_EDGES) - 1


def _kernels() -> tuple[tuple[slice, Floats], ...]:
    """Where a length of each bin counts, and with what weights; they add up to 1.

    Bins of a single number keep it: short answers are often exactly alike.
    """
    centres = (LOG_EDGES[:-1] + LOG_EDGES[1:]) / 2.0
    widths = np.diff(LOG_EDGES)
    first = int(np.argmax(np.diff(EDGES) > 1.0))
    kernels = [(slice(place, place + 1), np.ones(1)) for place in range(first)]
    for place in range(first, BINS):
        scores = (centres - centres[place]) / BANDWIDTH
        near = np.flatnonzero(np.abs(scores) <= _REACH)
        near = near[near >= first]
        weights = widths[near] * np.exp(-0.5 * scores[near] ** 2)
        kernels.append((slice(int(near[0]), int(near[-1]) + 1), weights / weights.sum()))
    return tuple(kernels)


KERNELS: Final = _kernels()
"""For each bin the bins that a length in it counts in, and the weights, which add up to 1."""


def bin_of(tokens: float) -> int:
    """The bin that a length falls into; what lies beyond the grid counts at its end."""
    return min(max(bisect_right(_EDGES, tokens) - 1, 0), BINS - 1)


class Histogram:
    """Outcomes of one group by length.

    Each new outcome counts 1 and the earlier ones (1 - 1/memory) of what they did, so that
    ``memory`` outcomes are the weight of an infinite past; ``None`` forgets nothing.
    """

    __slots__ = ("_cut", "_ended", "_growth", "_weight", "censored", "count")

    def __init__(self, memory: float | None = None) -> None:
        self._growth = 1.0 if memory is None else memory / (memory - 1.0)
        self._weight = 1.0
        self._ended: Floats = np.zeros(BINS)
        self._cut: Floats = np.zeros(BINS)
        self.count = 0
        self.censored = 0

    def add(self, tokens: int, *, censored: bool) -> None:
        """Count one length; a censored one says only that the true length is no shorter."""
        # The newest outcome grows instead of all others shrinking: O(1), not O(bins).
        self._weight *= self._growth
        if self._weight > _HEAVIEST:
            self._ended /= self._weight
            self._cut /= self._weight
            self._weight = 1.0
        place = bin_of(tokens)
        self.count += 1
        if censored:
            self.censored += 1
            self._cut[place] += self._weight
        else:
            where, weights = KERNELS[place]
            reach = self._ended[where]
            reach += self._weight * weights

    def survival(self, parent: Floats, strength: float) -> Floats:
        """P(length > edge) at EDGES, with ``parent`` (the same of it) as ``strength`` outcomes.

        The hazard of each bin is (d + k p) / (r + k S): d lengths that ended in it, r that
        reached it (censored ones up to where they were cut), p and S the parent's mass in the
        bin and survival before it, k the strength. With k -> 0 this is Kaplan and Meier
        (1958), without censoring the mixture (n own + k parent) / (n + k), in general the
        posterior mean under a Dirichlet process prior (Susarla and Van Ryzin 1976).
        """
        strength *= self._weight
        before = parent[:-1]
        alive = self._ended + self._cut if self.censored else self._ended
        reached = np.add.accumulate(alive[::-1])[::-1]
        hazard = (self._ended + strength * (before - parent[1:])) / (reached + strength * before)
        values = np.empty(BINS + 1)
        values[0] = 1.0
        np.multiply.accumulate(np.maximum(1.0 - hazard, _LEAST), out=values[1:])
        values[-1] = 0.0
        return values


def quantiles(survival: Floats, levels: Sequence[float] | Floats) -> Floats:
    """Tokens at ``levels`` of a survival function at EDGES, log-linear within a bin."""
    values = np.exp(np.interp(levels, 1.0 - survival, LOG_EDGES))
    return np.maximum.accumulate(values)
