"""What runs had used by each of their calls: the newest runs, in one table.

Steps are kept one by one at first, and later at a growing distance, between which is
interpolated: a run of any length takes the same room.
"""

from __future__ import annotations

from bisect import bisect_right
from math import nan
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

TOKENS, OUTPUT, COST = range(3)
"""Columns of what was used: input + output tokens, output tokens, US dollars (NaN: not known)."""

_SINGLE: Final = 32
_FARTHER: Final = 1.15
_LONGEST: Final = 20_000
_FIRST_ROWS: Final = 64


def _kept() -> tuple[int, ...]:
    steps = list(range(_SINGLE + 1))
    while steps[-1] < _LONGEST:
        steps.append(round(steps[-1] * _FARTHER))
    return tuple(steps)


KEPT: Final = _kept()
"""Steps after which what a run had used is kept."""


class Trajectories:
    """At most ``most`` runs by row, the newest; a row is given again once it is the oldest.

    ``steps`` (rows,), ``used`` (rows, 3), ``last`` (rows,) the Unix time of the newest step, and
    ``ended`` (rows,).
    """

    __slots__ = ("_by", "_columns", "begun", "ended", "last", "most", "steps", "used")

    def __init__(self, most: int) -> None:
        self.most = most
        self.begun = 0
        self._allocate(min(_FIRST_ROWS, most))

    def begin(self) -> int:
        """The number of a new run; its row is ``row_of`` that."""
        number = self.begun
        self.begun += 1
        if number >= len(self.steps) and number < self.most:
            self._grow()
        row = number % self.most
        self.steps[row] = self._columns[row] = 0
        self.used[row] = self._by[row, 0] = 0.0
        self.ended[row] = False
        return number

    def row_of(self, number: int) -> int:
        """A run's row; -1 if it has been given to a newer one."""
        return number % self.most if number >= self.begun - self.most else -1

    def add(self, row: int, tokens: int, output: int, cost: float | None, ts: float) -> None:
        """Count one step of a run; a run that had ended goes on."""
        used = self.used[row]
        used[TOKENS] += tokens
        used[OUTPUT] += output
        used[COST] += nan if cost is None else cost
        self.steps[row] += 1
        self.last[row] = ts
        self.ended[row] = False
        column = self._columns[row] + 1
        if column < len(KEPT) and self.steps[row] == KEPT[column]:
            self._columns[row] = column
            self._by[row, column] = used

    def by(self, rows: Rows, step: int, measure: int) -> Floats:
        """What runs (n,) of more than ``step`` steps had used by then, in one measure: (n,)."""
        column = bisect_right(KEPT, step) - 1
        left: Floats = self._by[rows, column, measure]
        if KEPT[column] == step:
            return left
        steps = self.steps[rows]
        if column + 1 < len(KEPT):
            passed = steps >= KEPT[column + 1]
            later = self._by[rows, column + 1, measure]
            right = np.where(passed, later, self.used[rows, measure])
            steps = np.minimum(steps, KEPT[column + 1])
        else:
            right = self.used[rows, measure]
        share = (step - KEPT[column]) / (steps - KEPT[column])
        between: Floats = left + share * (right - left)
        return between

    def _allocate(self, rows: int) -> None:
        self.steps: Floats = np.zeros(rows)
        self.used: Floats = np.zeros((rows, 3))
        self.last: Floats = np.zeros(rows)
        self.ended = np.zeros(rows, bool)
        self._columns = np.zeros(rows, np.intp)
        self._by: Floats = np.zeros((rows, len(KEPT), 3))

    def _grow(self) -> None:
        old = self.steps, self.used, self.last, self.ended, self._columns, self._by
        rows = len(self.steps)
        self._allocate(min(2 * rows, self.most))
        new = self.steps, self.used, self.last, self.ended, self._columns, self._by
        for wide, narrow in zip(new, old, strict=True):
            wide[:rows] = narrow
