"""What one token of each kind costs, as long as a price is a plain sum of tokens.

The library that knows prices takes 0.1 ms a sum. Most sums are linear: the rates of one model
are asked of it once, and multiplied from then on. Where they do not hold, this says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from budget_proxy.types import Usage

Calculate = Callable[[Usage], Any]
"""The library's calculation of a usage, or ``None``."""

_NONE: Final = Usage(0, 0)
_INPUT: Final = Usage(1, 0)
_CACHED: Final = Usage(1, 0, cache_read_tokens=1)
_WRITTEN: Final = Usage(1, 0, cache_write_tokens=1)
_OUTPUT: Final = Usage(0, 1)
_THOUGHT: Final = Usage(0, 1, reasoning_tokens=1)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars a token: fresh, cached and cache-written input, plain and reasoning output.

    They hold up to ``most`` input tokens (``None``: for any number), where a dearer tier begins.
    """

    fresh: Decimal
    cached: Decimal
    written: Decimal
    plain: Decimal
    thought: Decimal
    most: int | None

    @property
    def dearest(self) -> tuple[Decimal, Decimal]:
        """The most that a token of input may cost, and one of output."""
        return max(self.fresh, self.cached, self.written), max(self.plain, self.thought)

    def total(self, usage: Usage) -> Decimal | None:
        """US dollars of a usage; ``None`` where the rates do not hold, or it contradicts itself."""
        given, taken = usage.input_tokens or 0, usage.output_tokens or 0
        cached, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        thought = usage.reasoning_tokens or 0
        fresh, plain = given - cached - written, taken - thought
        if min(fresh, cached, written, plain, thought) < 0:
            return None
        if self.most is not None and given > self.most:
            return None
        return (
            fresh * self.fresh + cached * self.cached + written * self.written
            + plain * self.plain + thought * self.thought
        )  # fmt: skip


def rates_by(calculate: Calculate) -> Rates | None:
    """The rates of one model at one moment; ``None`` where it has a price of another kind."""
    nothing, *kinds = map(calculate, (_NONE, _INPUT, _CACHED, _WRITTEN, _OUTPUT, _THOUGHT))
    if nothing is None or nothing.total_price or None in kinds:
        return None
    fresh, cached, written, plain, thought = (kind.total_price for kind in kinds)
    return Rates(fresh, cached, written, plain, thought, _most(nothing.model_price))


def _most(price: Any) -> int | None:
    """The input tokens beyond which the first of a price's tiers is another one."""
    starts = [tier.start for rate in vars(price).values() for tier in getattr(rate, "tiers", ())]
    return min(starts, default=None)
