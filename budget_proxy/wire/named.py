"""Every model that a request names, so that a key for some models is a key for no others.

Beside its own model a body may name those that answer in its place, or that its tools ask. Some
servers do not tell small letters from capitals, so neither is done here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from budget_proxy.wire import value
from budget_proxy.wire.path import model_in

_MODEL: Final = "model"
_OTHERS: Final = frozenset({"models", "tools"})
"""Lists of models, or of objects that have one."""
_FOR_ANY: Final = re.compile(
    r"^/(?:v1|openai(?:/+v1)?)/+(?:messages/+)?(?:batches|evals|files|uploads)(?:/|$)",
    re.IGNORECASE,
)
"""What may stand for calls of any model, whatever its body says besides."""
_STANDING_IN: Final = "fallback"
"""In the name of what answers in a model's place: models, or (LiteLLM's) models by model."""
_SETTINGS: Final = "router_settings_override"
"""LiteLLM's settings for one request, which may have the same."""


def models_in(path: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    """The models by name, each once; empty where none is named that can be told."""
    if _FOR_ANY.match(path):
        return ()
    found = [model_in(path), *_named(body)]
    for key, items in body.items():
        name = key.lower()
        if _STANDING_IN in name:
            found += _standing_in(items)
        elif name == _SETTINGS:
            for own, some in value.mapping(items).items():
                found += _standing_in(some) if _STANDING_IN in own.lower() else ()
        elif name in _OTHERS:
            for item in value.items(items):
                found += [item] if isinstance(item, str) else _named(value.mapping(item))
    return tuple(dict.fromkeys(name for name in found if name))


def _standing_in(items: Any) -> Iterator[str]:
    """The names in whatever form: of an object its model, else what it has for each model."""
    parts = [items]
    while parts:
        part = parts.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            parts += reversed([*_named(part)] or [*part.values()])
        else:
            parts += reversed(value.items(part))


def _named(thing: Mapping[str, Any]) -> Iterator[str]:
    return (value.text(item) for key, item in thing.items() if key.lower() == _MODEL)
