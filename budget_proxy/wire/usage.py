"""Usage as the core counts it (inclusive), from a provider's usage object or an estimate.

genai-prices knows where each provider puts its numbers; it is imported at first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from budget_proxy.types import Usage
from budget_proxy.wire import value

CHARS_PER_TOKEN: Final = 4
"""Of text whose tokens nobody counted."""

_DESTINATIONS: Final[Mapping[str, str]] = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """Where one API's usage object is described, and how it spells its two totals."""

    provider: str
    flavor: str
    input_key: str
    output_key: str


def extract(raw: Any, shape: Shape) -> Usage | None:
    """Usage from a provider's usage object; ``None`` if it says nothing. Unknown stays ``None``."""
    if not isinstance(raw, dict) or not raw:
        return None
    from genai_prices import extract_usage

    try:
        found = extract_usage(
            {"usage": _pruned(raw)}, provider_id=shape.provider, api_flavor=shape.flavor
        )
    except (LookupError, ValueError, TypeError):
        return _totals(raw, shape)
    known = vars(found.usage)
    return Usage(**{ours: _whole(known.get(theirs)) for ours, theirs in _DESTINATIONS.items()})


def preload() -> None:
    """Import the tables now, so that no answer waits for them (about half a second)."""
    extract({"prompt_tokens": 1, "completion_tokens": 1}, Shape("openai", "chat", "", ""))


def plus(first: Usage, second: Usage | None) -> Usage:
    """Both together; what only one of them knows is taken from it."""
    if second is None:
        return first
    both = {
        item.name: (getattr(first, item.name), getattr(second, item.name)) for item in fields(first)
    }
    return Usage(
        **{name: a if b is None else b if a is None else a + b for name, (a, b) in both.items()}
    )


def estimated(seen: Usage | None, characters: int) -> Usage | None:
    """What was seen of an answer without final usage: characters / 4, rounded up, as output."""
    if seen is None and not characters:
        return None
    base = seen or Usage()
    tokens = -(-characters // CHARS_PER_TOKEN)
    return Usage(
        input_tokens=base.input_tokens,
        output_tokens=max(tokens, base.output_tokens or 0),
        reasoning_tokens=base.reasoning_tokens,
        cache_read_tokens=base.cache_read_tokens,
        cache_write_tokens=base.cache_write_tokens,
    )


def _pruned(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Without nulls, which the library takes for wrong values, two levels deep as all APIs are."""
    return {
        key: {name: part for name, part in item.items() if part is not None}
        if isinstance(item, dict)
        else item
        for key, item in raw.items()
        if item is not None
    }


def _totals(raw: Mapping[str, Any], shape: Shape) -> Usage | None:
    given = value.count(raw.get(shape.input_key))
    taken = value.count(raw.get(shape.output_key))
    return None if given is None and taken is None else Usage(given, taken)


def _whole(number: Any) -> int | None:
    return None if number is None else int(number)
