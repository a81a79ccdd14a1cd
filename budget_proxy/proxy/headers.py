"""Which headers pass, both ways, and how bytes and texts of them are turned into each other.

What belongs to one connection stays on it; everything else passes, duplicates included.
Ours are removed by the exchange, credentials are the target's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

Headers = Sequence[tuple[str, str]]
Raw = Sequence[tuple[bytes, bytes]]

_HOP_BY_HOP: Final = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_UPSTREAM_SETS: Final = _HOP_BY_HOP | {"host", "content-length", "expect"}
_FOR_STREAMS: Final = (("cache-control", "no-cache"), ("x-accel-buffering", "no"))


def decoded(raw: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """An ASGI request's headers as texts, names in lower case."""
    return [(name.decode("latin-1").lower(), _text(value)) for name, value in raw]


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers for an ASGI response."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]


def first(headers: Headers, name: str) -> str | None:
    """The first value of a header; names are in lower case."""
    return next((value for key, value in headers if key == name), None)


def for_upstream(headers: Headers) -> list[tuple[str, str]]:
    """A caller's headers without those of its connection, and those that sending sets."""
    return _without(headers, _UPSTREAM_SETS)


def for_caller(headers: Headers) -> list[tuple[str, str]]:
    """An upstream's headers without those of its connection."""
    return _without(headers, _HOP_BY_HOP)


def identity(headers: Headers) -> list[tuple[str, str]]:
    """Ask for an answer that is not compressed: what is read as it passes must be text."""
    return [*_without(headers, frozenset({"accept-encoding"})), ("accept-encoding", "identity")]


def unpacked(headers: Headers) -> list[tuple[str, str]]:
    """The headers of a body that was compressed when it came, and is no more."""
    return _without(headers, frozenset({"content-encoding", "content-length"}))


def whole(headers: Headers, length: int) -> list[tuple[str, str]]:
    """The headers of an answer that is sent in one piece of ``length`` bytes."""
    return [*_without(headers, frozenset({"content-length"})), ("content-length", str(length))]


def streamed(headers: Headers) -> list[tuple[str, str]]:
    """The headers of a relayed event stream, which no cache and no proxy may hold back."""
    dropped = frozenset({"content-length", *(name for name, _ in _FOR_STREAMS)})
    return [*_without(headers, dropped), *_FOR_STREAMS]


def _without(headers: Headers, names: frozenset[str]) -> list[tuple[str, str]]:
    named = _connection_names(headers)
    dropped = names | named if named else names
    return [item for item in headers if item[0].lower() not in dropped]


def _connection_names(headers: Headers) -> frozenset[str]:
    """What a Connection header declares to be of this connection alone."""
    values = [value for name, value in headers if name.lower() == "connection"]
    return frozenset(name.strip().lower() for value in values for name in value.split(","))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
