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
_SPREAD_STRENGTH, _LARGEST = 5.0, 3.0
_SPREAD_PRIOR: Final = 0.4 * _SPREAD_STRENGTH
_COUNTS: Final = len(FACTORS)
_APART: Final = 0x9E3779B97F4A7C15  # what tells the same number under two factors apart
_TAGS: Final = tuple(place * _APART & MASK for place in range(_COUNTS))


class Effects:
    """Effects by key: a dict from key to its row, and by row S, n and the sum of abs(rest).

    Row 0 is nobody's and stays zero. Holds at most ``most`` keys; when full, the half that
    was not touched for longest is dropped. Columns are lists: a call looks at ten rows, and
    that few numbers are read more quickly so than from arrays.
    """

    __slots__ = ("_ages", "_clock", "_counts", "_most", "_rests", "_rows", "_sums", "general")

    def __init__(self, most: int = 120_000) -> None:
        self.general = log(prior.MEDIAN)
        self._most = most
        self._rows: dict[int, int] = {}
        self._sums = [0.0]
        self._counts = [0]
        self._rests = [0.0]
        self._ages = [0]
        self._clock = 0

    def find(self, keys: Sequence[int]) -> list[int]:
        """The table's rows of a case's keys; 0 for those never seen."""
        rows = self._rows
        return [rows.get(key ^ tag, 0) if key else 0 for key, tag in zip(keys, _TAGS, strict=True)]

    def look(self, rows: list[int]) -> tuple[list[float], list[int], list[float]]:
        """Effects, counts and mean abs(rest) of ``rows``, by FACTORS."""
        sums, counts, rests = self._sums, self._counts, self._rests
        effects, seen, spreads = [], [], []
        for row, k in zip(rows, STRENGTHS, strict=True):
            count = counts[row]
            effects.append(sums[row] / (count + k))
            seen.append(count)
            spreads.append((rests[row] + _SPREAD_PRIOR) / (count + _SPREAD_STRENGTH))
        return effects, seen, spreads

    def add(self, keys: Sequence[int], rows: list[int], effects: list[float], rest: float) -> None:
        """Count one outcome in: ``rest`` is what its effects left of ln(tokens)."""
        self._clock += 1
        size = min(abs(rest), _LARGEST)
        sums, counts, rests, ages = self._sums, self._counts, self._rests, self._ages
        for key, tag, found, effect in zip(keys, _TAGS, rows, effects, strict=True):
            row = found or (self._new(key ^ tag) if key else 0)
            if row:
                sums[row] += effect + rest
                counts[row] += 1
                rests[row] += size
                ages[row] = self._clock

    def _new(self, key: int) -> int:
        row = len(self._sums)
        if row >= self._most:
            return 0
        self._sums.append(0.0)
        self._counts.append(0)
        self._rests.append(0.0)
        self._ages.append(0)
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
        sums = [a * (n + k) for a, n, k in zip(effects, counts, STRENGTHS, strict=True)]
        owned = [found ^ np.uint64(tag) for found, tag in zip(keys, _TAGS, strict=True)]
        self._sums = [0.0, *_chosen(sums, seen)]
        self._counts = [0, *_chosen(counts, seen)]
        self._rests = [0.0, *_chosen(rests, seen)]
        self._ages = [0] * len(self._sums)
        self._rows = {key: row for row, key in enumerate(_chosen(owned, seen), 1)}

    def tidy(self) -> None:
        """Make room where the table is nearly full. Changes rows: none may be held over it."""
        if len(self._rows) + _COUNTS + 1 < self._most:
            return
        kept = sorted(self._rows.items(), key=lambda item: -self._ages[item[1]])
        kept = kept[: self._most // 2]
        old = [0, *(row for _, row in kept)]
        self._sums = [self._sums[row] for row in old]
        self._counts = [self._counts[row] for row in old]
        self._rests = [self._rests[row] for row in old]
        self._ages = [self._ages[row] for row in old]
        self._rows = {key: at for at, (key, _) in enumerate(kept, 1)}


def _chosen(columns: Sequence[NDArray[Any]], places: Sequence[NDArray[np.bool_]]) -> list[Any]:
    found: list[Any] = np.concatenate(
        [column[at] for column, at in zip(columns, places, strict=True)]
    ).tolist()
    return found


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
