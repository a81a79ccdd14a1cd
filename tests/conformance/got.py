"""What a client got, as plain data that can be compared."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Final

import pydantic

from tests.doors import now

_ON_THE_WAY: Final = frozenset(
    {
        "connection", "content-length", "content-encoding", "date", "server", "keep-alive",
        "transfer-encoding", "cache-control", "x-accel-buffering",
    }
)  # fmt: skip
"""Headers of a connection, and those that keep a stream from being held back."""


def plain(value: Any) -> Any:
    """A value without the classes around it."""
    if isinstance(value, pydantic.BaseModel):
        return [type(value).__name__, plain(value.model_dump(mode="json", warnings=False))]
    if isinstance(value, BaseException):
        return error(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def error(raised: BaseException) -> dict[str, Any]:
    """All that programs look at in an SDK's exception."""
    names = ("status_code", "body", "code", "param", "type", "request_id", "message")
    known = {name: plain(getattr(raised, name, None)) for name in names}
    response = getattr(raised, "response", None)
    told = {} if response is None else headers(response.headers)
    return {"raised": type(raised).__name__, "headers": told, **known}


def headers(given: Any) -> dict[str, str]:
    """The provider's own headers of an answer: without the connection's and without ours."""
    named = {name.lower(): value for name, value in given.items()}
    return {
        name: value
        for name, value in named.items()
        if name not in _ON_THE_WAY and not name.startswith("x-budget-")
    }


async def raised(work: Awaitable[Any] | Any) -> dict[str, Any]:
    """The error that a call ends in; ``work`` is a coroutine or a function without arguments."""
    try:
        await now(work() if callable(work) else work)
    except Exception as caught:  # noqa: BLE001 (whatever it is, it is compared)
        return error(caught)
    return {"raised": None}
