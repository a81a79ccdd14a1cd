"""How many input tokens a call will be billed, before it is sent: characters over a ratio.

Learned by model from what providers report afterwards; no tokenizer is loaded, and the text
itself is never seen here.
"""

from __future__ import annotations

from collections import OrderedDict
from math import ceil, exp, log
from typing import Final

START: Final = 4.0
"""Characters per token before any history (English text in common tokenizers)."""

PER_IMAGE: Final = 1000
"""Tokens assumed per image: providers bill some 100 to 1,600 by size."""

_FEWEST: Final = 0.5
_MOST: Final = 16.0
_SLOWEST: Final = 0.05
_MODELS: Final = 1024


class InputRatio:
    """Characters per input token by model, averaged on the log scale.

    The start value counts as one observation; from the twentieth on each new one weighs 5 %.
    Ratios outside of 0.5 to 16 are clipped. Keeps the 1,024 models that learned last.
    """

    def __init__(self) -> None:
        self._logs: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def ratio(self, model: str) -> float:
        """Characters per token of ``model``."""
        return exp(self._logs.get(model, (log(START), 0))[0])

    def estimate(self, model: str, chars: int, images: int = 0) -> int:
        """Input tokens, rounded up; at least 1 where there is any input."""
        return ceil(max(chars, 0) / self.ratio(model)) + PER_IMAGE * max(images, 0)

    def learn(self, model: str, chars: int, tokens: int | None, images: int = 0) -> None:
        """Take one billed count in; one that says nothing of the text changes nothing."""
        text_tokens = (tokens or 0) - PER_IMAGE * images
        if chars <= 0 or text_tokens <= 0:
            return
        seen = log(min(max(chars / text_tokens, _FEWEST), _MOST))
        mean, count = self._logs.get(model, (log(START), 0))
        weight = max(1.0 / (count + 2), _SLOWEST)
        self._logs[model] = (mean + weight * (seen - mean), count + 1)
        self._logs.move_to_end(model)
        while len(self._logs) > _MODELS:
            self._logs.popitem(last=False)
