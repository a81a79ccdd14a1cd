"""Anthropic's messages, as users of its SDK make them."""

from __future__ import annotations

from typing import Any

from tests.conformance import got
from tests.conformance.behaviour import behaviour
from tests.conformance.chat import SMALL, Verdict
from tests.conformance.visit import Visit, entered, left_early
from tests.doors import items, now
from tests.provider_answers import Answer
from tests.wire_bodies import anthropic_body

AREA = "messages"
ASK: dict[str, Any] = {
    "model": "claude-sonnet-5-5",
    "max_tokens": 1000,
    "messages": [{"role": "user", "content": "hello"}],
}
TOOL = {"name": "weather", "input_schema": {"type": "object"}}
CALL = Answer(text='{"city": "Riga"}', tool="weather")
ERROR = (
    b"event: error\n"
    b'data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
)


@behaviour(AREA, "create")
async def create(visit: Visit) -> Any:
    """One question, one answer."""
    return await now(visit.client("Anthropic").messages.create(**ASK))


@behaviour(AREA, "create, every kind of block and unknown fields")
async def create_all(visit: Visit) -> Any:
    """Sixteen messages with cached system blocks, tools, thinking and an image."""
    body = anthropic_body()
    extra = {"x_vendor": body.pop("x_vendor")}
    return await now(visit.client("Anthropic").messages.create(**body, extra_body=extra))


@behaviour(AREA, "create, a system prompt as text")
async def system(visit: Visit) -> Any:
    """The other form of a system prompt."""
    asked = {**ASK, "system": "You are brief."}
    return await now(visit.client("Anthropic").messages.create(**asked))


@behaviour(AREA, "create, thinking and effort of the caller's")
async def thinking(visit: Visit) -> Any:
    """Both are the caller's choice."""
    chosen = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}
    return await now(visit.client("Anthropic").messages.create(**ASK, extra_body=chosen))


@behaviour(AREA, "create, cut by the caller's own cap", untouched=SMALL)
async def cut(visit: Visit) -> Any:
    """A small cap of the caller's is the caller's business."""
    asked = {**ASK, "max_tokens": 20}
    return await now(visit.client("Anthropic").messages.create(**asked))


@behaviour(AREA, "tool use")
async def tool(visit: Visit) -> Any:
    """The model uses a tool."""
    visit.provider.answer = CALL
    return await now(visit.client("Anthropic").messages.create(**ASK, tools=[TOOL]))


@behaviour(AREA, "tool use, streamed")
async def tool_streamed(visit: Visit) -> Any:
    """Its input comes in pieces."""
    visit.provider.answer = CALL
    asked = visit.client("Anthropic").messages.create(**ASK, tools=[TOOL], stream=True)
    return await items(await now(asked))


@behaviour(AREA, "stream, iterated")
async def streamed(visit: Visit) -> Any:
    """Event by event, to the end."""
    return await items(await now(visit.client("Anthropic").messages.create(**ASK, stream=True)))


@behaviour(AREA, "stream, closed early")
async def streamed_early(visit: Visit) -> Any:
    """One event is enough."""
    stream = await now(visit.client("Anthropic").messages.create(**ASK, stream=True))
    return await left_early(stream)


@behaviour(AREA, "stream, pings and an error in the middle")
async def streamed_error(visit: Visit) -> Any:
    """The SDK raises an APIStatusError with the provider's words."""
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    visit.provider.answer = Answer(inserted=(2, ping + b": nothing\n\n" + ERROR))
    stream = await now(visit.client("Anthropic").messages.create(**ASK, stream=True))
    return await got.raised(items(stream))


@behaviour(AREA, "stream helper")
async def helper(visit: Visit) -> Any:
    """Its text, and the message it puts together."""
    async with entered(visit.client("Anthropic").messages.stream(**ASK)) as stream:
        texts = await items(stream.text_stream)
        return texts, await now(stream.get_final_message())


@behaviour(AREA, "stream helper, cut by the caller's own cap", untouched=SMALL)
async def helper_cut(visit: Visit) -> Any:
    """It stops at max_tokens."""
    asked = {**ASK, "max_tokens": 20}
    async with entered(visit.client("Anthropic").messages.stream(**asked)) as stream:
        return await now(stream.get_final_message())


@behaviour(AREA, "parse")
async def parse(visit: Visit) -> Any:
    """Into a pydantic model."""
    visit.provider.answer = Answer(text='{"good": true}')
    messages = visit.client("Anthropic").messages
    answer = await now(messages.parse(**ASK, output_format=Verdict))
    return answer.parsed_output, answer.usage


@behaviour(AREA, "with_raw_response")
async def raw(visit: Visit) -> Any:
    """Headers beside the answer."""
    limits = {"request-id": "req_1", "anthropic-ratelimit-tokens-remaining": "7"}
    visit.provider.answer = Answer(headers=limits)
    answer = await now(visit.client("Anthropic").messages.with_raw_response.create(**ASK))
    return got.headers(answer.headers), await now(answer.parse())


@behaviour(AREA, "with_streaming_response, lines")
async def streaming_lines(visit: Visit) -> Any:
    """The raw lines of a stream."""
    messages = visit.client("Anthropic").messages
    async with entered(messages.with_streaming_response.create(**ASK, stream=True)) as response:
        return await items(response.iter_lines())


@behaviour(AREA, "beta")
async def beta(visit: Visit) -> Any:
    """The beta door of the SDK: a query and a header more."""
    asked = {**ASK, "betas": ["output-300k-2026-03-24"]}
    return await now(visit.client("Anthropic").beta.messages.create(**asked))


@behaviour(AREA, "tokens counted", calls=0)
async def counted(visit: Visit) -> Any:
    """The provider counts before a call."""
    visit.provider.others[("POST", "/v1/messages/count_tokens")] = {"input_tokens": 9}
    asked = {name: ASK[name] for name in ("model", "messages")}
    return await now(visit.client("Anthropic").messages.count_tokens(**asked))


@behaviour(AREA, "batches", calls=0)
async def batches(visit: Visit) -> Any:
    """Batches pass as they are."""
    batch = {"id": "b_1", "type": "message_batch", "processing_status": "in_progress"}
    visit.provider.others |= {
        ("POST", "/v1/messages/batches"): batch,
        ("GET", "/v1/messages/batches/b_1"): batch,
        ("GET", "/v1/messages/batches"): {"data": [batch], "has_more": False},
    }
    door = visit.client("Anthropic").messages.batches
    made = await now(door.create(requests=[{"custom_id": "1", "params": ASK}]))
    return made, await now(door.retrieve("b_1")), (await now(door.list())).data
