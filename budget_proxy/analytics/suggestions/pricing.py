"""What recorded tokens would cost at other rates."""

from __future__ import annotations

from budget_proxy.store.sums import Sums
from budget_proxy.types import CallRecord, Usage
from budget_proxy.wire.rates import Rates


def repriced(used: Sums, rates: Rates) -> float | None:
    """US dollars of the tokens in sums; ``None`` where plain rates do not hold for them.

    They do not hold where the calls are so long on average that dearer rates begin.
    """
    if rates.most is not None and used.input_tokens > rates.most * max(used.input_reported, 1):
        return None
    fresh = used.input_tokens - used.cache_read_tokens - used.cache_write_tokens
    plain = used.output_tokens - used.reasoning_tokens
    if min(fresh, plain) < 0:
        return None
    return float(
        fresh * rates.fresh + used.cache_read_tokens * rates.cached
        + used.cache_write_tokens * rates.written
        + plain * rates.plain + used.reasoning_tokens * rates.thought
    )  # fmt: skip


def cost_at(row: CallRecord, rates: Rates) -> float | None:
    """US dollars of one row's tokens; ``None`` where they are unknown or the rates do not hold."""
    if row.input_tokens is None or row.output_tokens is None:
        return None
    total = rates.total(
        Usage(
            row.input_tokens,
            row.output_tokens,
            row.reasoning_tokens,
            row.cache_read_tokens,
            row.cache_write_tokens,
        )
    )
    return None if total is None else float(total)
