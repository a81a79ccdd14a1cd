"""OpenAI's usage exports: sums by day or hour, of which only sums over one call tell a length.

The buckets of ``/v1/organization/usage/completions`` (openai-python's
``types/admin/organization/usage_completions_response.py``), the dashboard's CSV of the same
fields, and the older ``/v1/usage`` with ``n_generated_tokens_total``. A sum over several calls
has no lengths in it, and an average would be a length that no call had: it is left out, and
counted. What is taken has the time of its bucket, and no text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.imports import value
from budget_proxy.store.imports.base import Listener, NoCall, RowFormat
from budget_proxy.store.recorded import RecordedCall
from budget_proxy.store.source import Row

_REQUESTS: Final = ("num_model_requests", "n_requests")
_RESULT: Final = "organization.usage.completions.result"
_TIMES: Final = ("start_time", "aggregation_timestamp", "start_time_iso")


class OpenAIUsage(RowFormat):
    """Buckets, or the rows of their tables."""

    name = "openai-usage"

    def recognises(self, row: Row) -> bool:
        """By a number of requests, as a bucket, or as an empty day of the dashboard's table."""
        bucket = row.get("object") == "bucket" or isinstance(row.get("results"), list)
        return bucket or not row.keys().isdisjoint((*_REQUESTS, "start_time_iso"))

    def calls(
        self, rows: Iterable[tuple[int, Row]], listener: Listener
    ) -> Iterator[tuple[int, RecordedCall]]:
        """The sums over one call, each with the number of its row."""
        return super().calls(_results(rows), listener)

    def call(self, row: Row) -> RecordedCall:
        """The call that a sum is of, if it is of one."""
        if value.text(row, "object") not in {None, _RESULT}:
            raise NoCall("usage of another API than completions")
        requests = value.whole(row, *_REQUESTS)
        if not requests:
            raise NoCall("a time without calls")
        if requests > 1:
            raise NoCall("several calls in one sum, whose lengths cannot be told")
        model = value.text(row, "model", "snapshot_id")
        if model is None:
            raise NoCall("a sum without a model: ask for it with group_by=model")
        started = value.moment(row, *_TIMES)
        if started is None:
            raise InvalidInput("start_time is missing")
        return RecordedCall(
            ts=started,
            model=model,
            input_tokens=value.whole(row, "input_tokens", "n_context_tokens_total"),
            cached_tokens=value.whole(row, "input_cached_tokens", "n_cached_context_tokens_total"),
            cache_write_tokens=value.whole(row, "input_cache_write_tokens"),
            output_tokens=value.whole(row, "output_tokens", "n_generated_tokens_total"),
            user=value.text(row, "user_id"),
        )


def _results(rows: Iterable[tuple[int, Row]]) -> Iterator[tuple[int, Row]]:
    """The sums within buckets, each with its bucket's time."""
    for number, row in rows:
        results = row.get("results")
        if not isinstance(results, list):
            yield number, row
        for result in results if isinstance(results, list) else ():
            if isinstance(result, dict):
                yield number, {"start_time": row.get("start_time"), **result}
