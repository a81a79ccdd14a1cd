"""A second set of behaviours, before a real model: what it says is its own affair, its form is not.

Directly, through the proxy and by wrapped clients, in all dialects: an answer has the same form,
and the history holds the usage that the client was told.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Literal

import pytest

from budget_proxy import Engine
from budget_proxy.local import MODEL, LocalModel
from budget_proxy.proxy.app import create_app
from tests.conformance.got import plain
from tests.conformance.visit import WAYS, Visit, Way, entered
from tests.doors import items, now, rows
from tests.providers import ScriptedProvider
from tests.proxied import served

Told = tuple[Any, int]
"""The form of an answer, and the output tokens that the client was told of."""

TURNS: list[dict[str, Any]] = [{"role": "user", "content": "Name three rivers."}]
CHAT: dict[str, Any] = {"model": MODEL, "messages": TURNS, "max_tokens": 16, "temperature": 0}
RESPONSE: dict[str, Any] = {"model": MODEL, "input": "Name a river.", "max_output_tokens": 16}
MESSAGE: dict[str, Any] = {"model": MODEL, "messages": TURNS, "max_tokens": 16}


async def chat(visit: Visit) -> Told:
    """A plain chat completion."""
    answer = await now(visit.client().chat.completions.create(**CHAT))
    return form(answer), answer.usage.completion_tokens


async def chat_streamed(visit: Visit) -> Told:
    """A streamed one, with its usage."""
    asked = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    chunks = await items(await now(visit.client().chat.completions.create(**asked)))
    return form(chunks[0]), chunks[-1].usage.completion_tokens


async def chat_helper(visit: Visit) -> Told:
    """The stream helper, which puts a completion together; stopped by a word, not by a cap."""
    asked = {**CHAT, "max_tokens": 200, "stop": ["\n", ".", ","]}
    asked["stream_options"] = {"include_usage": True}
    async with entered(visit.client().chat.completions.stream(**asked)) as stream:
        final = await now(stream.get_final_completion())
    return form(final.choices[0].message), final.usage.completion_tokens


async def chat_raw(visit: Visit) -> Told:
    """Headers beside the answer."""
    raw = await now(visit.client().chat.completions.with_raw_response.create(**CHAT))
    return (raw.status_code, form(raw.parse())), raw.parse().usage.completion_tokens


async def response(visit: Visit) -> Told:
    """The Responses API."""
    answer = await now(visit.client().responses.create(**RESPONSE))
    return form(answer), answer.usage.output_tokens


async def response_streamed(visit: Visit) -> Told:
    """Its events."""
    events = await items(await now(visit.client().responses.create(**RESPONSE, stream=True)))
    kinds = list(dict.fromkeys(event.type for event in events))
    return kinds, events[-1].response.usage.output_tokens


async def message(visit: Visit) -> Told:
    """An Anthropic message."""
    answer = await now(visit.client("Anthropic").messages.create(**MESSAGE))
    return form(answer), answer.usage.output_tokens


async def message_streamed(visit: Visit) -> Told:
    """Its stream helper."""
    async with entered(visit.client("Anthropic").messages.stream(**MESSAGE)) as stream:
        kinds = list(dict.fromkeys([event.type for event in await items(stream)]))
        final = await now(stream.get_final_message())
    return (kinds, form(final)), final.usage.output_tokens


LOCAL: tuple[Callable[[Visit], Awaitable[Told]], ...] = (
    chat, chat_streamed, chat_helper, chat_raw, response, response_streamed, message,
    message_streamed,
)  # fmt: skip


def form(value: Any) -> Any:
    """The names and kinds of all that is in an answer; lists by their first item."""
    value = plain(value)
    if isinstance(value, dict):
        return {name: form(item) for name, item in value.items()}
    if isinstance(value, list):
        return [form(item) for item in value[:1]]
    return type(value).__name__


@pytest.fixture(scope="module")
def answers() -> dict[tuple[str, str], Told]:
    """What came of each without us."""
    return {}


@pytest.fixture(scope="module", params=["observe", "enforce"])
def engine(request: pytest.FixtureRequest, local_model: LocalModel) -> Iterator[Engine]:
    """An engine before the local model."""
    bases = {f"{name}_base_url": local_model.base_url for name in ("openai", "anthropic")}
    with Engine.open("memory:", mode=request.param, holdout=0.0, evidence=1, **bases) as opened:
        yield opened


@pytest.fixture(scope="module")
def proxy(engine: Engine) -> Iterator[str]:
    """The proxy's address."""
    with served(create_app(engine)) as url:
        yield url


@pytest.mark.local
@pytest.mark.xdist_group("local")
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("run", LOCAL, ids=lambda run: run.__name__)
async def test_a_real_models_answer_has_the_same_form_through_us(
    run: Callable[[Visit], Awaitable[Told]],
    way: Way,
    colour: Literal["sync", "async"],
    engine: Engine,
    proxy: str,
    local_model: LocalModel,
    answers: dict[tuple[str, str], Told],
) -> None:
    """And its row says what the client was told that it used."""
    direct = (run.__name__, colour)
    if direct not in answers:
        answers[direct] = await _visited(run, "direct", colour, engine, local_model.base_url)
    before = len(rows(engine))
    base = proxy if way == "proxy" else local_model.base_url
    got, tokens = await _visited(run, way, colour, engine, base)
    (row,) = rows(engine)[before:]
    assert got == answers[direct][0]
    assert (row.output_tokens, row.exact, row.model) == (tokens, True, MODEL)
    assert tokens > 0


async def _visited(
    run: Callable[[Visit], Awaitable[Told]],
    way: Way,
    colour: Literal["sync", "async"],
    engine: Engine,
    base: str,
) -> Told:
    visit = Visit(ScriptedProvider(), engine, base, way, colour)
    try:
        return await run(visit)
    finally:
        await visit.close()
