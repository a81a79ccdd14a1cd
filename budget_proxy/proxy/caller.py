"""The caller's side: one HTTP request over ASGI, and the way back.

Plain ASGI, because it is the hot path. ``send`` waits while the caller's connection is full,
so that a slow caller slows its upstream down instead of filling our memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from budget_proxy.proxy.headers import Headers, decoded, encoded, first, whole
from budget_proxy.store.keys import VirtualKey
from budget_proxy.transport.coding import TooLarge
from budget_proxy.wire.provider import without_credentials

_DRAIN: Final = 8
"""How many times its limit of a body that is too long is read on, so that the caller gets to
reading our answer."""


class CallerLeft(Exception):
    """The caller closed its connection."""


class Caller:
    """One request, and the answer to it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_path = (scope.get("raw_path") or self.path.encode()).decode("latin-1")
        self.query = scope["query_string"].decode("latin-1")
        self.headers = decoded(scope["headers"])
        self.key: VirtualKey | None = None
        self.address: str | None = (scope.get("server") or (None,))[0]
        self._receive = receive
        self._send = send
        self._waits = (first(self.headers, "expect") or "").lower() == "100-continue"

    def let_in(self, key: VirtualKey | None) -> None:
        """Take note of the virtual key that it came with, which nobody behind this may see."""
        self.key = key
        if key is not None:
            self.headers = without_credentials(self.headers)

    @property
    def length(self) -> int | None:
        """The body's length in bytes as announced; ``None`` if it comes in chunks."""
        if first(self.headers, "transfer-encoding") is not None:
            return None
        text = first(self.headers, "content-length") or "0"
        return int(text) if text.isdigit() else None

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises TooLarge beyond ``limit`` bytes, CallerLeft if it breaks off.

        A caller that asked first (``Expect: 100-continue``) is not made to send what is too long.
        """
        if self._waits and (self.length or 0) > limit:
            raise TooLarge(limit)
        parts: list[bytes] = []
        size = 0
        async for part in self.stream():
            size += len(part)
            if size <= limit:
                parts.append(part)
            elif size > limit * _DRAIN:
                break
        if size > limit:
            raise TooLarge(limit)
        return b"".join(parts)

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises CallerLeft if it breaks off."""
        self._waits = False  # the server tells it to go on
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerLeft
            more = message.get("more_body", False)
            if part := message.get("body", b""):
                yield part

    async def answer(self, status: int, headers: Headers, content: bytes) -> None:
        """Answer in one piece."""
        await self.start(status, whole(headers, len(content)))
        await self.end(content)

    async def start(self, status: int, headers: Headers) -> None:
        """Begin an answer.

        To a caller that waits for leave to send its body it is a no: what would come next on
        that connection nobody could tell.
        """
        if self._waits:
            headers = [*headers, ("connection", "close")]
        await self._send(
            {"type": "http.response.start", "status": status, "headers": encoded(headers)}
        )

    async def write(self, content: bytes) -> None:
        """Pass a part of the answer on, at once."""
        await self._send({"type": "http.response.body", "body": content, "more_body": True})

    async def end(self, content: bytes = b"") -> None:
        """Pass the last part on."""
        await self._send({"type": "http.response.body", "body": content, "more_body": False})

    async def has_left(self) -> bool:
        """Whether the caller is known to have left. Ask it after the body was read."""
        asking = asyncio.ensure_future(self._receive())
        await asyncio.sleep(0)
        if asking.done():
            return bool(asking.result()["type"] == "http.disconnect")
        asking.cancel()
        return False

    async def while_here(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, cancelled at once when the caller leaves. Raises CallerLeft then."""
        task = asyncio.current_task()
        left = False

        async def watch() -> None:
            nonlocal left
            while (await self._receive())["type"] != "http.disconnect":
                pass
            left = True
            if task is not None:
                task.cancel()

        watcher = asyncio.ensure_future(watch())
        try:
            await work
        except asyncio.CancelledError:
            if not left or task is None or task.uncancel():
                raise
            raise CallerLeft from None
        finally:
            watcher.cancel()
