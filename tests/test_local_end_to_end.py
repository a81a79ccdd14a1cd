"""A real model behind both doors, in every dialect, plain and streamed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from budget_proxy import wrap
from budget_proxy.assemble import Engine
from budget_proxy.local import MODEL, LocalModel
from budget_proxy.proxy.app import create_app
from tests.doors import items, now, rows
from tests.proxied import served

pytestmark = [pytest.mark.local, pytest.mark.xdist_group("local")]
QUESTION = [{"role": "user", "content": "Name the capital of France in one sentence."}]
MOST = 100
GREEDY = {"temperature": 0}
"""An answer that happened to ramble on to the cap would be no outcome to learn from."""


@pytest.fixture
def engine(local_model: LocalModel) -> Iterator[Engine]:
    """An engine whose proxy stands before the model, and acts from the fifth outcome on."""
    bases = {"openai_base_url": local_model.base_url, "anthropic_base_url": local_model.base_url}
    with Engine.open(
        "memory:", holdout=0.0, evidence=5, caps="always", floor=64, **bases
    ) as opened:
        yield opened


async def _ask(client: Any, api: str, *, stream: bool) -> Any:
    if api == "openai.chat":
        answer = client.chat.completions.create(
            model=MODEL, messages=QUESTION, max_tokens=MOST, stream=stream, extra_body=GREEDY
        )
    elif api == "openai.responses":
        answer = client.responses.create(
            model=MODEL, input=QUESTION[0]["content"], max_output_tokens=MOST, stream=stream,
            extra_body=GREEDY,
        )  # fmt: skip
    else:
        answer = client.messages.create(
            model=MODEL, messages=QUESTION, max_tokens=MOST, stream=stream, extra_body=GREEDY
        )
    got = await now(answer)
    return await items(got) if stream else got


def _client(api: str, base: str, colour: str, retries: int = 0) -> Any:
    facts: dict[str, Any] = {"api_key": "local", "max_retries": retries}
    if api == "anthropic.messages":
        kind: Any = anthropic.Anthropic if colour == "sync" else anthropic.AsyncAnthropic
        return kind(base_url=base, **facts)
    kind = openai.OpenAI if colour == "sync" else openai.AsyncOpenAI
    return kind(base_url=f"{base}/v1", **facts)


@pytest.mark.parametrize("api", ["openai.chat", "openai.responses", "anthropic.messages"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_the_wrapped_client_meters_a_real_model_exactly(
    api: str, stream: bool, colour: str, engine: Engine, local_model: LocalModel
) -> None:
    """Usage as the model's server reports it, in the row of the history."""

    async def main() -> None:
        async_or_sync = _client(api, local_model.base_url, colour)
        client = wrap(async_or_sync, engine=engine, agent="geographer")
        assert await _ask(client, api, stream=stream)
        await now(async_or_sync.close())

    asyncio.run(main())
    (row,) = rows(engine)
    assert (row.api, row.agent, row.exact, row.stream) == (api, "geographer", True, stream)
    assert row.output_tokens is not None
    assert 0 < row.output_tokens <= MOST
    assert row.input_tokens is not None
    assert row.input_tokens > 5


@pytest.mark.parametrize("api", ["openai.chat", "openai.responses", "anthropic.messages"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_the_proxy_learns_from_a_real_model_and_then_budgets(
    api: str, stream: bool, engine: Engine
) -> None:
    """Five calls are observed; the sixth is sent with guidance, and metered like the others.

    The SDK may retry, as it does by default: the model's server closes connections at will.
    """

    async def main(base: str) -> None:
        client = _client(api, base, "sync", retries=2)
        for _ in range(6):
            assert await _ask(client, api, stream=stream)
        client.close()

    with served(create_app(engine)) as url:
        asyncio.run(main(url))
    history = [row for row in rows(engine) if row.finish_reason != "error"]
    assert all(row.exact and row.output_tokens for row in history)
    first, last = history[0], history[-1]
    assert first.guidance is None
    assert last.guidance is not None
    assert last.input_tokens is not None
    assert first.input_tokens is not None
    assert last.input_tokens > first.input_tokens
