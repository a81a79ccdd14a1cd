"""A call's keyword arguments as an OpenAI chat body, and what was written there as arguments.

LiteLLM takes far more arguments than a body has. What is no chat parameter never enters the
body, and what was not changed in it stays the caller's own object.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic_core import to_jsonable_python

from budget_proxy.scope import BODY_KEY, HEADER_PREFIX, strip_headers
from budget_proxy.types import Body
from budget_proxy.wire.gateway import PARAMETERS

Arguments = Mapping[str, Any]
_HEADERS: Final = ("extra_headers", "headers")


def body_of(arguments: Arguments, model: str) -> Body:
    """The chat body, all of it JSON, with ``model`` as its provider calls it.

    It has our own ``budget`` key too, where the call has.
    """
    given = {
        name: arguments[name]
        for name in (*sorted(PARAMETERS), BODY_KEY)
        if arguments.get(name) is not None
    }
    body: Body = to_jsonable_python(
        {**given, "model": model}, exclude_none=True, fallback=_described
    )
    return body


def headers_of(arguments: Arguments) -> list[tuple[str, str]]:
    """The ``x-budget-*`` headers that were to be sent with the call."""
    return [item for name in _HEADERS for item in budget_headers(arguments.get(name))]


def budget_headers(headers: Any) -> list[tuple[str, str]]:
    """The ``x-budget-*`` headers among a mapping's; none where it is no mapping."""
    return [item for item in _items(headers) if item[0].lower().startswith(HEADER_PREFIX)]


def without_ours(arguments: Arguments) -> dict[str, Any]:
    """The arguments less all that is meant for us; what is left over of nothing is left out."""
    kept = {name: value for name, value in arguments.items() if name != BODY_KEY}
    for name in _HEADERS:
        given = _items(kept.get(name))
        if len(own := strip_headers(given)) < len(given):
            kept[name] = dict(own)
    return kept


def written(arguments: Arguments, before: Body, after: Body) -> dict[str, Any]:
    """The arguments to call with: what changed from one body to the other, and all else."""
    out = without_ours(arguments)
    for name, value in after.items():
        if before.get(name) != value:
            out[name] = value
    if "messages" in out and out["messages"] is not arguments.get("messages"):
        old = before.get("messages") or []
        out["messages"] = _spared(arguments.get("messages") or [], old, after["messages"])
    return out


def _spared(given: Any, before: list[Any], after: list[Any]) -> list[Any]:
    """The new messages, with the caller's own objects for those that were not changed.

    What was added stands before all others.
    """
    added = len(after) - len(before)
    own = [*after[:added], *given]
    old = [*after[:added], *before]
    return [mine if was == new else new for mine, was, new in zip(own, old, after, strict=True)]


def _items(headers: Any) -> list[tuple[str, str]]:
    given: Iterable[tuple[Any, Any]] = headers.items() if isinstance(headers, Mapping) else ()
    return [(str(name), str(value)) for name, value in given]


def _described(value: Any) -> Any:
    """What JSON has no word for: an answer's form given as a class, by its schema."""
    schema = getattr(value, "model_json_schema", None)
    if isinstance(value, type) and schema is not None:
        form = {"name": value.__name__, "schema": schema()}
        return {"type": "json_schema", "json_schema": form}
    return str(type(value))
