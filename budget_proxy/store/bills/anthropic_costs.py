"""Anthropic's costs: ``/v1/organizations/cost_report``, and the table that the Console exports.

The report's amounts are decimal texts in cents ("123.45" is $1.2345); ``model``, ``token_type``,
``service_tier`` are told when grouped by description (platform.claude.com, Get Cost Report). The
Console's table has amounts in dollars (``cost_usd``), names as people read them ("Claude Haiku
4.5") and token types such as ``input_no_cache`` (public exports of it).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.billed import Billed, Kind, nano
from budget_proxy.store.bills.base import EMPTY
from budget_proxy.store.bills.reading import day_of, in_dollars, money
from budget_proxy.store.imports import value
from budget_proxy.store.source import Row
from budget_proxy.wire.biller import tier_of

PROVIDER: Final = "anthropic"
STARTS: Final[tuple[str, ...]] = ("starting_at", "usage_date_utc")
ENDS: Final[tuple[str, ...]] = ("ending_at",)
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "uncached_input_tokens": "input", "input_no_cache": "input",
        "cache_read_input_tokens": "cache_read", "input_cache_read": "cache_read",
        "cache_creation.ephemeral_5m_input_tokens": "cache_write",
        "input_cache_write_5m": "cache_write",
        "cache_creation.ephemeral_1h_input_tokens": "cache_write_1h",
        "input_cache_write_1h": "cache_write_1h",
        "output_tokens": "output", "output": "output",
    }
)  # fmt: skip
"""Token types of both reports and of the Console's tables."""

_CENTS: Final = Decimal(100)
_TOKENS: Final = frozenset({"tokens", "token"})


class AnthropicCosts:
    """Buckets of costs, or the rows of the Console's table."""

    name = "anthropic-costs"
    starts = STARTS
    ends = ENDS

    def recognises(self, row: Row) -> bool:
        """By an amount in a bucket of Anthropic's, or the Console's columns."""
        return ("starting_at" in row and "amount" in row) or {"usage_date_utc", "cost_usd"} <= set(
            row
        )

    def lines(self, row: Row) -> Iterator[Billed]:
        """The line that a result is; an empty bucket says that nothing was billed."""
        day = day_of(row, self.starts, self.ends)
        if EMPTY in row:
            yield Billed(PROVIDER, "cost", day, amount=0)
            return
        in_dollars(row, "currency")
        dollars, cents = money(row, "cost_usd"), money(row, "amount")
        if dollars is None:
            if cents is None:
                raise InvalidInput("amount is missing")
            dollars = cents / _CENTS
        yield Billed(
            PROVIDER, "cost", day,
            model=value.text(row, "model") or "",
            kind=_kind(row),
            item=value.text(row, "description", "token_type", "cost_type") or "",
            tier=tier_in(row),
            project=value.text(row, "workspace_id", "workspace") or "",
            amount=nano(dollars),
        )  # fmt: skip


def _kind(row: Row) -> Kind:
    told = value.text(row, "token_type")
    if (value.text(row, "cost_type") or "tokens").lower() not in _TOKENS:
        return "other"
    if told is None:
        return "all"
    return KINDS.get(told.lower(), "other")


def tier_in(row: Row) -> str:
    """The service tier, or the speed where that is another; the Console names batches as usage."""
    tier = tier_of(value.text(row, "service_tier"))
    if "batch" in (value.text(row, "usage_type") or "").lower():
        tier = "batch"
    return tier or tier_of(value.text(row, "speed"))
