"""A plain table of whatever was billed, by day and model: ours, for providers without a reader.

Columns (or JSON fields): ``day``, ``model``, ``input_tokens`` (cached ones included),
``output_tokens``, ``cost`` in US dollars; and, if they are there, ``provider``,
``cached_tokens``, ``cache_write_tokens``, ``requests``, ``tier``, ``project``, ``currency``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.billed import Billed, Kind, Report, nano
from budget_proxy.store.bills.reading import count, day_of, in_dollars, money
from budget_proxy.store.imports import value
from budget_proxy.store.source import Row
from budget_proxy.wire.biller import tier_of
from budget_proxy.wire.models import provider_of_model

_COSTS: Final = ("cost", "cost_usd", "amount")


class Plain:
    """Rows of a day and a model each."""

    name = "plain"
    starts: tuple[str, ...] = ("day", "date")
    ends: tuple[str, ...] = ()

    def recognises(self, row: Row) -> bool:
        """By its day, its model, and a cost or tokens."""
        told = not row.keys().isdisjoint({*_COSTS, "input_tokens", "output_tokens"})
        return told and "model" in row and not row.keys().isdisjoint(self.starts)

    def lines(self, row: Row) -> Iterator[Billed]:
        """A line a kind of tokens, and one with the amount of them all."""
        model = value.text(row, "model")
        if model is None:
            raise InvalidInput("model is missing")
        provider = value.text(row, "provider") or provider_of_model(model)
        if provider is None:
            raise InvalidInput("whose model it is is not known: add a column provider")
        in_dollars(row, "currency")
        day, amount = day_of(row, self.starts, self.ends), money(row, *_COSTS)
        tier, project = tier_of(value.text(row, "tier")), value.text(row, "project") or ""
        report: Report = "usage" if amount is None else "cost"
        found = list(_tokens(row))
        if amount is None and not found:
            raise InvalidInput("neither a cost nor tokens")
        for kind, tokens in found:
            yield Billed(
                provider.lower(), report, day,
                model=model, kind=kind, tier=tier, project=project, tokens=tokens,
                requests=count(row, "requests") if kind == "output" else None,
            )  # fmt: skip
        if amount is not None:
            yield Billed(
                provider.lower(), report, day,
                model=model, kind="all", tier=tier, project=project, amount=nano(amount),
            )  # fmt: skip


def _tokens(row: Row) -> Iterator[tuple[Kind, int]]:
    given, output = count(row, "input_tokens"), count(row, "output_tokens")
    cached, written = count(row, "cached_tokens"), count(row, "cache_write_tokens")
    if given is not None:
        fresh = given - (cached or 0) - (written or 0)
        if fresh < 0:
            raise InvalidInput("more cached than input tokens")
        yield "input", fresh
    if cached is not None:
        yield "cache_read", cached
    if written is not None:
        yield "cache_write", written
    if output is not None:
        yield "output", output
