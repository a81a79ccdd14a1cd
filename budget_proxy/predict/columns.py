"""The newest outcomes as columns: what a refit learns from, cheap to share and to send.

Plain arrays, in blocks. Each outcome is a case and what came back of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.cases import FACTORS, GROUPS, Case
from budget_proxy.predict.signals import GRAMS, NUMBERS

_FACTORS: Final = len(FACTORS)
_KEYS: Final = _FACTORS + len(GROUPS)
_ROWS: Final = 1024  # of a block
_CENSORED: Final = 3  # of values: after input, ceiling and tokens
UNKNOWN: Final = -1


class Outcome(NamedTuple):
    """What came back: tokens, and whether more were to come.

    ``reasoning`` and ``input`` are tokens, UNKNOWN where the usage did not tell.
    """

    tokens: float
    censored: bool
    reasoning: float
    input: float = UNKNOWN


class Block(NamedTuple):
    """Outcomes by row: keys (n, factors and groups), values (n, 6), numbers, hashed words.

    ``grams`` are as many in each row as ``sizes`` says.
    """

    keys: NDArray[np.uint64]
    values: NDArray[np.float64]
    numbers: NDArray[np.float16]
    grams: NDArray[np.uint16]
    sizes: NDArray[np.int16]

    def part(self, start: int, stop: int) -> Block:
        """Some of its rows, not copied."""
        return Block._make(column[start:stop] for column in self)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Some outcomes, from the oldest to the newest; what is added later changes none of them."""

    blocks: list[Block]

    def __len__(self) -> int:
        return sum(len(block.sizes) for block in self.blocks)

    def rows(self, start: int = 0) -> Iterator[tuple[Case, Outcome]]:
        """Each as it was added, from number ``start``."""
        for block in self.blocks:
            for at in range(start, len(block.sizes)):
                yield _row(block, at)
            start = max(start - len(block.sizes), 0)

    def cut(self) -> bool:
        """Whether any of them was cut off."""
        return any(block.values[:, _CENSORED].any() for block in self.blocks)


class Columns:
    """The last ``window`` outcomes; ``total`` counts all that were ever added.

    Blocks are filled row by row, and a row is never written again: so they are shared, not copied.
    """

    __slots__ = ("_blocks", "_dropped", "_window", "total")

    def __init__(self, window: int) -> None:
        self._window = window
        self._blocks: list[Block] = []
        self._dropped = 0
        self.total = 0

    def __len__(self) -> int:
        return min(self.total, self._window)

    def add(self, case: Case, outcome: Outcome) -> None:
        """Put one outcome after the others, and let go of what the window has left behind."""
        at = self.total % _ROWS
        if at == 0:
            self._blocks.append(_empty())
            if self.total - self._dropped >= self._window + _ROWS:
                del self._blocks[0]
                self._dropped += _ROWS
        block = self._blocks[-1]
        block.keys[at] = (*case.factors, *case.groups)
        block.values[at] = case.input, case.ceiling, *outcome
        block.numbers[at] = case.numbers
        size = len(case.grams)
        block.grams[at, :size] = case.grams
        block.sizes[at] = size
        self.total += 1

    def newest(self, most: int) -> Outcomes:
        """At most so many, as far as kept."""
        return self.between(self.total - most, self.total)

    def between(self, start: int, stop: int) -> Outcomes:
        """The outcomes from number ``start`` to before ``stop``, as far as kept."""
        start, stop = max(start, self.total - len(self)), min(stop, self.total)
        found = []
        while start < stop:
            place, at = divmod(start - self._dropped, _ROWS)
            to = min(at + stop - start, _ROWS)
            found.append(self._blocks[place].part(at, to))
            start += to - at
        return Outcomes(found)


def _empty() -> Block:
    return Block(
        np.zeros((_ROWS, _KEYS), np.uint64),
        np.zeros((_ROWS, 6)),
        np.zeros((_ROWS, len(NUMBERS)), np.float16),
        np.zeros((_ROWS, GRAMS), np.uint16),
        np.zeros(_ROWS, np.int16),
    )


def _row(block: Block, at: int) -> tuple[Case, Outcome]:
    keys = block.keys[at].tolist()
    inputs, ceiling, tokens, censored, reasoning, billed = block.values[at].tolist()
    numbers = block.numbers[at].astype(np.float32)
    grams = block.grams[at, : block.sizes[at]]
    case = Case(tuple(keys[:_FACTORS]), tuple(keys[_FACTORS:]), inputs, ceiling, numbers, grams)
    return case, Outcome(tokens, bool(censored), reasoning, billed)
