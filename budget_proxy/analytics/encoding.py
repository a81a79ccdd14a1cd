"""Answers as JSON, the same on the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import orjson


def encoded(value: Any, *, indent: bool = False) -> bytes:
    """Dataclasses, mappings and sequences as JSON; NaN and infinity as null, sets sorted."""
    options = orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(value, default=_plain, option=options)


def named(value: Any) -> dict[str, Any]:
    """A dataclass's fields by their names, as they are."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is no JSON")
