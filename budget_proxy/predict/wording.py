"""What the words of a text are, taken together: how many, how varied, how many of them numbers."""

from __future__ import annotations

import math
from typing import Final

from budget_proxy.classify.scan import Words

NAMES: Final = ("words", "distinct words", "word length", "numbers", "largest number", "English")

_ENGLISH: Final = ("the", "of", "and", "to", "is", "that", "for", "with")
_SCALE: Final = 5.0
_DIGITS: Final = 9
"""Digits of a number that are read."""


def wording_of(words: Words) -> list[float]:
    """The numbers of NAMES: logs of counts, and shares of all words."""
    order, counts = words
    count = max(len(order), 1)
    numbers = list(filter(str.isdecimal, counts))
    return [
        math.log1p(len(order)) / _SCALE,
        len(counts) / count,
        math.log1p(len("".join(order)) / count),
        math.log1p(sum([counts[number] for number in numbers])) / _SCALE,
        math.log1p(max((int(number[:_DIGITS]) for number in numbers), default=0)) / _SCALE,
        sum([counts.get(word, 0) for word in _ENGLISH]) / count,
    ]
