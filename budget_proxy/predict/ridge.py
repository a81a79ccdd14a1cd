"""What the words tell: a ridge regression on hashed words and pairs of words.

Each text is the vector of its words' inverse document frequencies, of length 1. The weights
solve (X'X + d I) w = X'y by conjugate gradients (Hestenes and Stiefel 1952), started at 0 and
stopped early, which shrinks too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.grams import Grams
from budget_proxy.predict.signals import GRAMS

Floats = NDArray[np.float64]

_WORDS: Final = 65_536
_DAMPING: Final = 1.5
_ROUNDS: Final = 25
_ENOUGH: Final = 1e-6
_TINY: Final = 1e-6
_ONES: Final = np.ones(GRAMS)


class Ridge:
    """Fitted: by word what it adds in a text of it alone, and its square in a text's length.

    ``table`` has a row for each word.
    """

    __slots__ = ("_table",)

    def __init__(self, table: Floats) -> None:
        self._table = table

    def predict(self, grams: Grams) -> float:
        """What the words of one text add to ln(tokens)."""
        if not len(grams):
            return 0.0
        found = self._table.take(grams, axis=0)
        total, square = _ONES[: len(found)].dot(found).tolist()  # the quickest sum of so few
        return float(total / (sqrt(square) + _TINY))


class Texts:
    """The words of a fixed set of cases, of which the first n are fitted on."""

    def __init__(self, grams: Sequence[Grams]) -> None:
        sizes = np.array([len(words) for words in grams], np.int64)
        self._told = np.flatnonzero(sizes)  # a text without words tells nothing
        self._sizes = sizes[self._told]
        self._starts = np.concatenate(((0,), np.cumsum(self._sizes))).astype(np.int64)
        joined = np.concatenate(grams) if grams else np.zeros(0, np.uint16)
        self._words: NDArray[np.int64] = joined.astype(np.int64)

    def fit(self, rests: Floats) -> Ridge:
        """Fit the first ``len(rests)`` texts to what the effects left of their ln(tokens)."""
        n = len(rests)
        told = self._told[: self._told.searchsorted(n)]
        sizes, starts = self._sizes[: len(told)], self._starts[: len(told)]
        words = self._words[: self._starts[len(told)]]
        seen = np.bincount(words, minlength=_WORDS)
        # Numbered anew from 1: those seen once, which say nothing of another text, are all 0.
        known = np.flatnonzero(seen > 1)
        size = len(known) + 1
        numbers = np.zeros(_WORDS, np.int64)
        numbers[known] = np.arange(1, size)
        words = numbers.take(words)
        rare = np.log((n + 1.0) / (np.append(n, seen[known]) + 1.0))
        values = rare.take(words)
        lengths = np.sqrt(np.add.reduceat(values * values, starts))
        values /= np.repeat(lengths + _TINY, sizes)

        def back(of: Floats) -> Floats:
            return np.asarray(np.bincount(words, values * np.repeat(of, sizes), size), np.float64)

        worth = np.zeros(size)
        left = back(rests[told])
        step = left.copy()
        square = goal = float(left @ left)
        for _ in range(_ROUNDS):
            if square <= _ENOUGH * goal:
                break
            forth = np.add.reduceat(values * step.take(words), starts)
            across = back(forth) + _DAMPING * step
            length = square / max(float(step @ across), _TINY)
            worth += length * step
            left -= length * across
            square, before = float(left @ left), square
            step = left + square / before * step
        table = np.zeros((_WORDS, 2))
        table[known, 0] = (rare * worth)[1:]
        table[known, 1] = (rare * rare)[1:]
        return Ridge(table)
