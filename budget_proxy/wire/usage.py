"""Usage as the core counts it (inclusive), from a provider's usage object or an estimate.

genai-prices knows where each provider puts its numbers; it is imported at first use. Its own
reading takes 20 microseconds and more, so that plain numbers are taken from their places here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
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
    known: Mapping[str, Any] | None = _plain(raw, _places(shape)) or _by_library(raw, shape)
    if known is None:
        return _totals(raw, shape)
    return Usage(*[_whole(known.get(theirs)) for theirs in _DESTINATIONS.values()])


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


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a number stands in a usage object, and which of the library's it adds to."""

    path: tuple[str, ...]
    destination: str
    required: bool


@cache
def _places(shape: Shape) -> tuple[_Place, ...]:
    """Where the library finds the numbers of a shape; none where a path is no plain one."""
    from genai_prices.data_snapshot import get_snapshot

    provider = get_snapshot().find_provider(None, shape.provider, None)
    extractors = [e for e in provider.extractors or () if e.api_flavor == shape.flavor]
    mappings: list[Any] = [mapping for e in extractors for mapping in e.mappings]
    paths = [(m.path,) if isinstance(m.path, str) else tuple(m.path) for m in mappings]
    if not all(isinstance(step, str) for path in paths for step in path):
        return ()
    return tuple(_Place(path, m.dest, m.required) for path, m in zip(paths, mappings, strict=True))


def _plain(raw: Mapping[str, Any], places: tuple[_Place, ...]) -> dict[str, int] | None:
    """The numbers by the library's names; ``None`` where anything is odd, or nothing is there."""
    sums: dict[str, int] = {}
    for place in places:
        found: Any = raw
        for step in place.path:
            found = found.get(step) if isinstance(found, dict) else None
        if found is None and not place.required:
            continue
        if type(found) is not int or found < 0:
            return None
        sums[place.destination] = sums.get(place.destination, 0) + found
    return sums


def _by_library(raw: Mapping[str, Any], shape: Shape) -> Mapping[str, Any] | None:
    """The same by the library itself, which knows what to make of what is odd."""
    from genai_prices import extract_usage

    try:
        found = extract_usage(
            {"usage": _pruned(raw)}, provider_id=shape.provider, api_flavor=shape.flavor
        )
    except (LookupError, ValueError, TypeError):
        return None
    return vars(found.usage)


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
