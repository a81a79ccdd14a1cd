"""LiteLLM's spend logs: the table LiteLLM_SpendLogs, as CSV, JSON or JSON lines.

Columns by ``litellm/proxy/schema.prisma`` (LiteLLM_SpendLogs), their contents by
``litellm/proxy/spend_tracking/spend_tracking_utils.py`` of BerriAI/litellm; ``/spend/logs`` and
``/spend/logs/v2`` answer with the same rows. Times without a zone are UTC. ``prompt_tokens``
hold cached ones. Messages are there only with ``store_prompts_in_spend_logs``.
"""

from __future__ import annotations

from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.imports import value
from budget_proxy.store.imports.base import NoCall, RowFormat
from budget_proxy.store.recorded import RecordedCall, finish_reason
from budget_proxy.store.source import Row
from budget_proxy.types import FinishReason

_COMPLETIONS: Final = frozenset(
    {
        "completion",
        "text_completion",
        "responses",
        "anthropic_messages",
        "generate_content",
        "generate_content_stream",
        "pass_through_endpoint",
        "llm_passthrough_route",
    }
)
"""The types of calls that have an output in tokens; "a" before one marks it asynchronous."""


class LiteLLM(RowFormat):
    """Rows of LiteLLM_SpendLogs."""

    name = "litellm"

    def recognises(self, row: Row) -> bool:
        """By the table's key, its time and what it counts."""
        return "request_id" in row and "startTime" in row and not row.keys().isdisjoint(
            {"completion_tokens", "spend", "call_type"}
        )  # fmt: skip

    def call(self, row: Row) -> RecordedCall:
        """The call that a row is; answers from the cache and failures are none."""
        _check_kind(row)
        started = value.moment(row, "startTime")
        if started is None:
            raise InvalidInput("startTime is missing")
        metadata = value.fields(row.get("metadata"))
        request = value.fields(row.get("proxy_server_request"))
        usage = _usage(metadata)
        seconds = value.number(row, "request_duration_ms")
        ended = value.moment(row, "endTime")
        return RecordedCall(
            ts=started,
            model=_model(row),
            messages=value.messages(row.get("messages")) or value.messages(request),
            input_tokens=value.whole(row, "prompt_tokens"),
            cached_tokens=value.whole(usage, "cached_tokens", "cache_read_input_tokens"),
            cache_write_tokens=value.whole(usage, "cache_creation_input_tokens"),
            output_tokens=value.whole(row, "completion_tokens"),
            reasoning_tokens=value.whole(usage, "reasoning_tokens"),
            finish_reason=_finish(value.fields(row.get("response"))),
            max_tokens=value.cap(request),
            n=value.whole(request, "n") or 1,
            agent=value.text(row, "agent_id") or value.text(metadata, "user_api_key_alias"),
            session=value.text(row, "session_id"),
            user=value.text(row, "end_user", "user"),
            tags=value.labels(row.get("request_tags")),
            cost_usd=value.money(row, "spend"),
            seconds=value.between(started, ended) if seconds is None else seconds / 1000,
            id=value.text(row, "request_id"),
            response=value.text(row, "request_id"),
        )


def _check_kind(row: Row) -> None:
    call_type = value.text(row, "call_type") or "completion"
    if call_type not in _COMPLETIONS and call_type.removeprefix("a") not in _COMPLETIONS:
        raise NoCall(f"call_type {call_type[:40]}")
    if str(row.get("cache_hit")).lower() == "true":
        raise NoCall("answered from LiteLLM's cache")
    if value.text(row, "status") == "failure":
        raise NoCall("a call that failed")


def _model(row: Row) -> str | None:
    """As the caller spelled it, where that is no pattern."""
    group = value.text(row, "model_group")
    return group if group and "*" not in group else value.text(row, "model")


def _usage(metadata: Row) -> Row:
    """The usage's details on one level, those of the provider's own object last."""
    found: Row = {}
    for name in ("additional_usage_values", "usage_object"):
        usage = value.fields(metadata.get(name))
        found |= usage
        for part in (
            "prompt_tokens_details", "completion_tokens_details",
            "input_tokens_details", "output_tokens_details",
        ):  # fmt: skip
            found |= value.fields(usage.get(part))
    return found


def _finish(response: Row) -> FinishReason | None:
    choices = response.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else response
    spelling = (
        value.text(choice, "finish_reason", "stop_reason") if isinstance(choice, dict) else None
    )
    return finish_reason(spelling) if spelling else None
