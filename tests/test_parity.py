"""Both doors, sync and async, plain and streamed, in all three dialects: one behaviour.

The same call is made by an SDK alone and through us; what the provider saw is compared path by
path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest

from budget_proxy import wrap
from budget_proxy.assemble import Engine
from budget_proxy.engine import Core
from budget_proxy.errors import StoreError
from budget_proxy.proxy.app import create_app
from tests.doors import items, learned, now, rows
from tests.provider_answers import Answer
from tests.providers import PATHS, ScriptedProvider
from tests.proxied import served
from tests.wire_bodies import body_of, changed

CHAT, RESPONSES, MESSAGES = "openai.chat", "openai.responses", "anthropic.messages"
MODELS = {CHAT: "gpt-5.5", RESPONSES: "gpt-5.5", MESSAGES: "claude-sonnet-5-5"}
CAPS = {CHAT: "max_completion_tokens", RESPONSES: "max_output_tokens", MESSAGES: "max_tokens"}
GUIDED = {CHAT: "messages[0].content", RESPONSES: "instructions", MESSAGES: "system[2]"}
TURNS = {CHAT: "messages", RESPONSES: "input", MESSAGES: "messages"}
ANSWER = Answer(output_tokens=90)

apis = pytest.mark.parametrize("api", list(PATHS))
doors = pytest.mark.parametrize("door", ["wrapper", "proxy"])
colours = pytest.mark.parametrize("colour", ["sync", "async"])
ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@dataclass
class Bench:
    """A provider, an engine before it, and clients that reach it directly or through a door."""

    provider: ScriptedProvider
    engine: Engine
    provider_url: str
    proxy_url: str

    def call(self, api: str, body: dict[str, Any], *, colour: str, door: str | None) -> list[Any]:
        """Make one call by the SDK; what the client got, as plain data."""
        return asyncio.run(self._call(api, body, colour=colour, door=door))

    async def _call(
        self, api: str, body: dict[str, Any], *, colour: str, door: str | None
    ) -> list[Any]:
        base = self.proxy_url if door == "proxy" else self.provider_url
        client = _client(api, colour, base)
        if door == "wrapper":
            client = wrap(client, engine=self.engine)
        try:
            answer = await now(_method(client, api)(**_arguments(body)))
            events = await items(answer) if body.get("stream") else [answer]
        finally:
            await now(client.close())
        return [event.model_dump() for event in events]


@contextmanager
def bench(**settings: Any) -> Iterator[Bench]:
    """Thirty answers of about 100 tokens are known of every model."""
    provider = ScriptedProvider(answer=ANSWER)
    with provider.serve() as url:
        given = {"holdout": 0.0, "caps": "always", "floor": 64, "reasoning_floor": 64, **settings}
        bases = {"openai_base_url": url, "anthropic_base_url": url}
        with Engine.open("memory:", **bases, **given) as engine:
            for model in set(MODELS.values()):
                learned(engine, model=model)
            with served(create_app(engine)) as proxy:
                yield Bench(provider, engine, url, proxy)


def _client(api: str, colour: str, base: str) -> Any:
    facts = {"api_key": "sk-test", "max_retries": 0}
    if api == MESSAGES:
        kind: Any = anthropic.Anthropic if colour == "sync" else anthropic.AsyncAnthropic
        return kind(base_url=base, **facts)
    kind = openai.OpenAI if colour == "sync" else openai.AsyncOpenAI
    return kind(base_url=f"{base}/v1", **facts)


def _method(client: Any, api: str) -> Callable[..., Awaitable[Any] | Any]:
    by_api = {
        CHAT: lambda: client.chat.completions.create,
        RESPONSES: lambda: client.responses.create,
        MESSAGES: lambda: client.messages.create,
    }
    method: Callable[..., Any] = by_api[api]()
    return method


def _arguments(body: dict[str, Any]) -> dict[str, Any]:
    """The SDK's own arguments, and what it does not know as extra_body."""
    extra = {name: body[name] for name in ("x_vendor", "budget") if name in body}
    known = {name: value for name, value in body.items() if name not in extra}
    return {**known, "extra_body": extra}


def _body(api: str, *, stream: bool) -> dict[str, Any]:
    return {**body_of(api), "model": MODELS[api], "stream": stream}


def _opening(api: str) -> dict[str, Any]:
    """The first call of the same conversation: nothing answered yet."""
    body = _body(api, stream=False)
    turns = body[TURNS[api]]
    first = next(index for index, turn in enumerate(turns) if turn.get("role") == "user")
    return {**body, TURNS[api]: turns[: first + 1]}


def _sent(site: Bench, api: str, body: dict[str, Any], colour: str, door: str | None) -> Any:
    """What the provider saw of a call, and what the client got of it."""
    got = site.call(api, body, colour=colour, door=door)
    return site.provider.last.body, got


@apis
@doors
@colours
@ways
def test_only_budget_guidance_and_metering_change(
    api: str, door: str, colour: str, stream: bool
) -> None:
    """A conversation of 16 messages with tools, an image, unknown fields and the caller's cap.

    Everything else reaches the provider as the SDK sent it, our own key removed; the client
    gets what it would have got.
    """
    body = _body(api, stream=stream)
    with bench() as site:
        direct, without_us = _sent(site, api, body, colour, None)
        site.call(api, _opening(api), colour=colour, door=door)
        through, with_us = _sent(site, api, {**body, "budget": {"task": "t"}}, colour, door)
        (row,) = [row for row in rows(site.engine) if row.task == "t"]
    expected = {CAPS[api], GUIDED[api]}
    if stream and api == CHAT:
        expected.add("stream_options")
    assert changed(direct, through) == expected
    assert through[CAPS[api]] < 4000
    assert with_us == without_us
    assert (row.output_tokens, row.exact) == (90, True)
    assert row.guidance is not None
    assert row.cap == through[CAPS[api]]


@apis
@doors
@colours
@ways
def test_observe_changes_nothing_but_the_metering(
    api: str, door: str, colour: str, stream: bool
) -> None:
    """Equal requests but for include_usage on a streamed chat, equal answers."""
    body = _body(api, stream=stream)
    with bench(mode="observe") as site:
        direct, without_us = _sent(site, api, body, colour, None)
        through, with_us = _sent(site, api, body, colour, door)
        row = rows(site.engine)[-1]
    metering = {"stream_options"} if stream and api == CHAT else set()
    assert changed(direct, through) == metering
    assert with_us == without_us
    assert (row.mode, row.cap, row.output_tokens, row.exact) == ("observe", None, 90, True)


@apis
@doors
@ways
def test_the_callers_own_cap_holds_and_is_not_undone(api: str, door: str, stream: bool) -> None:
    """By the body's key: streams and Anthropic too; cut once, not sent again."""
    body = {**_body(api, stream=stream), "budget": 50}
    with bench() as site:
        through, _ = _sent(site, api, body, "sync", door)
        seen = len(site.provider.requests)
        row = rows(site.engine)[-1]
    assert through[CAPS[api]] == 50
    assert "budget" not in through
    assert seen == 1
    assert (row.truncated, row.output_tokens, row.overridden) == (True, 50, True)


@apis
@doors
def test_a_wrong_budget_is_the_callers_error_and_goes_nowhere(api: str, door: str) -> None:
    """A 400 in the provider's shape, saying what is wrong; a task's descriptor included."""
    wrong = {"budget": {"cap": 50, "task": {"description": ["no", "text"]}}}
    error = anthropic.BadRequestError if api == MESSAGES else openai.BadRequestError
    with bench() as site:
        with pytest.raises(error, match="description"):
            site.call(api, {**_body(api, stream=False), **wrong}, colour="sync", door=door)
        assert site.provider.requests == []
        assert site.engine.faults == {}


@apis
@doors
@colours
def test_an_answer_that_our_cap_cut_is_sent_again_without_it(
    api: str, door: str, colour: str
) -> None:
    """The client sees the whole answer; both attempts are in the history."""
    body = _body(api, stream=False)
    with bench() as site:
        site.provider.answer = Answer(output_tokens=2000)
        _, got = _sent(site, api, body, colour, door)
        bodies = site.provider.bodies
        attempts = rows(site.engine)[-2:]
    assert [seen[CAPS[api]] < 4000 for seen in bodies] == [True, False]
    assert bodies[1][CAPS[api]] == 4000
    usage = got[0]["usage"]
    assert 2000 in {usage.get("completion_tokens"), usage.get("output_tokens")}
    assert [(row.attempt, row.truncated) for row in attempts] == [(1, True), (2, False)]


@apis
@doors
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("fault", ["predictor", "policy", "store"])
@pytest.mark.parametrize("mode", ["observe", "enforce"])
def test_a_fault_of_ours_leaves_the_answer_the_providers(
    api: str, door: str, stream: bool, fault: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of ours reaches the provider when planning fails; our key is still removed."""
    body = _body(api, stream=stream)
    with bench(mode=mode) as site:
        direct, without_us = _sent(site, api, body, "sync", None)
        _break(site.engine, fault, monkeypatch)
        through, with_us = _sent(site, api, {**body, "budget": {"agent": "a"}}, "sync", door)
        faults = sum(site.engine.faults.values())
        monkeypatch.undo()
    metered = stream and api == CHAT and fault == "store"
    assert changed(direct, through) == ({"stream_options"} if metered else set())
    assert with_us == without_us
    assert faults > 0


def _break(engine: Engine, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: Any, **__: Any) -> Any:
        raise RuntimeError("injected")

    def unreadable(*_: Any, **__: Any) -> Any:
        raise StoreError("injected")

    if fault == "predictor":
        monkeypatch.setattr(engine.core.predictor, "predict_one", raising)
    elif fault == "policy":
        monkeypatch.setattr(Core, "plan", raising)
    else:
        for name in ("session", "append", "save_sessions"):
            monkeypatch.setattr(engine.store, name, unreadable)
