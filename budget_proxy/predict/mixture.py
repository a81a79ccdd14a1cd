"""Lengths of nested groups, counted on the grid of ``histogram``, each drawn to its parent.

The distribution of a group is (own counts + k x its parent's distribution) / (n + k), the
posterior mean under a Dirichlet prior (Ferguson 1973); old outcomes fade. An outcome that was
cut off is spread over what may lie beyond, in proportion to what the group has there: Efron's
redistribution to the right (1967), one outcome after the other. Unlike ``quantile``, many calls
are computed at once, and in a few numpy operations.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.histogram import BINS, KERNELS, LOG_EDGES, bin_of

Floats = NDArray[np.float64]

_HEAVIEST: Final = 1e30
_FEWEST_ROWS: Final = 64


class Mixture:
    """``prior`` is the distribution (by bin) above all groups; a chain has ``depth`` groups."""

    def __init__(
        self, prior: Floats, *, depth: int, strength: float, memory: float, most: int = 4096
    ) -> None:
        self._prior = prior
        self._depth = depth
        self._strength = strength
        self._growth = memory / (memory - 1.0)
        self._most = max(most, depth + 1)
        self._rows: OrderedDict[int, int] = OrderedDict()
        self._table: Floats = np.zeros((_FEWEST_ROWS, BINS))
        self._weight = [0.0]
        self._unit = [1.0]
        self._count = [0]
        self._newest = [0]
        self._clock = 0

    def find(self, chain: Sequence[int]) -> list[int]:
        """The rows of a chain's keys, parents first; 0, which is empty, where there is none."""
        rows = self._rows
        return [rows.get(key, 0) for key in chain]

    def count(self, row: int) -> int:
        """How many outcomes were counted in a row."""
        return self._count[row]

    def age(self, row: int) -> int:
        """How many outcomes ago the newest of a row came; 0 for the newest of all."""
        return self._clock - self._newest[row]

    def distributions(self, chains: Sequence[Sequence[int]]) -> Floats:
        """The distributions by bin (n, BINS) of n chains, given by the rows of each."""
        k = self._strength
        units = np.array([[self._unit[row] for row in chain] for chain in chains])
        weights = np.array([[self._weight[row] for row in chain] for chain in chains])
        shares = k / (weights / units + k)  # the parent's part in each
        below = np.multiply.accumulate(shares[:, ::-1], axis=1)[:, ::-1]
        own = np.empty_like(shares)
        own[:, :-1] = shares[:, :-1] * below[:, 1:]
        own[:, -1] = shares[:, -1]
        own /= k * units
        mixed: Floats = np.matmul(own[:, None, :], self._table[np.array(chains)])[:, 0]
        mixed += below[:, :1] * self._prior
        return mixed

    def add(self, chain: Sequence[int], length: float) -> None:
        """Count one length (tokens) in each group of a chain."""
        self._count_in(self._touch(chain), *KERNELS[bin_of(length)])

    def add_spread(self, chain: Sequence[int], distribution: Floats) -> None:
        """Count one outcome of which only a distribution by bin is known."""
        self._count_in(self._touch(chain), slice(None), distribution)

    def beyond(self, chain: Sequence[int], length: float) -> Floats:
        """The distribution of a length of which is known only that it is above ``length``."""
        place = bin_of(length)
        tail: Floats = self.distributions([self.find(chain)])[0]
        tail[:place] = 0.0
        whole = float(tail.sum())
        if whole <= 0.0:
            tail[place] = whole = 1.0
        tail /= whole
        return tail

    def _count_in(self, rows: list[int], where: slice, weights: Floats) -> None:
        # The newest outcome grows instead of all others shrinking: O(1), not O(bins).
        self._clock += 1
        for row in rows:
            unit = self._unit[row] = self._unit[row] * self._growth
            reach = self._table[row, where]
            reach += unit * weights
            self._weight[row] += unit
            self._count[row] += 1
            self._newest[row] = self._clock
            if unit > _HEAVIEST:
                self._rescale(row)

    def _touch(self, chain: Sequence[int]) -> list[int]:
        crowded = 2 * len(self._rows) > self._most  # else none has to go for long
        rows = []
        for key in chain:
            if not key:
                continue
            row = self._rows.get(key, 0) or self._new(key)
            if crowded:
                self._rows.move_to_end(key)
            rows.append(row)
        return rows

    def _new(self, key: int) -> int:
        if len(self._rows) >= self._most:
            _, row = self._rows.popitem(last=False)
            self._table[row] = 0.0
            self._weight[row], self._unit[row], self._count[row] = 0.0, 1.0, 0
        else:
            row = len(self._rows) + 1
            if row >= len(self._table):
                more = min(len(self._table), self._most + 1 - len(self._table))
                self._table = np.concatenate((self._table, np.zeros((more, BINS))))
            self._weight.append(0.0)
            self._unit.append(1.0)
            self._count.append(0)
            self._newest.append(0)
        self._rows[key] = row
        return row

    def _rescale(self, row: int) -> None:
        self._table[row] /= self._unit[row]
        self._weight[row] /= self._unit[row]
        self._unit[row] = 1.0


def log_quantiles(distributions: Floats, levels: Floats) -> Floats:
    """Ln(tokens) at ``levels`` (n, levels) of n distributions by bin, log-linear within a bin."""
    reached = np.add.accumulate(distributions, axis=1)
    reached /= reached[:, -1:]
    n = len(reached)
    if n == 1:
        knots = np.concatenate(((0.0,), reached[0]))
        return np.interp(levels, knots, LOG_EDGES)[None]
    goals = np.broadcast_to(levels, (n, len(levels)))
    at = np.empty(goals.shape, np.intp)
    for row in range(n):
        at[row] = reached[row].searchsorted(levels)
    at = np.minimum(at, BINS - 1)
    above = np.take_along_axis(reached, at, axis=1)
    before = np.where(at > 0, np.take_along_axis(reached, np.maximum(at - 1, 0), axis=1), 0.0)
    share = (goals - before) / np.maximum(above - before, 1e-300)
    low = LOG_EDGES[at]
    found: Floats = low + share.clip(0.0, 1.0) * (LOG_EDGES[at + 1] - low)
    return found
