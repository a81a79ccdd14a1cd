"""What a model's tokens have cost of late, learned from what calls cost.

A call's cost is taken as a sum of its fresh input, cached input and output tokens at a price
each: least squares of the relative error, fading, drawn to the usual proportions of the three
where calls are too alike to tell them apart.
"""

from __future__ import annotations

from math import log
from typing import Any, Final, Self

_USUAL: Final = (1.0, 0.1, 4.0)  # the price of cached input and of output, by that of fresh
_WRITES: Final = 0.25  # what writing to a cache costs on top, by the price of fresh input
_FADING: Final = 0.99
_DRAW: Final = 0.01
_EVERY: Final = 10
_LEAST: Final = 20.0
_FEW: Final = 10.0

Tokens = tuple[float, float, float]


def tokens_of(
    input_tokens: int | None, output_tokens: int | None, read: int | None, written: int | None
) -> Tokens | None:
    """Fresh input, cached input and output of a call; ``None`` where they are unknown."""
    if input_tokens is None or output_tokens is None:
        return None
    cached = min(read or 0, input_tokens)
    return (input_tokens - cached + _WRITES * (written or 0), float(cached), float(output_tokens))


class Rate:
    """The prices of one model's tokens."""

    __slots__ = ("_calls", "_moments", "_prices", "_sums", "_weight")

    def __init__(self) -> None:
        self._calls = 0
        self._weight = 0.0
        self._moments = [0.0] * 6
        self._sums = [0.0] * 3
        self._prices: list[float] | None = None

    def surprise(self, cost: float, tokens: Tokens) -> float | None:
        """ln(cost / what was to be expected); ``None`` before twenty calls are known."""
        if self._prices is None or self._calls < _LEAST or cost <= 0:
            return None
        expected = sum(
            price * usual * count
            for price, usual, count in zip(self._prices, _USUAL, tokens, strict=True)
        )
        return log(cost / expected) if expected > 0 else None

    def learn(self, cost: float, tokens: Tokens) -> None:
        """Take in what a call cost."""
        if cost <= 0:
            return
        one, two, three = (
            usual * count / cost for usual, count in zip(_USUAL, tokens, strict=True)
        )
        products = (one * one, one * two, one * three, two * two, two * three, three * three)
        self._moments = [
            _FADING * old + new for old, new in zip(self._moments, products, strict=True)
        ]
        self._sums = [
            _FADING * old + new for old, new in zip(self._sums, (one, two, three), strict=True)
        ]
        self._weight = _FADING * self._weight + 1.0
        self._calls += 1
        if self._calls % _EVERY == 0 or (self._prices is None and self._calls >= _FEW):
            self._prices = self._solved()

    def dump(self) -> list[Any]:
        """All of it, as JSON."""
        return [self._calls, self._weight, self._moments, self._sums, self._prices]

    @classmethod
    def load(cls, values: list[Any]) -> Self:
        """Take up what ``dump`` gave."""
        rate = cls()
        rate._calls, rate._weight, rate._moments, rate._sums, rate._prices = values
        return rate

    def _solved(self) -> list[float] | None:
        """Prices by their usual proportions: a 3 x 3 system, by Cramer's rule."""
        a, b, c, d, e, f = self._moments
        x, y, z = self._sums
        whole = a + d + f + 2.0 * (b + c + e)
        if whole <= 0:
            return None
        level = (x + y + z) / whole
        draw = _DRAW * whole
        a, d, f = a + draw, d + draw, f + draw
        x, y, z = x + draw * level, y + draw * level, z + draw * level
        first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
        determinant = a * first + b * second + c * third
        if determinant <= 0:
            return [level] * 3
        fourth, fifth, sixth = a * f - c * c, b * c - a * e, a * d - b * b
        solved = (
            first * x + second * y + third * z,
            second * x + fourth * y + fifth * z,
            third * x + fifth * y + sixth * z,
        )
        return [max(value / determinant, 0.0) for value in solved]
