"""Prices of your own: of a model that no price list has, or as they were negotiated."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from budget_proxy.wire.rates import Rates

OWN: Final = "settings"
"""What the version of such prices begins with."""
_MILLION: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Tariff:
    """What a million tokens of one model cost, in US dollars, by kind; 0 is free.

    Cached and cache-written input cost what input does where they are ``None``. Every service
    tier costs the same, and so does reasoning as other output.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None

    @property
    def rates(self) -> Rates:
        """The same for one token."""
        fresh, plain = self.input / _MILLION, self.output / _MILLION
        cached = fresh if self.cached_input is None else self.cached_input / _MILLION
        written = fresh if self.cache_write is None else self.cache_write / _MILLION
        return Rates(fresh, cached, written, plain, plain, None)

    @property
    def version(self) -> str:
        """What rows that were priced by it say: the prices themselves."""
        told = {
            "input": self.input, "output": self.output, "cached_input": self.cached_input,
            "cache_write": self.cache_write,
        }  # fmt: skip
        words = (
            f"{name} {price.normalize():f}" for name, price in told.items() if price is not None
        )
        return f"{OWN}: {', '.join(words)}"
