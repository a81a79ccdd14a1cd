"""What the words of a text are, taken together: how many, how varied, how many of them numbers."""

from __future__ import annotations

import math
from typing import Final

NAMES: Final = ("words", "distinct words", "word length", "numbers", "largest number", "English")

_ENGLISH: Final = frozenset(["the", "of", "and", "to", "is", "that", "for", "with"])
_SCALE: Final = 5.0
_DIGITS: Final = 9
"""Digits of a number that are read."""


def wording_of(words: list[str]) -> list[float]:
    """The numbers of NAMES: logs of counts, and shares of all words."""
    count = max(len(words), 1)
    numbers = list(filter(str.isdecimal, words))
    return [
        math.log1p(len(words)) / _SCALE,
        len(set(words)) / count,
        math.log1p(sum(map(len, words)) / count),
        math.log1p(len(numbers)) / _SCALE,
        math.log1p(max((int(number[:_DIGITS]) for number in numbers), default=0)) / _SCALE,
        sum(map(_ENGLISH.__contains__, words)) / count,
    ]
