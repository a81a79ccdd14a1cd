"""OpenAI's usage: ``/v1/organization/usage/completions``, and the table that the dashboard exports.

Fields by openai-python's ``types/admin/organization/usage_completions_response.py``: buckets of
a minute, an hour or a day. ``input_tokens`` include cached and cache-write ones;
``input_uncached_tokens``, where it is there, does not. Group by model (and batch, service_tier).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.billed import Billed, Kind
from budget_proxy.store.bills.base import EMPTY
from budget_proxy.store.bills.openai_costs import ENDS, PROVIDER, STARTS
from budget_proxy.store.bills.reading import count, day_of
from budget_proxy.store.imports import value
from budget_proxy.store.source import Row
from budget_proxy.wire.biller import tier_of

_RESULT: Final = "organization.usage.completions.result"


class OpenAIUsage:
    """Buckets of usage, or the rows of their table."""

    name = "openai-usage"
    starts = STARTS
    ends = ENDS

    def recognises(self, row: Row) -> bool:
        """By a number of requests, or the name of the result."""
        return row.get("object") == _RESULT or "num_model_requests" in row

    def lines(self, row: Row) -> Iterator[Billed]:
        """A line a kind of tokens; a bucket without requests says that there were none."""
        day = day_of(row, self.starts, self.ends)
        requests = count(row, "num_model_requests")
        if EMPTY in row or requests is None:
            yield Billed(PROVIDER, "usage", day, tokens=0)
            return
        given, output = count(row, "input_tokens"), count(row, "output_tokens")
        if given is None or output is None:
            raise InvalidInput("input_tokens or output_tokens is missing")
        model = value.text(row, "model")
        if model is None:
            raise InvalidInput("a sum without a model: export it with group_by=model")
        project = value.text(row, "project_id") or ""
        tier = "batch" if _is_batch(row) else tier_of(value.text(row, "service_tier"))
        for kind, tokens in _parts(row, given, output):
            yield Billed(
                PROVIDER, "usage", day,
                model=model,
                kind=kind,
                tier=tier,
                project=project,
                tokens=tokens,
                requests=requests if kind == "output" else None,
            )  # fmt: skip


def _parts(row: Row, given: int, output: int) -> Iterator[tuple[Kind, int]]:
    cached = count(row, "input_cached_tokens")
    written = count(row, "input_cache_write_tokens")
    fresh = count(row, "input_uncached_tokens")
    if fresh is None:
        fresh = given - (cached or 0) - (written or 0)
    if fresh < 0 or fresh + (cached or 0) + (written or 0) > given:
        raise InvalidInput("more cached than input tokens")
    yield "input", given - (cached or 0) - (written or 0)
    if cached is not None:
        yield "cache_read", cached
    if written is not None:
        yield "cache_write", written
    yield "output", output


def _is_batch(row: Row) -> bool:
    batch = row.get("batch")
    return batch is True or (isinstance(batch, str) and batch.strip().lower() == "true")
