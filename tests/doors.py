"""SDK clients before a scripted provider, and one way to call sync and async ones alike."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import anthropic
import httpx2
import openai

from budget_proxy.assemble import Engine
from budget_proxy.transport.binding import Binding
from budget_proxy.transport.view import view
from budget_proxy.types import CallRecord
from tests.makers import NOW, record
from tests.providers import ScriptedProvider

HELLO = [{"role": "user", "content": "hello"}]
MODEL = "plain-model"
"""A model nobody knows, so that no family's rules come between a test and what it tests."""
URL = "https://api.test:8443/v1/chat/completions"

OPENAI: tuple[Any, ...] = (openai.OpenAI, openai.AsyncOpenAI)
ANTHROPIC: tuple[Any, ...] = (anthropic.Anthropic, anthropic.AsyncAnthropic)


def http_client(kind: type, provider: ScriptedProvider, **options: Any) -> Any:
    """An HTTP client for an SDK's class, with the provider at its end."""
    library: Any = httpx2.AsyncClient if kind.__name__.startswith("Async") else httpx2.Client
    return library(transport=provider.transport(), **options)


def client(kind: Any, provider: ScriptedProvider, **options: Any) -> Any:
    """A client of an SDK's class; it does not retry unless told to."""
    facts = {"api_key": "sk-test", "max_retries": 0, **options}
    return kind(http_client=http_client(kind, provider), **facts)


async def now(value: Any) -> Any:
    """A value, awaited if it has to be."""
    return await value if inspect.isawaitable(value) else value


async def items(stream: Any) -> list[Any]:
    """All that a stream of either kind gives."""
    if hasattr(stream, "__aiter__"):
        return [item async for item in stream]
    return list(stream)


def rows(engine: Engine) -> list[CallRecord]:
    """The history's rows, oldest first."""
    assert engine.flush()
    return list(engine.store.calls())


def learned(engine: Engine, *, tokens: int = 100, model: str = MODEL, **given: Any) -> None:
    """Teach an engine 30 conversations of about that many tokens."""
    facts = {"agent": "default", "task_type": "conversation", "model": model, **given}
    rows = [record(output_tokens=tokens + number, ts=NOW - number, **facts) for number in range(30)]
    engine._learn(rows)


class Uploaded(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that may be read once."""

    def __init__(self) -> None:
        self.reads = 0

    def __iter__(self) -> Iterator[bytes]:
        self.reads += 1
        assert self.reads == 1, "the body was read twice"
        yield b"one "
        yield b"two"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


class Door:
    """A client of one library and colour, bound to an engine."""

    def __init__(self, library: ModuleType, colour: str) -> None:
        self.library: Any = library
        self.name = "AsyncClient" if colour == "async" else "Client"

    def open(self, engine: Engine, transport: Any, **options: Any) -> Any:
        """The client, with ``transport`` at its end."""
        plain = getattr(self.library, self.name)(transport=transport, **options)
        return view(plain, Binding(engine))

    async def post(self, client: Any, body: Any, *, stream: bool = False, **options: Any) -> Any:
        """Post a body (a call, if it is a mapping) and return the response."""
        content = body if not isinstance(body, dict) else json.dumps(body).encode()
        request = client.build_request("POST", options.pop("url", URL), content=content, **options)
        return await now(client.send(request, stream=stream))


def stream_of(library: Any, pieces: Any) -> Any:
    """A stream of one library, sync and async, that knows whether it was closed."""

    class Stream(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]
        closed = False

        def __iter__(self) -> Iterator[bytes]:
            yield from pieces

        async def __aiter__(self) -> Any:
            for piece in pieces:
                yield piece

        def close(self) -> None:
            self.closed = True

        async def aclose(self) -> None:
            self.closed = True

    return Stream()
