"""A visit: an SDK's clients, on their way to the scripted provider by one of the ways there are."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from budget_proxy import Engine, wrap
from tests.doors import now
from tests.providers import ScriptedProvider

Way = Literal["direct", "proxy", "import", "wrap"]
WAYS: Final[tuple[Way, ...]] = ("proxy", "import", "wrap")
"""The ways through us: the proxy, the swapped import, and ``wrap`` around the SDK's client."""

_ANTHROPIC: Final = frozenset({"Anthropic"})
_AZURE: Final = frozenset({"AzureOpenAI"})


@dataclass
class Visit:
    """What a behaviour works with. ``base`` is where its clients' requests go, without /v1."""

    provider: ScriptedProvider
    engine: Engine
    base: str
    way: Way
    colour: Literal["sync", "async"]
    opened: list[Any] = field(default_factory=list)

    def kind(self, name: str) -> Any:
        """A client's class, of this visit's colour; where the import is swapped, ours."""
        sdk = "anthropic" if name in _ANTHROPIC else "openai"
        module = f"budget_proxy.{sdk}" if self.way == "import" else sdk
        return getattr(importlib.import_module(module), self._coloured(name))

    def client(self, name: str = "OpenAI", *, kind: Any = None, **options: Any) -> Any:
        """A client that does not retry unless told to; ``kind`` is a class of the test's own."""
        where = {"azure_endpoint": self.base, "api_version": "2026-10-21"}
        if name not in _AZURE:
            where = {"base_url": self.base if name in _ANTHROPIC else f"{self.base}/v1"}
        given = {"api_key": "sk-test", "max_retries": 0, **where, **options}
        if self.way == "import":
            given["engine"] = self.engine
        client = (kind or self.kind(name))(**given)
        self.opened.append(client)
        if self.way == "wrap":
            client = wrap(client, engine=self.engine)
        return client

    def http(self, name: str = "OpenAI") -> Any:
        """The module of the HTTP library that an SDK is built on."""
        sdk = importlib.import_module("anthropic" if name in _ANTHROPIC else "openai")
        roots = [base.__module__.partition(".")[0] for base in sdk.DefaultHttpxClient.__mro__]
        return sys.modules[next(root for root in roots if root in {"httpx", "httpx2"})]

    def http_client(self, name: str = "OpenAI", **options: Any) -> Any:
        """An HTTP client of the user's own making, for an SDK's client to use."""
        return getattr(self.http(name), self._coloured("Client"))(**options)

    async def close(self) -> None:
        """Close all clients."""
        for client in self.opened:
            await now(client.close())

    def _coloured(self, name: str) -> str:
        return f"Async{name}" if self.colour == "async" else name


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """A context manager of either colour, entered."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
    else:
        with manager as value:
            yield value


async def left_early(stream: Any) -> Any:
    """The first that a stream of either kind gives; then it is closed."""
    first = await anext(aiter(stream)) if hasattr(stream, "__aiter__") else next(iter(stream))
    await now(stream.close())
    return first
