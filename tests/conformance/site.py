"""A site: one scripted provider, reached directly, through a proxy, and by wrapped clients.

The engine is watched: what it planned and settled, and how much was settled when the provider
saw a request.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from budget_proxy import Engine, Plan
from budget_proxy.proxy.app import create_app
from budget_proxy.types import CallRecord, Outcome
from tests.conformance.visit import Visit, Way
from tests.doors import learned
from tests.provider_answers import Answer
from tests.providers import PATHS, ScriptedProvider, Seen
from tests.proxied import served

MODELS = ("gpt-5.5", "claude-sonnet-5-5", "deployed")
_PATIENCE = 5.0


@dataclass
class Site:
    """Where behaviours are run; cleared before each visit."""

    provider: ScriptedProvider
    engine: Engine
    provider_url: str
    proxy_url: str
    settled: list[tuple[Plan, CallRecord]] = field(default_factory=list)
    before_each: list[int] = field(default_factory=list)
    through: bool = True
    """Whether calls come through us: else nothing settles, and nobody waits for that."""

    @asynccontextmanager
    async def visit(self, way: Way, colour: Literal["sync", "async"]) -> AsyncIterator[Visit]:
        """A fresh provider's script, and clients that are closed in the end."""
        self.provider.answer = Answer()
        self.through = way != "direct"
        for kept in (self.provider.script, self.provider.requests, self.provider.others):
            kept.clear()
        self.settled.clear()
        self.before_each.clear()
        self.engine.faults.clear()
        base = self.proxy_url if way == "proxy" else self.provider_url
        visit = Visit(self.provider, self.engine, base, way, colour)
        try:
            yield visit
        finally:
            await visit.close()

    @property
    def calls(self) -> list[Seen]:
        """The completion calls that the provider saw."""
        return [seen for seen in self.provider.requests if _is_call(seen)]

    def arrive(self, calls: int) -> None:
        """Wait until that many calls have reached the provider; a caller may leave before."""
        _until(lambda: len(self.calls) >= calls)

    def settle(self, calls: int) -> None:
        """Wait until that many attempts are settled; a caller may leave before they are."""
        _until(lambda: len(self.settled) >= calls)

    def watch(self) -> None:
        """Note every settlement, and how many there were as each call reached the provider."""
        settle = self.engine.core.settle

        def noting(plan: Plan, outcome: Outcome) -> CallRecord:
            record = settle(plan, outcome)
            self.settled.append((plan, record))
            return record

        def before(seen: Seen) -> None:
            if self.through and _is_call(seen):
                self.settle(len(self.before_each))
                self.before_each.append(len(self.settled))

        self.engine.core.settle = noting  # type: ignore[method-assign]
        self.provider.before = before


@contextmanager
def site(**settings: Any) -> Iterator[Site]:
    """A site; thirty answers of about 100 tokens are known of every model."""
    provider = ScriptedProvider()
    with provider.serve() as url:
        given = {
            "openai_base_url": url, "anthropic_base_url": url, "holdout": 0.0,
            "caps": "always", "floor": 64, "reasoning_floor": 64, **settings,
        }  # fmt: skip
        with Engine.open("memory:", **given) as engine:
            for model in MODELS:
                learned(engine, model=model)
            with served(create_app(engine)) as proxy:
                place = Site(provider, engine, url, proxy)
                place.watch()
                yield place


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.005)


def _is_call(seen: Seen) -> bool:
    return seen.method == "POST" and any(seen.path.endswith(path[3:]) for path in PATHS.values())
