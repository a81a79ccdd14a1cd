"""Langfuse's observations: from the blob storage export, the tables' export, or the API.

Fields by langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields (snake
case; ``observations_v2`` has session and user, ``observations`` has not) and by the public API's
Observation (camel case; ``usage`` is its older form). In CSV, objects are texts of JSON.

Langfuse keeps usage in parts that exclude each other: its own integrations take the cached
tokens out of ``input`` and the reasoning out of ``output``. Clients that send their usage
themselves may leave them in. ``total`` tells which it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.imports import value
from budget_proxy.store.imports.base import NoCall, RowFormat
from budget_proxy.store.recorded import RecordedCall
from budget_proxy.store.source import Row

_TRACE: Final = ("traceId", "trace_id")
_START: Final = ("startTime", "start_time")
_INPUT: Final = ("input", "input_tokens", "prompt_tokens", "promptTokens")
_OUTPUT: Final = ("output", "output_tokens", "completion_tokens", "completionTokens")
_TOTAL: Final = ("total", "total_tokens", "totalTokens")


class Langfuse(RowFormat):
    """Observations of the type GENERATION; the others are no calls of a model."""

    name = "langfuse"

    def recognises(self, row: Row) -> bool:
        """By the trace, the type and the start."""
        return (
            "type" in row
            and not row.keys().isdisjoint(_TRACE)
            and not row.keys().isdisjoint(_START)
        )

    def call(self, row: Row) -> RecordedCall:
        """The call that a generation is; failed ones are none."""
        kind = value.text(row, "type") or ""
        if kind.upper() != "GENERATION":
            raise NoCall(f"type {kind[:40] or 'unknown'}")
        if value.text(row, "level") == "ERROR":
            raise NoCall("a call that failed")
        started = value.moment(row, *_START)
        if started is None:
            raise InvalidInput("startTime is missing")
        usage = _Usage(row)
        parameters = value.fields(value.first(row, "modelParameters", "model_parameters"))
        seconds = value.between(started, value.moment(row, "endTime", "end_time"))
        return RecordedCall(
            ts=started,
            model=value.text(
                row, "providedModelName", "provided_model_name", "model", "internalModelName"
            ),
            messages=value.messages(row.get("input")),
            input_tokens=usage.input,
            cached_tokens=usage.cached,
            cache_write_tokens=usage.written,
            output_tokens=usage.output,
            reasoning_tokens=usage.reasoning,
            max_tokens=value.cap(parameters),
            agent=value.text(row, "traceName", "trace_name") or value.text(row, "name"),
            session=value.text(row, "sessionId", "session_id") or value.text(row, *_TRACE),
            user=value.text(row, "userId", "user_id"),
            tags=value.labels(value.first(row, "tags", "traceTags", "trace_tags")),
            cost_usd=_cost(row),
            seconds=value.number(row, "latency") if seconds is None else seconds,
            id=value.text(row, "id"),
        )


class _Usage:
    """A generation's tokens, inclusive: cached ones within input, reasoning within output."""

    def __init__(self, row: Row) -> None:
        details = _counts(row)
        inputs = {name: count for name, count in details.items() if _is_input(name)}
        outputs = {name: count for name, count in details.items() if _is_output(name)}
        total = next((details[name] for name in _TOTAL if name in details), None)
        self.input, self.output = _sums(inputs, outputs, total)
        self.cached = _part(details, "cache", ("read", "cached", "hit"))
        self.written = _part(details, "cache", ("creation", "write"))
        self.reasoning = _part(details, "", ("reasoning", "thought", "thinking"))


def _counts(row: Row) -> dict[str, int]:
    """The usage by the names of its parts."""
    details = value.fields(value.first(row, "usageDetails", "usage_details", "usage"))
    if value.text(details, "unit") not in {None, "TOKENS"}:
        raise NoCall(f"usage in {str(details['unit'])[:20].lower()}, not tokens")
    if not details:
        names = {"inputUsage": "input", "outputUsage": "output", "totalUsage": "total"}
        details = {
            names.get(name, name): row.get(name) for name in (*names, *_INPUT[2:], *_OUTPUT[2:])
        }
    counts = {name: value.whole(details, name) for name in details if name != "unit"}
    return {
        name: count
        for name, count in counts.items()
        if count is not None and not name.lower().endswith(("cost", "price"))
    }


def _sums(
    inputs: dict[str, int], outputs: dict[str, int], total: int | None
) -> tuple[int | None, int | None]:
    """Input and output tokens: the parts added up, unless ``total`` says they were inclusive."""
    ways = [
        (one, two)
        for one, two in product(_ways(inputs, _INPUT), _ways(outputs, _OUTPUT))
        if total is None or (one or 0) + (two or 0) == total
    ]
    return ways[0] if ways else (_ways(inputs, _INPUT)[0], _ways(outputs, _OUTPUT)[0])


def _ways(parts: dict[str, int], names: Iterable[str]) -> list[int | None]:
    if not parts:
        return [None]
    base = next((parts[name] for name in names if name in parts), None)
    added = sum(parts.values())
    return [added] if base is None or base == added else [added, base]


def _is_input(name: str) -> bool:
    return name.startswith(("input", "prompt", "cache"))


def _is_output(name: str) -> bool:
    return name.startswith(("output", "completion", "reasoning", "thought", "thinking"))


def _part(details: dict[str, int], word: str, any_of: tuple[str, ...]) -> int | None:
    found = [
        count
        for name, count in details.items()
        if word in name and any(other in name for other in any_of)
    ]
    return sum(found) if found else None


def _cost(row: Row) -> float | None:
    total = value.money(row, "totalCost", "total_cost", "calculatedTotalCost")
    if total is not None:
        return total
    return value.money(value.fields(value.first(row, "costDetails", "cost_details")), "total")
