"""Clients that are still built on httpx: respx answers in the provider's place."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
import respx

from budget_proxy import wrap
from budget_proxy.assemble import Engine
from tests.doors import HELLO, MODEL, learned, rows

URL = "https://api.openai.com/v1/chat/completions"
ANSWER = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL,
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 42, "total_tokens": 51},
}  # fmt: skip


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that knows answers of about 100 tokens."""
    with Engine.open("memory:", holdout=0.0, floor=64) as opened:
        learned(opened)
        yield opened


def _client(kind: Any, http: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer SDKs take such a client, and say it is old
        return kind(api_key="sk-test", http_client=http, max_retries=0)


@respx.mock
def test_a_plain_call_is_budgeted_and_metered(engine: Engine) -> None:
    """The request carries the cap, the row the usage."""
    route = respx.post(URL).mock(return_value=httpx.Response(200, json=ANSWER))
    client = wrap(_client(openai.OpenAI, httpx.Client()), engine=engine)
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    client.close()
    sent = json.loads(route.calls.last.request.content)
    (row,) = rows(engine)
    assert answer.usage.completion_tokens == 42
    assert sent["max_completion_tokens"] == row.cap
    assert (row.output_tokens, row.exact) == (42, True)


@respx.mock
async def test_an_async_call_is_too(engine: Engine) -> None:
    """By the async client of the same library."""
    respx.post(URL).mock(return_value=httpx.Response(200, json=ANSWER))
    client = wrap(_client(openai.AsyncOpenAI, httpx.AsyncClient()), engine=engine)
    await client.chat.completions.create(model=MODEL, messages=HELLO)
    await client.close()
    assert [row.output_tokens for row in rows(engine)] == [42]


@respx.mock
@pytest.mark.parametrize("kind", [None, "text/plain; charset=utf-8", "application/octet-stream"])
def test_a_stream_of_another_type_is_a_stream(engine: Engine, kind: str | None) -> None:
    """The SDKs do not look at it either: pieces as they come, but for the usage we asked for."""
    piece = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": {"content": "Hi."}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    said = [{**piece, "choices": [choice]}, {**piece, "choices": [], "usage": usage}]
    lines = [*(f"data: {json.dumps(one)}\n\n" for one in said), "data: [DONE]\n\n"]
    headers = {} if kind is None else {"content-type": kind}
    respx.post(URL).mock(
        return_value=httpx.Response(200, headers=headers, content="".join(lines).encode())
    )
    client = wrap(_client(openai.OpenAI, httpx.Client()), engine=engine)
    stream = client.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    assert [piece.choices[0].delta.content for piece in stream] == ["Hi."]
    client.close()
    assert [(row.output_tokens, row.exact) for row in rows(engine)] == [(2, True)]


@respx.mock
def test_an_error_is_handed_on_and_costs_nothing(engine: Engine) -> None:
    """The provider's status and words; a row of zero tokens."""
    wrong = {"error": {"message": "slow down", "type": "rate_limit", "param": None, "code": None}}
    respx.post(URL).mock(return_value=httpx.Response(429, json=wrong))
    client = wrap(_client(openai.OpenAI, httpx.Client()), engine=engine)
    with pytest.raises(openai.RateLimitError, match="slow down"):
        client.chat.completions.create(model=MODEL, messages=HELLO)
    client.close()
    assert [(row.status, row.output_tokens) for row in rows(engine)] == [(429, 0)]
