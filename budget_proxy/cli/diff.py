"""What was written into a body, without repeating it: JSON paths, sizes and our own text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from budget_proxy.types import Body, Plan


@dataclass(frozen=True, slots=True)
class Change:
    """One place in a body that we wrote. Sizes are in bytes of JSON, 0 where nothing was.

    ``value`` is what we wrote there, if it is a number, a flag or a text of ours; text of
    the caller's is never repeated.
    """

    path: str
    change: str
    size_before: int
    size_after: int
    value: Any = None


class _Own(NamedTuple):
    """What of a body may be ours: a note within a text, and whole values."""

    note: str | None
    words: frozenset[str]


def changes(before: Body, plan: Plan) -> list[Change]:
    """What distinguishes the plan's body from the one ``before``, in the body's order."""
    patch = plan.patch
    words = (patch.effort, patch.model, patch.thinking.kind if patch.thinking else None)
    own = _Own(
        note=patch.guidance.text if patch.guidance else None,
        words=frozenset(word for word in words if word is not None),
    )
    return list(_compare("$", before, plan.body, own))


def _compare(path: str, before: Any, after: Any, own: _Own) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _member(f"{path}.{name}", before, after, name, own)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _items(path, before, after, own)
    elif _became_blocks(before, after):
        for at, block in enumerate(after[1:], 1):
            yield from _added(f"{path}[{at}]", block, own)
    else:
        yield Change(path, "changed", _size(before), _size(after), _shown(after, own))


def _became_blocks(before: Any, after: Any) -> bool:
    """Whether a text is now the first of several blocks, as beside a note in a user's turn."""
    first = after[0] if isinstance(after, list) and after else None
    return isinstance(before, str) and isinstance(first, Mapping) and first.get("text") == before


def _member(
    path: str, before: Mapping[str, Any], after: Mapping[str, Any], name: str, own: _Own
) -> Iterator[Change]:
    if name not in after:
        yield Change(path, "removed", _size(before[name]), 0)
    elif name not in before:
        yield from _added(path, after[name], own)
    else:
        yield from _compare(path, before[name], after[name], own)


def _items(path: str, before: list[Any], after: list[Any], own: _Own) -> Iterator[Change]:
    """Compare what lies between the items that both lists begin and end with."""
    shorter = min(len(before), len(after))
    head = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    rest = shorter - head
    tail = next((at for at in range(rest) if before[-1 - at] != after[-1 - at]), rest)
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    if len(old) == len(new):
        for at, pair in enumerate(zip(old, new, strict=True), head):
            yield from _compare(f"{path}[{at}]", *pair, own)
    elif not old:
        for at, item in enumerate(new, head):
            yield from _added(f"{path}[{at}]", item, own)
    else:
        yield Change(path, "changed", _size(before), _size(after), _shown(after, own))


def _added(path: str, value: Any, own: _Own) -> Iterator[Change]:
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _added(f"{path}.{name}", item, own)
    elif isinstance(value, list) and value:
        for at, item in enumerate(value):
            yield from _added(f"{path}[{at}]", item, own)
    else:
        yield Change(path, "added", 0, _size(value), _shown(value, own))


def _shown(value: Any, own: _Own) -> Any:
    """The part of a value that is ours."""
    if isinstance(value, str):
        if own.note is not None and own.note in value:
            return own.note
        return value if value in own.words else None
    return value if isinstance(value, bool | int | float) else None


def _size(value: Any) -> int:
    return len(orjson.dumps(value))
