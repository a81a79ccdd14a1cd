"""Additive effects on ln(tokens): what model, agent, template, prompt and so on add, shrunk.

ln y = general + sum of the effects of a case's keys + rest. The effect of a key seen n times
is S / (n + k), the posterior mean under a normal prior (Robinson 1991, "That BLUP is a good
thing"), S the sum of what its cases had left. Between sweeps each outcome is added to its keys;
``sweep`` fits all of them anew by backfitting, from coarse to fine (Breiman and Friedman 1985).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from math import log, log1p
from operator import xor
from typing import Any, Final, NamedTuple

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


class Told(NamedTuple):
    """What keys tell, each by FACTORS.

    Effects, counts of outcomes, mean abs(rest), and half the ln(1 + count).
    """

    effects: tuple[float, ...]
    counts: tuple[int, ...]
    spreads: tuple[float, ...]
    weights: tuple[float, ...]


_Row = tuple[float, int, float, float, int]
"""What a key's row tells, and when it was changed last."""

_NOBODY: Final[_Row] = (0.0, 0, _SPREAD, 0.0, 0)
_NOBODIES: Final = (_NOBODY,) * _COUNTS
_SOME: Final = 500


class Effects:
    """Effects by key. Where ``most`` are held, a case's keys are the last that are taken.

    When full, the half that was not touched for longest is dropped. Rows are tuples, which a call
    gathers in less time than numbers from arrays: they are so few.
    """

    __slots__ = ("_clock", "_most", "_rows", "general")

    def __init__(self, most: int = 120_000) -> None:
        self.general = log(prior.MEDIAN)
        self._most = most
        self._rows: dict[int, _Row] = {}
        self._clock = 0

    def look(self, keys: Sequence[int]) -> Told:
        """What is told by a case's keys, one of each of FACTORS; nothing by those never seen."""
        # A tag alone, as of key 0, is nobody's.
        found = map(self._rows.get, map(xor, keys, _TAGS), _NOBODIES)
        effects, counts, spreads, weights, _ = zip(*found, strict=True)
        return Told(effects, counts, spreads, weights)

    def add(self, keys: Sequence[int], told: Told, rest: float) -> None:
        """Count one outcome in: ``rest`` is what the effects ``told`` left of ln(tokens).

        S grows by an effect and the rest, so that S / (n + k) does by rest / (n + k), n counting
        the outcome; likewise the mean abs(rest).
        """
        self._clock = clock = self._clock + 1
        size, rows = min(abs(rest), _LARGEST), self._rows
        full = len(rows) >= self._most
        for key, tag, effect, count, spread, k in zip(
            keys, _TAGS, told.effects, told.counts, told.spreads, STRENGTHS, strict=True
        ):
            if key and (count or not full):
                n = count + 1
                grown = spread + (size - spread) / (n + _SPREAD_STRENGTH)
                rows[key ^ tag] = effect + rest / (n + k), n, grown, 0.5 * log1p(n), clock

    def set(
        self,
        keys: Sequence[Keys],
        effects: Sequence[Floats],
        counts: Sequence[NDArray[Any]],
        rests: Sequence[NDArray[Any]],
    ) -> None:
        """Replace everything by fitted effects, given by factor."""
        seen = [(n > 0) & (found != 0) for n, found in zip(counts, keys, strict=True)]
        owned = [found ^ np.uint64(tag) for found, tag in zip(keys, _TAGS, strict=True)]
        spreads = [
            (size + _SPREAD * _SPREAD_STRENGTH) / (n + _SPREAD_STRENGTH)
            for size, n in zip(rests, counts, strict=True)
        ]
        weights = [0.5 * np.log1p(n) for n in counts]
        columns = (_chosen(column, seen) for column in (effects, counts, spreads, weights))
        rows = zip(*columns, repeat(0), strict=False)
        self._rows = dict(zip(_chosen(owned, seen), rows, strict=True))

    def tidy(self) -> None:
        """Make room where the table is nearly full."""
        if len(self._rows) + _COUNTS + 1 < self._most:
            return
        kept = sorted(self._rows.items(), key=lambda item: -item[1][-1])
        self._rows = dict(kept[: self._most // 2])

    def let_go(self) -> Iterator[None]:
        """Forget all, step by step: to let go of that many values takes a while."""
        rows = self._rows
        while rows:
            for _ in range(min(len(rows), _SOME)):
                rows.popitem()
            yield


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
