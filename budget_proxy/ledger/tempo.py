"""How long answers take: seconds to the first token and seconds a token, by model.

A line by least squares through (tokens, seconds) of answers, of which old ones fade.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from budget_proxy.types import frozen

_MEMORY: Final = 200.0
"""Answers after which what was seen counts e times less."""
_FEWEST: Final = 20.0
"""Answers that must have been seen, as they count now."""
_EXPLAINED: Final = 0.5
"""The part of the seconds' variance that tokens have to explain; else they tell nothing."""
_MODELS: Final = 1024


@frozen
class Pace:
    """Seconds before an answer's first token, and seconds a token."""

    before: float
    token: float

    def seconds(self, tokens: float) -> float:
        """The seconds that an answer of so many tokens takes."""
        return self.before + self.token * tokens


class Tempo:
    """The paces of models. Keeps the 1,024 models that learned last."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, _Line] = OrderedDict()

    def learn(self, model: str, tokens: int, seconds: float) -> None:
        """Take one answer in; one without tokens or time says nothing."""
        if tokens <= 0 or seconds <= 0.0:
            return
        line = self._lines.setdefault(model, _Line())
        line.learn(float(tokens), seconds)
        self._lines.move_to_end(model)
        while len(self._lines) > _MODELS:
            self._lines.popitem(last=False)

    def of(self, model: str) -> Pace | None:
        """The pace of a model; ``None`` where it is not known."""
        line = self._lines.get(model)
        return line.pace() if line else None


class _Line:
    """Fading means, and sums of squares and products about them."""

    __slots__ = ("_both", "_seconds", "_squares", "_time", "_tokens", "_weight")

    def __init__(self) -> None:
        self._weight = self._tokens = self._seconds = 0.0
        self._squares = self._both = self._time = 0.0

    def learn(self, tokens: float, seconds: float) -> None:
        """Welford's recursion, weighted (West, Communications of the ACM, 1979)."""
        keep = 1.0 - 1.0 / _MEMORY
        self._weight = keep * self._weight + 1.0
        more, longer = tokens - self._tokens, seconds - self._seconds
        self._tokens += more / self._weight
        self._seconds += longer / self._weight
        left = 1.0 - 1.0 / self._weight
        self._squares = keep * self._squares + left * more * more
        self._both = keep * self._both + left * more * longer
        self._time = keep * self._time + left * longer * longer

    def pace(self) -> Pace | None:
        """The line, where it is known and rises."""
        explained = self._both**2 >= _EXPLAINED * self._squares * self._time
        if self._weight < _FEWEST or self._both <= 0.0 or not explained:
            return None
        token = self._both / self._squares
        return Pace(max(self._seconds - token * self._tokens, 0.0), token)
