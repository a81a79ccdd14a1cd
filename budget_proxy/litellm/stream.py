"""A stream of LiteLLM's that passes through a Relay, and stays the object it was."""

from __future__ import annotations

from functools import cache
from types import TracebackType
from typing import Any, Final

from budget_proxy.assemble import Engine
from budget_proxy.transport.exchange import Relay
from budget_proxy.transport.guard import fail_open

DONE: Final = b"data: [DONE]\n\n"


def relayed(stream: Any, relay: Relay, engine: Engine) -> Any:
    """The very stream, from now on of a class that shows each chunk to the relay."""
    stream.budget_passage = Passage(relay, engine)
    kind: Any = type(stream)
    stream.__class__ = _relaying(kind)
    return stream


def told(thing: Any) -> bytes:
    """A response or a chunk as the JSON that it would be."""
    text: str = thing.model_dump_json(exclude_none=True)
    return text.encode()


def event(content: bytes) -> bytes:
    """JSON as a server-sent event."""
    return b"data: " + content + b"\n\n"


class Passage:
    """Where chunks pass. Used in a ``with`` around fetching one: so it sees the stream end.

    Left behind with its stream, it settles what was seen as cancelled.
    """

    def __init__(self, relay: Relay, engine: Engine) -> None:
        self._relay = relay
        self._engine = engine
        self._fetching = False

    def lets(self, chunk: Any) -> bool:
        """Whether a chunk is for the caller."""
        with fail_open(self._engine, "relay"):
            return bool(self._relay.feed(event(told(chunk))))
        return True

    def leave(self) -> None:
        """The stream is closed: by its caller, or by itself while it fails to fetch."""
        if not self._fetching:
            self._relay.abort()

    def __enter__(self) -> None:
        self._fetching = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._fetching = False
        if isinstance(error, StopIteration | StopAsyncIteration):
            self._relay.feed(DONE)
            self._relay.end()
        elif isinstance(error, Exception):  # it broke off
            self._relay.end()
        elif error is not None:
            self._relay.abort()

    def __del__(self) -> None:
        self._relay.abort()


@cache
def _relaying(kind: Any) -> type:
    def following(self: Any) -> Any:
        while True:
            with self.budget_passage:
                chunk = kind.__next__(self)
            if self.budget_passage.lets(chunk):
                return chunk

    async def following_async(self: Any) -> Any:
        while True:
            with self.budget_passage:
                chunk = await kind.__anext__(self)
            if self.budget_passage.lets(chunk):
                return chunk

    def close(self: Any) -> None:
        self.budget_passage.leave()
        kind.close(self)

    async def aclose(self: Any) -> None:
        self.budget_passage.leave()
        await kind.aclose(self)

    names = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__next__": following,
        "__anext__": following_async,
        "close": close,
        "aclose": aclose,
    }
    return type(kind.__name__, (kind,), names)
