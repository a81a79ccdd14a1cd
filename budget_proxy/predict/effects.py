"""Additive effects on ln(tokens): what model, agent, template, prompt and so on add, shrunk.

ln y = general + sum of the effects of a case's keys + rest. The effect of a key seen n times
is S / (n + k), the posterior mean under a normal prior (Robinson 1991, "That BLUP is a good
thing"), S the sum of what its cases had left. Between sweeps each outcome is added to its keys;
``sweep`` fits all of them anew by backfitting, from coarse to fine (Breiman and Friedman 1985).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict import prior
from budget_proxy.predict.cases import FACTORS, MASK

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]

STRENGTHS: Final = (3.0, 3.0, 5.0, 5.0, 8.0, 5.0, 1.0, 1.5, 5.0, 6.0)
"""Outcomes that "no effect" counts as, by FACTORS (predictor.md's, kept)."""

_K: Final = np.array(STRENGTHS)
FINE: Final = [FACTORS.index(name) for name in ("prompt", "model and prompt", "session")]
"""The factors that know one text or one run: what the others leave is there to be told by words."""
_SWEEPS: Final = 4
_SPREAD, _SPREAD_STRENGTH, _LARGEST = 0.4, 5.0, 3.0
_COUNTS: Final = len(FACTORS)
_APART: Final = 0x9E3779B97F4A7C15  # what tells the same number under two factors apart
_TAGS: Final = tuple(place * _APART & MASK for place in range(_COUNTS))


class Effects:
    """Effects by key: a table of (S, n, sum of abs(rest)) and a dict from key to its row.

    Row 0 is nobody's and stays zero. Holds at most ``most`` keys; when full, the half that
    was not touched for longest is dropped.
    """

    __slots__ = ("_age", "_clock", "_most", "_rows", "_table", "general")

    def __init__(self, most: int = 120_000) -> None:
        self.general = log(prior.MEDIAN)
        self._most = most
        self._rows: dict[int, int] = {}
        self._table: Floats = np.zeros((256, 3))
        self._age: NDArray[np.int64] = np.zeros(256, np.int64)
        self._clock = 0

    def find(self, keys: Sequence[int]) -> list[int]:
        """The table's rows of a case's keys; 0 for those never seen."""
        rows = self._rows
        return [
            rows.get(key + tag & MASK, 0) if key else 0
            for key, tag in zip(keys, _TAGS, strict=True)
        ]

    def look(self, rows: list[int]) -> tuple[Floats, Floats, Floats]:
        """Effects, counts and mean abs(rest) of ``rows``, by FACTORS."""
        sums, counts, rests = self._table[rows].T
        spread = (rests + _SPREAD * _SPREAD_STRENGTH) / (counts + _SPREAD_STRENGTH)
        return sums / (counts + _K), counts, spread

    def add(self, keys: Sequence[int], rows: list[int], effects: Floats, rest: float) -> None:
        """Count one outcome in: ``rest`` is what its effects left of ln(tokens)."""
        self._clock += 1
        for place, key in enumerate(keys):
            if key and not rows[place]:
                rows[place] = self._new(key + _TAGS[place] & MASK)
        table = self._table
        change = np.empty((_COUNTS, 3))
        change[:, 0] = effects + rest
        change[:, 1] = 1.0
        change[:, 2] = min(abs(rest), _LARGEST)
        table[rows] += change
        table[0] = 0.0
        self._age[rows] = self._clock

    def _new(self, key: int) -> int:
        row = len(self._rows) + 1
        if row >= len(self._table):
            if row >= self._most:
                return 0
            size = min(2 * len(self._table), self._most)
            self._table = np.concatenate((self._table, np.zeros((size - len(self._table), 3))))
            self._age = np.concatenate((self._age, np.zeros(size - len(self._age), np.int64)))
        self._rows[key] = row
        return row

    def set(
        self,
        keys: Sequence[Keys],
        effects: Sequence[Floats],
        counts: Sequence[NDArray[Any]],
        rests: Sequence[NDArray[Any]],
    ) -> None:
        """Replace everything by fitted effects, given by factor."""
        seen = [(n > 0) & (found != 0) for n, found in zip(counts, keys, strict=True)]
        rows = [
            np.stack(((a * (n + k))[at], n[at], r[at]), axis=1)
            for a, n, k, r, at in zip(effects, counts, STRENGTHS, rests, seen, strict=True)
        ]
        owned = [
            found[at] + np.uint64(tag) & np.uint64(MASK)
            for found, at, tag in zip(keys, seen, _TAGS, strict=True)
        ]
        self._table = np.concatenate((np.zeros((1, 3)), *rows))
        self._age = np.zeros(len(self._table), np.int64)
        self._rows = dict(
            zip(np.concatenate(owned).tolist(), range(1, len(self._table)), strict=True)
        )

    def tidy(self) -> None:
        """Make room where the table is nearly full. Changes rows: none may be held over it."""
        if len(self._rows) + _COUNTS + 1 < self._most:
            return
        kept = sorted(self._rows.items(), key=lambda item: -int(self._age[item[1]]))
        kept = kept[: self._most // 2]
        old = [row for _, row in kept]
        table, age = np.zeros_like(self._table), np.zeros_like(self._age)
        table[1 : len(old) + 1], age[1 : len(old) + 1] = self._table[old], self._age[old]
        self._table, self._age = table, age
        self._rows = {key: at for at, (key, _) in enumerate(kept, 1)}


class Backfit:
    """Sweeps over the first n of a fixed set of cases, whose keys are numbered once."""

    def __init__(self, keys: Keys) -> None:
        self._keys: list[Keys] = []
        self._codes: list[NDArray[np.intp]] = []
        for column in keys.T:
            found, codes = np.unique(column, return_inverse=True)
            self._keys.append(found)
            self._codes.append(codes)

    def sweep(self, into: Effects, lengths: Floats) -> None:
        """Set ``into`` to the effects fitted on the first ``len(lengths)`` cases."""
        n = len(lengths)
        general = float(lengths.mean())
        rest = lengths - general
        codes = [column[:n] for column in self._codes]
        counts = [np.bincount(c, minlength=len(k)) for c, k in zip(codes, self._keys, strict=True)]
        fitted = [np.zeros(len(found)) for found in self._keys]
        for _ in range(_SWEEPS):
            for place, code in enumerate(codes):
                rest += fitted[place][code]
                sums = np.bincount(code, rest, minlength=len(fitted[place]))
                fitted[place] = sums / (counts[place] + _K[place])
                fitted[place][self._keys[place] == 0] = 0.0
                rest -= fitted[place][code]
        size = np.minimum(np.abs(rest), _LARGEST)
        spreads = [np.bincount(c, size, len(k)) for c, k in zip(codes, self._keys, strict=True)]
        into.general = general
        into.set(self._keys, fitted, counts, spreads)
