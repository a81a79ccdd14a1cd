"""Digesting a JSON value piece by piece, so that a large string in it is never written anew."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Protocol

from budget_proxy.wire import value


class Digest(Protocol):
    """What takes the bytes: any hash of ``hashlib``."""

    def update(self, data: bytes, /) -> None:
        """Take some more."""


def feed(digest: Digest, item: Any, leave_out: Collection[str] = ()) -> None:
    """Feed one byte sequence for equal JSON values, whatever the order of their keys.

    Keys in ``leave_out`` are skipped at any depth. Every piece goes with its kind and length,
    so that different values cannot run into each other.
    """
    stack = [item]
    while stack:
        top = stack.pop()
        if isinstance(top, dict):
            keys = sorted((key for key in top if key not in leave_out), key=str, reverse=True)
            for key in keys:
                stack += (top[key], key)
            _piece(digest, b"{", len(keys))
        elif isinstance(top, list):
            stack += reversed(top)
            _piece(digest, b"[", len(top))
        elif isinstance(top, str):
            data = top.encode("utf-8", "surrogatepass")
            _piece(digest, b'"', len(data))
            digest.update(data)
        else:
            data = value.canonical(top)
            _piece(digest, b"=", len(data))
            digest.update(data)


def _piece(digest: Digest, kind: bytes, size: int) -> None:
    digest.update(kind + size.to_bytes(8, "big"))
