"""The newest outcomes as columns: what a refit learns from, cheap to copy and to send.

A ring of plain arrays. Each outcome is a case and what came back of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.cases import FACTORS, GROUPS, Case
from budget_proxy.predict.signals import GRAMS, NUMBERS

_FACTORS: Final = len(FACTORS)
_KEYS: Final = _FACTORS + len(GROUPS)
_FEWEST: Final = 64
UNKNOWN: Final = -1


class Outcome(NamedTuple):
    """What came back: tokens, and whether more were to come.

    ``reasoning`` and ``input`` are tokens, UNKNOWN where the usage did not tell.
    """

    tokens: float
    censored: bool
    reasoning: float
    input: float = UNKNOWN


class Columns:
    """The last ``window`` outcomes; ``total`` counts all that were ever added."""

    __slots__ = ("_grams", "_keys", "_numbers", "_sizes", "_values", "_window", "total")

    def __init__(self, window: int) -> None:
        self._window = window
        self.total = 0
        self._allot(min(_FEWEST, window))

    def __len__(self) -> int:
        return min(self.total, self._window)

    def _allot(self, size: int) -> None:
        self._keys: NDArray[np.uint64] = np.zeros((size, _KEYS), np.uint64)
        self._values: NDArray[np.float64] = np.zeros((size, 6))
        self._numbers: NDArray[np.float16] = np.zeros((size, len(NUMBERS)), np.float16)
        self._grams: NDArray[np.uint16] = np.zeros((size, GRAMS), np.uint16)
        self._sizes: NDArray[np.int16] = np.zeros(size, np.int16)

    def add(self, case: Case, outcome: Outcome) -> None:
        """Put one outcome in the place of the oldest."""
        if self.total == len(self._sizes) < self._window:
            self._grow()
        at = self.total % self._window
        self._keys[at] = (*case.factors, *case.groups)
        self._values[at] = case.input, case.ceiling, *outcome
        self._numbers[at] = case.numbers
        size = len(case.grams)
        self._grams[at, :size] = case.grams
        self._sizes[at] = size
        self.total += 1

    def between(self, start: int, stop: int) -> Columns:
        """A copy of the outcomes from number ``start`` to before ``stop``, as far as kept."""
        stop = min(stop, self.total)
        at = np.arange(max(start, self.total - len(self)), stop) % self._window
        copy = Columns(max(len(at), 1))
        copy.total = len(at)
        copy._keys, copy._values = self._keys[at], self._values[at]
        copy._numbers, copy._grams = self._numbers[at], self._grams[at]
        copy._sizes = self._sizes[at]
        return copy

    def rows(self) -> Iterator[tuple[Case, Outcome]]:
        """The outcomes from the oldest to the newest."""
        start = self.total - len(self)
        for number in range(start, self.total):
            at = number % self._window
            keys = self._keys[at].tolist()
            inputs, ceiling, tokens, censored, reasoning, billed = self._values[at].tolist()
            numbers = self._numbers[at].astype(np.float32)
            grams = self._grams[at, : self._sizes[at]]
            case = Case(
                tuple(keys[:_FACTORS]), tuple(keys[_FACTORS:]), inputs, ceiling, numbers, grams
            )
            yield case, Outcome(tokens, bool(censored), reasoning, billed)

    def _grow(self) -> None:
        keys, values, numbers = self._keys, self._values, self._numbers
        grams, sizes = self._grams, self._sizes
        n = len(sizes)
        self._allot(min(2 * n, self._window))
        self._keys[:n], self._values[:n], self._numbers[:n] = keys, values, numbers
        self._grams[:n], self._sizes[:n] = grams, sizes
