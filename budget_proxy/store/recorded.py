"""Recorded calls, one JSON object a line: what ``import`` and ``backtest`` read.

Fields: ``ts`` (Unix seconds; the only one required), ``model``, ``messages``,
``input_tokens``, ``cached_tokens`` (within input), ``output_tokens`` (reasoning included),
``reasoning_tokens``, ``finish_reason``, ``max_tokens`` (the cap in force), ``agent`` (or
``service``), ``task``, ``session``, ``step``, ``cost_usd``, ``quality``, ``prompt_id``.
Unknown fields are ignored. Says nothing of what kind of task a call is.
"""

from __future__ import annotations

import gzip
import logging
import math
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import orjson

from budget_proxy.errors import InvalidInput
from budget_proxy.types import FinishReason

OnBad = Callable[[int, str], None]

_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
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


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One line of a recording; ``None`` where it does not say. ``messages`` are as they were."""

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
    row = 0
    with _opened(Path(path)) as lines:
        for number, line in _numbered(lines, path):
            text = line.strip()
            if not text:
                continue
            try:
                call = _call(text)
            except InvalidInput as error:
                on_bad(number, str(error))
            else:
                yield row, call
            row += 1


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        raw = path.open("rb")
    except OSError as error:
        raise InvalidInput(f"the recording {path} cannot be read: {error.strerror}") from error
    with raw:
        if raw.peek(2)[:2] == _GZIP:
            with gzip.open(raw) as unpacked:
                yield cast("IO[bytes]", unpacked)
        else:
            yield raw


def _numbered(lines: IO[bytes], path: str | Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        for number, line in enumerate(lines, 1):
            yield number, line.removeprefix(_BOM) if number == 1 else line
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(
            f"the recording {path} breaks off after line {number}: {error}; the lines before it "
            "have been read"
        ) from error


def _call(text: bytes) -> RecordedCall:
    """Raises InvalidInput with the reason."""
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"no valid JSON: {error}") from None
    if not isinstance(row, dict):
        raise InvalidInput(f"a JSON object is needed, not {_kind(row)}")
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
    )


def _messages(row: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    value = row.get("messages")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InvalidInput(f"messages must be a list of objects, not {_kind(value)}")
    return tuple(value)


def _whole(row: dict[str, Any], name: str) -> int | None:
    value = _number(row, name)
    if value is None:
        return None
    if value < 0 or value != int(value):
        raise InvalidInput(f"{name} must be a whole number >= 0, not {value:g}")
    return int(value)


def _number(row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(f"{name} must be a number, not {_kind(value)}")
    if not math.isfinite(value):
        raise InvalidInput(f"{name} must be finite")
    return value


def _text(row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InvalidInput(f"{name} must be a text, not {_kind(value)}")
    return str(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
