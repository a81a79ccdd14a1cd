"""Recorded calls, one JSON object a line: what ``import`` and ``backtest`` read.

Fields: ``ts`` (Unix seconds; the only one required), ``model``, ``messages``,
``input_tokens``, ``cached_tokens`` (within input), ``output_tokens`` (reasoning included),
``reasoning_tokens``, ``finish_reason``, ``max_tokens`` (the cap in force), ``agent`` (or
``service``), ``task``, ``session``, ``step``, ``cost_usd``, ``quality``, ``prompt_id``,
``user``, ``id``. Unknown fields are ignored. Says nothing of what kind of task a call is.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from budget_proxy.errors import InvalidInput
from budget_proxy.store.source import OnBad, Row, Source, kind, parsed
from budget_proxy.types import FinishReason

_SPELLINGS: Final[Mapping[str, FinishReason]] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "completed": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "refusal": "refusal",
    "error": "error",
    "failed": "error",
    "cancelled": "cancelled",
    "canceled": "cancelled",
    "aborted": "cancelled",
}


class ImpossibleUsage(InvalidInput):
    """A count that no call can have: below zero, or no whole number."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One recorded call; ``None`` where the recording does not say.

    ``messages`` are as they were. ``id`` is the call's in its source, ``response`` the
    provider's id of the answer. ``exact`` is false where the output is not known to be whole:
    it can be counted, but tells no length.
    """

    ts: float
    model: str | None = None
    messages: tuple[dict[str, Any], ...] = ()
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    finish_reason: FinishReason | None = None
    max_tokens: int | None = None
    agent: str | None = None
    task: str | None = None
    session: str | None = None
    step: int | None = None
    cost_usd: float | None = None
    quality: float | None = None
    prompt_id: str | None = None
    cache_write_tokens: int | None = None
    n: int = 1
    seconds: float | None = None
    user: str | None = None
    tags: tuple[str, ...] = ()
    id: str | None = None
    response: str | None = None
    exact: bool = True

    @property
    def has_length(self) -> bool:
        """Whether it is known how long the answer was; without that nothing can be learned."""
        return self.output_tokens is not None

    @property
    def truncated(self) -> bool:
        """Whether the answer was cut: it ended for length, or is as long as its cap."""
        if self.finish_reason == "length":
            return True
        cap, tokens = self.max_tokens, self.output_tokens
        return cap is not None and tokens is not None and tokens >= cap


def finish_reason(spelling: str) -> FinishReason | None:
    """The core's word for a recording's own one ("STOP", "tool-calls"), where it is known."""
    return _SPELLINGS.get(spelling.strip().lower().replace("-", "_"))


def log_bad(line: int, reason: str) -> None:
    """Warn of a line that could not be read."""
    logging.getLogger("budget_proxy").warning("recorded call in line %d left out: %s", line, reason)


def read_recorded(
    path: str | Path, *, on_bad: OnBad = log_bad
) -> Iterator[tuple[int, RecordedCall]]:
    """Stream a recording, plain or gzip: each call with its row (counted from 0).

    Blank lines are no rows; malformed ones are, but ``on_bad`` gets them (with the line,
    counted from 1, and the reason) in place of the reader. Raises InvalidInput where the file
    cannot be read at all, or breaks off.
    """
    for row, (number, text) in enumerate(Source(path, layout="lines").texts()):
        try:
            call = call_of(text if isinstance(text, dict) else parsed(text))
        except InvalidInput as error:
            on_bad(number, str(error))
        else:
            yield row, call


def call_of(row: Row) -> RecordedCall:
    """The call that an object in our own form is. Raises InvalidInput with the reason."""
    ts = _number(row, "ts")
    if ts is None:
        raise InvalidInput("ts (Unix seconds) is missing")
    spelling = _text(row, "finish_reason")
    agent = _text(row, "agent")
    return RecordedCall(
        ts=float(ts),
        model=_text(row, "model"),
        messages=_messages(row),
        input_tokens=_whole(row, "input_tokens"),
        cached_tokens=_whole(row, "cached_tokens"),
        output_tokens=_whole(row, "output_tokens"),
        reasoning_tokens=_whole(row, "reasoning_tokens"),
        finish_reason=finish_reason(spelling) if spelling else None,
        max_tokens=_whole(row, "max_tokens"),
        agent=_text(row, "service") if agent is None else agent,
        task=_text(row, "task"),
        session=_text(row, "session"),
        step=_whole(row, "step"),
        cost_usd=_number(row, "cost_usd"),
        quality=_number(row, "quality"),
        prompt_id=_text(row, "prompt_id"),
        user=_text(row, "user"),
        id=_text(row, "id"),
    )


def _messages(row: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    value = row.get("messages")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidInput(f"messages must be a list of objects, not {kind(value)}")
    return tuple(value)


def _whole(row: dict[str, Any], name: str) -> int | None:
    value = _number(row, name)
    if value is None:
        return None
    if value < 0 or value != int(value):
        raise ImpossibleUsage(f"{name} must be a whole number >= 0, not {value:g}")
    return int(value)


def _number(row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{name} must be a number, not {kind(value)}")
    if not math.isfinite(value):
        raise InvalidInput(f"{name} must be finite")
    return value


def _text(row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInput(f"{name} must be a text, not {kind(value)}")
    return str(value)
