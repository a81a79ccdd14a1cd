"""The nouns of explaining: a cause, and a part of one place's difference that is put down to it."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Final, Literal

from budget_proxy.analytics.billing.cells import Bucket
from budget_proxy.types import frozen

Cause = Literal[
    "missing-rows", "unbilled-rows", "repeated-rows", "estimated-usage", "price", "cache", "tier",
    "unknown-price", "day-boundary", "other-items", "rounding",
]  # fmt: skip

CAUSES: Final[Mapping[Cause, str]] = MappingProxyType(
    {
        "missing-rows": "rows that we never saw",
        "unbilled-rows": "rows that were not billed",
        "repeated-rows": "rows that are in our history twice",
        "estimated-usage": "estimated usage that was off",
        "price": "another price",
        "cache": "cached tokens at another price, or counted otherwise",
        "tier": "another service tier",
        "unknown-price": "calls whose price we did not know",
        "day-boundary": "calls near midnight that are billed on another day",
        "other-items": "items that are no tokens",
        "rounding": "rounding",
    }
)
"""What each cause is, in words."""


@frozen
class Part:
    """A part of a place's difference, in nano-dollars: positive where more was billed.

    ``tokens`` and ``requests`` are how many the bill has beyond our rows, or how many it is
    about. ``ours`` and ``theirs`` are prices of one token of ``bucket`` in nano-dollars.
    ``estimate`` are the tokens that we had estimated. ``note`` is what else speaks for it, and
    ``other`` a cause that the figures would allow as well.
    """

    cause: Cause
    amount: Fraction
    tokens: int = 0
    requests: int | None = None
    bucket: Bucket | None = None
    ours: Fraction | None = None
    theirs: Fraction | None = None
    estimate: int = 0
    note: str = ""
    other: Cause | None = None
