"""Reading what other systems write: numbers as texts, JSON within texts, times in any spelling.

What is absent, or of another kind than can be used, is ``None``; what claims to be a count or a
time and cannot be one raises InvalidInput. Errors never repeat a text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from budget_proxy.errors import InvalidInput
from budget_proxy.store.recorded import ImpossibleUsage
from budget_proxy.store.source import Row, kind

LONGEST_TEXT: Final = 8_000
"""Characters of a message's text that are looked at, as in the published recordings."""

_MILLISECONDS: Final = 1e11


def first(row: Mapping[str, Any], *names: str) -> Any:
    """The first of these fields that is there, and neither null nor empty."""
    for name in names:
        value = row.get(name)
        if value is not None and value != "":
            return value
    return None


def text(row: Mapping[str, Any], *names: str) -> str | None:
    """A name or an id; a number counts as one."""
    value = first(row, *names)
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def number(row: Mapping[str, Any], *names: str) -> float | None:
    """A finite number, written as one or as a text. Raises InvalidInput."""
    value = first(row, *names)
    if value is None:
        return None
    try:
        found = math.nan if isinstance(value, bool | list | dict) else float(value)
    except (ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise InvalidInput(f"{_named(row, names)} must be a number, not {kind(value)}")
    return found


def whole(row: Mapping[str, Any], *names: str) -> int | None:
    """A count; "12.0", as tables write it, is one. Raises ImpossibleUsage, InvalidInput."""
    found = number(row, *names)
    if found is None:
        return None
    if found < 0 or found != int(found):
        raise ImpossibleUsage(f"{_named(row, names)} must be a whole number >= 0, not {found:g}")
    return int(found)


def money(row: Mapping[str, Any], *names: str) -> float | None:
    """US dollars. A price of zero is that of a model whose price was not known."""
    return number(row, *names) or None


def moment(row: Mapping[str, Any], *names: str) -> float | None:
    """A time in Unix seconds, from ISO 8601 (UTC, if it does not say) or a number.

    Numbers may be in seconds or milliseconds. Raises InvalidInput.
    """
    value = first(row, *names)
    if value is None:
        return None
    if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
        try:
            found = datetime.fromisoformat(value.strip().removesuffix(" UTC"))
        except ValueError:
            raise InvalidInput(f"{_named(row, names)} must be a time in ISO 8601") from None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    seconds = number(row, *names)
    if seconds is None:
        return None
    return seconds / 1000 if seconds > _MILLISECONDS else seconds


def opened(value: Any) -> Any:
    """What a text of JSON holds, as tables write objects and lists; else the value itself."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def fields(value: Any) -> Row:
    """An object, written as one or as a text of JSON; empty where it is none."""
    found = opened(value)
    return found if isinstance(found, dict) else {}


def labels(value: Any) -> tuple[str, ...]:
    """A list of short texts."""
    found = opened(value)
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()


def messages(value: Any) -> tuple[Row, ...]:
    """The messages of a prompt: a list, an object with ``messages``, or a plain text."""
    found = opened(value)
    if isinstance(found, dict):
        found = opened(found.get("messages", [found] if "role" in found else None))
    if isinstance(found, str):
        return ({"role": "user", "content": found[:LONGEST_TEXT]},) if found else ()
    if not isinstance(found, list):
        return ()
    return tuple(item for item in found if isinstance(item, dict) and "role" in item)


def cap(parameters: Mapping[str, Any]) -> int | None:
    """The cap that a request's parameters set, whatever its dialect calls it."""
    return whole(
        parameters,
        "max_completion_tokens", "max_tokens", "max_output_tokens", "maxTokens", "maxOutputTokens",
    )  # fmt: skip


def between(start: float | None, end: float | None) -> float | None:
    """How many seconds lie between two times; ``None`` where that is unknown or negative."""
    return end - start if start is not None and end is not None and end >= start else None


def _named(row: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if first(row, name) is not None), names[0])
