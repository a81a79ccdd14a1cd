"""Bodies that were compressed on their way here: what they say, within bounds.

gzip and deflate, the latter with or without its zlib frame (clients differ), and several
codings on top of each other. All else is not ours to read.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

from budget_proxy.transport.messages import Headers

MAX_BODY: Final = 32 * 1024 * 1024
"""Bytes of a call's body that are read, unpacked: the larger of what providers take."""
CONTENT_ENCODING: Final = "content-encoding"
_FRAMED: Final = 32 + zlib.MAX_WBITS
"""gzip's frame or zlib's, whichever comes."""
_RAW: Final = -zlib.MAX_WBITS
_CODINGS: Final = {"gzip": (_FRAMED,), "x-gzip": (_FRAMED,), "deflate": (_FRAMED, _RAW)}
_NONE: Final = "identity"
_HEADER: Final = 2
"""Bytes that tell whether zlib's frame is there."""
_MOST_MEMBERS: Final = 1000
"""Of one gzip file: more are made to keep us busy."""
_MOST_CODINGS: Final = 2
"""On top of each other: likewise."""
_WINDOW: Final = 64 * 1024
"""Bytes that are unpacked at a time: what is left behind a member is copied, so it stays small."""


class Inflater:
    """An answer in deflate, unpacked as it comes, whether or not it has zlib's frame."""

    def __init__(self) -> None:
        self._head = b""
        self._unpacker: Any = None

    def feed(self, chunk: bytes) -> bytes:
        """What this chunk adds. Raises ValueError on what is no deflate."""
        if self._unpacker is None:
            self._head = chunk = self._head + chunk
            if len(chunk) < _HEADER:
                return b""
            framed = chunk[0] & 0x0F == zlib.DEFLATED and not int.from_bytes(chunk[:2], "big") % 31
            self._unpacker = zlib.decompressobj(zlib.MAX_WBITS if framed else _RAW)
        try:
            unpacked: bytes = self._unpacker.decompress(chunk)
        except zlib.error as error:
            raise ValueError(f"the answer is no deflate: {error}") from error
        return unpacked


class TooLarge(Exception):
    """A body is longer than the ``limit`` of bytes that are read."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request's body is longer than {limit} bytes")


def unpacked(content: bytes, headers: Headers, limit: int) -> bytes | None:
    """The body without its codings; ``None`` where one is unknown, or the body is broken.

    So it is where there are more codings than anybody needs. Raises TooLarge beyond ``limit``
    bytes, without unpacking more than that.
    """
    plain: bytes | None = content
    codings = _codings(headers)
    if len(codings) > _MOST_CODINGS:
        return None
    for coding in reversed(codings):
        if plain is None or coding not in _CODINGS:
            return None
        plain = _inflated(plain, coding, limit)
    return plain


def without_coding(headers: Headers) -> Headers:
    """The headers of a body that is sent plain."""
    return [item for item in headers if item[0].lower() != CONTENT_ENCODING]


def _codings(headers: Headers) -> list[str]:
    """In the order in which they were applied."""
    values = [value for name, value in headers if name.lower() == CONTENT_ENCODING]
    names = [name.strip().lower() for value in values for name in value.split(",")]
    return [name for name in names if name not in {"", _NONE}]


def _inflated(content: bytes, coding: str, limit: int) -> bytes | None:
    for frame in _CODINGS[coding]:
        try:
            return _members(content, frame, limit)
        except zlib.error:
            continue
    return None


def _members(content: bytes, frame: int, limit: int) -> bytes | None:
    """A gzip file may hold several, one behind the other. Raises zlib.error, TooLarge."""
    parts: list[bytes] = []
    whole, at, room = memoryview(content), 0, limit
    for _ in range(_MOST_MEMBERS):
        unpacker = zlib.decompressobj(frame)
        while at < len(whole) and not unpacker.eof:
            window = whole[at : at + _WINDOW]
            part = unpacker.decompress(window, room + 1)
            if len(part) > room:
                raise TooLarge(limit)
            parts.append(part)
            room -= len(part)
            at += len(window) - len(unpacker.unused_data)
        if not unpacker.eof:
            return None
        if at == len(whole):
            return b"".join(parts)
    return None
