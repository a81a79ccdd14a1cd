"""Reading JSON whose shape is not ours: what is odd counts as absent, and nothing raises.

Left out on purpose: any schema of a provider.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from budget_proxy.types import NOTHING

_MOST: Final = 2**53
"""Beyond it JSON's numbers are not exact, and no count is meant."""
_MOST_PARTS: Final = 10_000
"""Parts of a schema that are looked at; in a body made in Python a part may hold itself."""


def mapping(value: Any) -> Mapping[str, Any]:
    """The object, or an empty one."""
    return value if isinstance(value, dict) else NOTHING


def items(value: Any) -> Sequence[Any]:
    """The array's items, or none."""
    return value if isinstance(value, list) else ()


def text(value: Any) -> str:
    """The string, or an empty one."""
    return value if isinstance(value, str) else ""


def name(value: Any) -> str | None:
    """The string if it says something, else ``None``.

    Half of a surrogate pair, which no history can store, becomes a question mark.
    """
    if not isinstance(value, str) or not value:
        return None
    return value if value.isascii() else value.encode(errors="replace").decode()


def count(value: Any) -> int | None:
    """The whole number >= 0, or ``None``; true and false are no numbers, nor is one too large."""
    return value if type(value) is int and 0 <= value <= _MOST else None


def number(value: Any) -> float | None:
    """The finite number, or ``None``; true and false are no numbers."""
    if type(value) is float and math.isfinite(value):
        return value
    return float(value) if type(value) is int and -_MOST <= value <= _MOST else None


def properties(schema: Any) -> int:
    """How many properties a JSON schema names, at any depth."""
    count, parts = 0, [schema]
    for _ in range(_MOST_PARTS):
        if not parts:
            break
        part = parts.pop()
        if isinstance(part, dict):
            count += len(mapping(part.get("properties")))
            parts.extend(part.values())
        elif isinstance(part, list):
            parts.extend(part)
    return count


def least(*values: int | None) -> int | None:
    """The smallest known number, or ``None``."""
    return min((value for value in values if value is not None), default=None)


def canonical(value: Any) -> bytes:
    """One byte string for equal JSON values, whatever the order of their keys."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a huge number, a lone surrogate or too deep a nesting for orjson
        try:
            return json.dumps(value, sort_keys=True, default=str).encode()
        except (TypeError, ValueError, RecursionError):
            return b"?"


def size(value: Any) -> int:
    """Characters of a value as JSON; of a string the string itself, of an absent one none."""
    if not value:
        return 0
    return len(value) if isinstance(value, str) else len(canonical(value))
