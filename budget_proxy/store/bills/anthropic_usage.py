"""Anthropic's usage: ``/v1/organizations/usage_report/messages``, and the Console's table.

Fields by platform.claude.com, Get Messages Usage Report: ``uncached_input_tokens``,
``cache_creation`` (``ephemeral_5m_input_tokens``, ``ephemeral_1h_input_tokens``),
``cache_read_input_tokens``, ``output_tokens``, which exclude each other. The Console's columns are
``usage_input_tokens_no_cache`` and so on. Neither counts requests. Group by model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.billed import Billed, Kind
from budget_proxy.store.bills.anthropic_costs import ENDS, PROVIDER, STARTS, tier_in
from budget_proxy.store.bills.base import EMPTY
from budget_proxy.store.bills.reading import count, day_of
from budget_proxy.store.imports import value
from budget_proxy.store.source import Row

_FIELDS: Final[Mapping[Kind, tuple[str, ...]]] = MappingProxyType(
    {
        "input": ("uncached_input_tokens", "usage_input_tokens_no_cache"),
        "cache_read": ("cache_read_input_tokens", "usage_input_tokens_cache_read"),
        "cache_write": ("ephemeral_5m_input_tokens", "usage_input_tokens_cache_write_5m"),
        "cache_write_1h": ("ephemeral_1h_input_tokens", "usage_input_tokens_cache_write_1h"),
        "output": ("output_tokens", "usage_output_tokens"),
    }
)


class AnthropicUsage:
    """Buckets of usage, or the rows of the Console's table."""

    name = "anthropic-usage"
    starts = STARTS
    ends = ENDS

    def recognises(self, row: Row) -> bool:
        """By its name for fresh input."""
        return not row.keys().isdisjoint(_FIELDS["input"])

    def lines(self, row: Row) -> Iterator[Billed]:
        """A line a kind of tokens; an empty bucket says that there were none."""
        day = day_of(row, self.starts, self.ends)
        if EMPTY in row:
            yield Billed(PROVIDER, "usage", day, tokens=0)
            return
        flat = {**row, **value.fields(row.get("cache_creation"))}
        model = value.text(row, "model", "model_version")
        if model is None:
            raise InvalidInput("a sum without a model: export it with group_by[]=model")
        told = {kind: count(flat, *names) for kind, names in _FIELDS.items()}
        if told["input"] is None or told["output"] is None:
            raise InvalidInput("tokens of input or output are missing")
        for kind, tokens in told.items():
            if tokens is not None:
                yield Billed(
                    PROVIDER, "usage", day,
                    model=model,
                    kind=kind,
                    tier=tier_in(row),
                    project=value.text(row, "workspace_id", "workspace") or "",
                    tokens=tokens,
                )  # fmt: skip
