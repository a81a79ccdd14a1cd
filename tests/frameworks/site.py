"""Where a framework meets us: a provider, an engine before it, and the two doors to it.

The same call is made by the framework alone and through a door; what the provider saw of the
two is compared path by path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import pytest

from budget_proxy.assemble import Engine
from budget_proxy.proxy.app import create_app
from budget_proxy.types import CallRecord
from tests.doors import learned, rows
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider
from tests.proxied import served
from tests.wire_bodies import changed

AGENT = "planner"
GPT, CLAUDE = "gpt-5.4", "claude-sonnet-5-5"
NAMED = {"x-budget-agent": AGENT}
"""How the proxy is told the agent's name."""

doors = pytest.mark.parametrize("door", ["wrapper", "proxy"])
colours = pytest.mark.parametrize("colour", ["sync", "async"])

Door = str | None
"""``wrapper``, ``proxy``, or ``None`` for the framework without us."""


@dataclass
class Site:
    """A provider, an engine, the addresses at which both are reached, and one event loop."""

    provider: ScriptedProvider
    engine: Engine
    provider_url: str
    proxy_url: str
    loop: asyncio.Runner

    def run(self, made: Any) -> Any:
        """The result of a coroutine, or a value as it is."""
        if not asyncio.iscoroutine(made):
            return made
        return self.loop.run(made, context=copy_context())

    def base(self, door: Door) -> str:
        """Where a client of that door sends its calls to."""
        return self.proxy_url if door == "proxy" else self.provider_url

    def headers(self, door: Door) -> Mapping[str, str]:
        """What a client of that door sends besides: the agent's name, to the proxy."""
        return NAMED if door == "proxy" else {}

    def in_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Set the variables that the SDKs read: to the proxy, with a key."""
        for name, base in (("OPENAI", f"{self.proxy_url}/v1"), ("ANTHROPIC", self.proxy_url)):
            monkeypatch.setenv(f"{name}_BASE_URL", base)
            monkeypatch.setenv(f"{name}_API_KEY", "sk-test")

    def compare(self, ask: Callable[[Door], Any], door: Door) -> Compared:
        """Ask without us, then through a door. ``ask`` returns what the framework hands out."""
        alone = ask(None)
        direct = self.provider.last
        before = len(self.provider.requests)
        through = ask(door)
        seen = self.provider.requests[before:]
        assert len(seen) == 1
        assert seen[0].path == direct.path
        assert not [name for name in seen[0].headers if name.startswith("x-budget")]
        return Compared(alone, through, direct.body, seen[0].body)

    def rows(self) -> list[CallRecord]:
        """The history, oldest row first."""
        return rows(self.engine)

    def row(self) -> CallRecord:
        """The history's only row."""
        (row,) = self.rows()
        return row


@dataclass(frozen=True)
class Compared:
    """What a framework handed out without and with us, and the bodies that the provider saw."""

    alone: Any
    through: Any
    direct: dict[str, Any]
    sent: dict[str, Any]

    @property
    def added(self) -> set[str]:
        """The paths at which we changed the body."""
        return changed(self.direct, self.sent)


@contextmanager
def site(answer: Answer | None = None, *, knows: str | None = None) -> Iterator[Site]:
    """A site whose provider counts caps against quota, as OpenAI does.

    Without ``knows`` there is no history, so that calls are observed; with it, thirty answers
    of about 100 tokens by AGENT and that model are known, so that the next one is budgeted.
    """
    provider = ScriptedProvider(answer=answer or Answer())
    settings: dict[str, Any] = {
        "holdout": 0.0,
        "floor": 64,
        "reasoning_floor": 64,
        "quota_hosts": ("127.0.0.1",),
    }
    with provider.serve() as url:
        bases = {"openai_base_url": url, "anthropic_base_url": url}
        with Engine.open("memory:", **bases, **settings) as engine:
            if knows is not None:
                learned(engine, agent=AGENT, model=knows)
            with served(create_app(engine)) as proxy, asyncio.Runner() as loop:
                yield Site(provider, engine, url, proxy, loop)


def facts(row: CallRecord) -> tuple[Any, ...]:
    """What every row must have right: whose call it was, of what, and what it used."""
    usage = (row.input_tokens, row.output_tokens, row.exact)
    return (row.api, row.agent, row.stream, *usage, row.finish_reason)
