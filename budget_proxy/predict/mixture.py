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
from copy import copy
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.histogram import BINS, EDGES, KERNELS, LOG_EDGES, bin_of
from budget_proxy.predict.network import LEVELS

Floats = NDArray[np.float64]

_HEAVIEST: Final = 1e30
_FEWEST_ROWS: Final = 64
_NOBODY, _PRIOR = 0, 1  # the first rows: an empty one, and the prior
_FEW: Final = 4
_LOG_WIDTHS: Final = np.diff(LOG_EDGES)
_LEVELS: Final = np.array(LEVELS)


def _even() -> tuple[NDArray[np.intp], Floats]:
    """KERNELS as two tables (BINS, most): the bins, and the weights, which end in zeros."""
    most = max(len(weights) for _, weights in KERNELS)
    places = np.zeros((BINS, most), np.intp)
    even = np.zeros((BINS, most))
    for place, (where, weights) in enumerate(KERNELS):
        places[place, : len(weights)] = np.arange(where.start, where.stop)
        even[place, : len(weights)] = weights
    return places, even


_PLACES, _WEIGHTS = _even()


class Mixture:
    """``prior`` is the distribution (by bin) above all groups; a chain has ``depth`` groups."""

    def __init__(
        self, prior: Floats, *, depth: int, strength: float, memory: float, most: int = 4096
    ) -> None:
        self._strength = strength
        self._growth = memory / (memory - 1.0)
        self._most = max(most, depth + 1)
        self._rows: OrderedDict[int, int] = OrderedDict()
        self._table: Floats = np.zeros((_FEWEST_ROWS, BINS))
        self._table[_PRIOR] = prior
        self._weight = [0.0, 0.0]
        self._unit = [1.0, 1.0]
        self._count = [0, 0]
        self._newest = [0, 0]
        self._free: list[int] = []
        self._left: list[int] = []
        self._clock = 0
        self._told: dict[tuple[int, ...], tuple[float, ...]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Its state, of which answers that are kept are no part."""
        return {**vars(self), "_told": {}}

    def copy(self) -> Mixture:
        """The same, to be counted on apart from this."""
        twin = copy(self)
        for name, value in vars(twin).items():
            if isinstance(value, list | dict | np.ndarray):
                setattr(twin, name, value.copy())
        return twin

    def find(self, chain: Sequence[int]) -> list[int]:
        """The rows of a chain's keys, parents first; 0, which is empty, where there is none."""
        rows = self._rows
        return [rows.get(key, _NOBODY) for key in chain]

    def knows(self, key: int) -> bool:
        """Whether any outcome of a group was counted."""
        return key in self._rows

    def count(self, row: int) -> int:
        """How many outcomes were counted in a row."""
        return self._count[row]

    def age(self, row: int) -> int:
        """How many outcomes ago the newest of a row came; 0 for the newest of all."""
        return self._clock - self._newest[row]

    def distributions(self, chains: Sequence[Sequence[int]]) -> Floats:
        """The distributions by bin (n, BINS) of n chains, given by the rows of each."""
        rows: list[int] = []
        shares: list[float] = []
        for chain in chains:
            upwards = chain[::-1]
            shares += self._shares(upwards)
            rows += upwards
            rows.append(_PRIOR)
        shape = len(chains), len(shares) // len(chains)
        own = np.array(shares).reshape(len(chains), 1, -1)
        mixed: Floats = np.matmul(own, self._table.take(rows, axis=0).reshape(*shape, BINS))[:, 0]
        return mixed

    def _shares(self, rows: Sequence[int]) -> list[float]:
        """By what a distribution multiplies its rows, parents last, and after them the prior."""
        k, units, weights = self._strength, self._unit, self._weight
        shares: list[float] = []
        left = 1.0  # for parents
        for row in rows:
            kept = k * units[row]
            left *= kept / (weights[row] + kept)
            shares.append(left / kept)
        shares.append(left)
        return shares

    def quantiles(self, chain: tuple[int, ...]) -> tuple[float, ...]:
        """Ln(tokens) at LEVELS of one chain's keys.

        They are kept until an outcome is counted: calls of one group come one after the other.
        """
        told = self._told
        if chain not in told:
            if len(told) >= self._most:
                told.clear()
            rows = self.find(chain)[::-1]
            parts = self._table.take([*rows, _PRIOR], axis=0)
            found = _log_quantiles(np.array(self._shares(rows)).dot(parts), _LEVELS)
            told[chain] = tuple(found.tolist())
        return told[chain]

    def add(self, chains: Sequence[Sequence[int]], lengths: Sequence[float]) -> None:
        """Count lengths (tokens), each in every group of its chain."""
        rows, units, whose = self._counted(chains)
        bins = (EDGES.searchsorted(lengths, "right") - 1).clip(0, BINS - 1)[whose]
        places = _PLACES.take(bins, axis=0)
        places += np.array(rows, np.intp)[:, None] * BINS
        weights = _WEIGHTS.take(bins, axis=0)
        weights *= np.array(units)[:, None]
        np.add.at(self._table.reshape(-1), places.ravel(), weights.ravel())
        self._settle(rows, units)

    def add_spread(self, chain: Sequence[int], distribution: Floats) -> None:
        """Count one outcome of which only a distribution by bin is known."""
        rows, units, _ = self._counted([chain])
        self._table[rows] += np.array(units)[:, None] * distribution
        self._settle(rows, units)

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

    def _counted(self, chains: Sequence[Sequence[int]]) -> tuple[list[int], list[float], list[int]]:
        """Count an outcome of each chain: rows of the table, at what weight, and whose it is."""
        self._told.clear()
        # The newest outcome grows instead of all others shrinking: O(1), not O(bins).
        rows, units, whose = [], [], []
        known, unit_of, weight_of = self._rows, self._unit, self._weight
        count_of, newest_of, growth = self._count, self._newest, self._growth
        for number, chain in enumerate(chains):
            self._clock += 1
            crowded = 2 * len(known) > self._most  # else none has to go for long
            for key in chain:
                if not key:
                    continue
                row = known.get(key, _NOBODY) or self._new(key)
                if crowded:
                    known.move_to_end(key)
                unit = unit_of[row] = unit_of[row] * growth
                weight_of[row] += unit
                count_of[row] += 1
                newest_of[row] = self._clock
                rows.append(row)
                units.append(unit)
                whose.append(number)
        return rows, units, whose

    def _settle(self, rows: list[int], units: list[float]) -> None:
        """Empty the rows whose groups had to go, and rescale those that are heavy by now."""
        for row in self._left:
            self._table[row] = 0.0
            self._weight[row], self._unit[row], self._count[row] = 0.0, 1.0, 0
        self._free += self._left
        self._left = []
        if max(units, default=0.0) > _HEAVIEST:
            for row in set(rows):
                self._rescale(row)

    def _new(self, key: int) -> int:
        if len(self._rows) >= self._most:
            _, left = self._rows.popitem(last=False)
            self._left.append(left)  # to be emptied once what is counted is in the table
        row = self._free.pop() if self._free else self._row()
        self._rows[key] = row
        return row

    def _row(self) -> int:
        row = len(self._weight)
        if row >= len(self._table):
            self._table = np.concatenate((self._table, np.zeros_like(self._table)))
        self._weight.append(0.0)
        self._unit.append(1.0)
        self._count.append(0)
        self._newest.append(0)
        return row

    def _rescale(self, row: int) -> None:
        self._table[row] /= self._unit[row]
        self._weight[row] /= self._unit[row]
        self._unit[row] = 1.0


def log_quantiles(distributions: Floats, levels: Floats) -> Floats:
    """Ln(tokens) at ``levels`` (n, levels) of n distributions by bin, log-linear within a bin."""
    if len(distributions) < _FEW:
        return np.array([_log_quantiles(one, levels) for one in distributions])
    reached = np.zeros((len(distributions), BINS + 1))
    np.add.accumulate(distributions, axis=1, out=reached[:, 1:])
    goals = reached[:, -1:] * levels
    pairs = zip(reached, goals, strict=True)
    at = np.array([row[1:-1].searchsorted(goal) for row, goal in pairs])
    places = at + np.arange(0, reached.size, BINS + 1)[:, None]
    before = reached.take(places)
    places += 1
    share = (goals - before) / np.maximum(reached.take(places) - before, 1e-300)
    found: Floats = LOG_EDGES.take(at) + share * _LOG_WIDTHS.take(at)
    return found


def _log_quantiles(distribution: Floats, levels: Floats) -> Floats:
    reached = np.zeros(BINS + 1)
    np.add.accumulate(distribution, out=reached[1:])
    found: Floats = np.interp(reached[-1] * levels, reached, LOG_EDGES)
    return found
