"""Chat completions, as users of the OpenAI SDK make them."""

from __future__ import annotations

from typing import Any

import pydantic

from tests.conformance import got
from tests.conformance.behaviour import behaviour
from tests.conformance.visit import Visit, entered, left_early
from tests.doors import items, now
from tests.provider_answers import Answer
from tests.wire_bodies import WEATHER, chat_body

AREA = "chat"
ASK: dict[str, Any] = {"model": "gpt-5.5", "messages": [{"role": "user", "content": "hello"}]}
CALL = Answer(text='{"city": "Riga"}', tool="weather")
SMALL = "the caller's cap is smaller than anything that we would say"
ERROR = b'data: {"error": {"message": "overloaded", "type": "server_error", "code": "busy"}}\n\n'


class Verdict(pydantic.BaseModel):
    """A structured answer."""

    good: bool


@behaviour(AREA, "create")
async def create(visit: Visit) -> Any:
    """One question, one answer."""
    return await now(visit.client().chat.completions.create(**ASK))


@behaviour(AREA, "create, every kind of content and unknown fields")
async def create_all(visit: Visit) -> Any:
    """Sixteen messages with tools and an image; what the SDK does not know goes as extra_body."""
    body = chat_body()
    extra = {"x_vendor": body.pop("x_vendor")}
    return await now(visit.client().chat.completions.create(**body, extra_body=extra))


@behaviour(AREA, "create, several choices")
async def several(visit: Visit) -> Any:
    """``n`` choices."""
    return await now(visit.client().chat.completions.create(**ASK, n=3))


@behaviour(AREA, "create, cut by the caller's own cap", untouched=SMALL)
async def cut(visit: Visit) -> Any:
    """A small cap of the caller's is the caller's business."""
    return await now(visit.client().chat.completions.create(**ASK, max_completion_tokens=20))


@behaviour(AREA, "create, filtered")
async def filtered(visit: Visit) -> Any:
    """A finish reason that is none of ours."""
    visit.provider.answer = Answer(finish="content_filter")
    return await now(visit.client().chat.completions.create(**ASK))


@behaviour(AREA, "create, an answer without usage")
async def no_usage(visit: Visit) -> Any:
    """Compatible servers leave it out."""
    visit.provider.answer = Answer(usage=False)
    return await now(visit.client().chat.completions.create(**ASK))


@behaviour(AREA, "tool call")
async def tool(visit: Visit) -> Any:
    """The model calls a function."""
    visit.provider.answer = CALL
    return await now(visit.client().chat.completions.create(**ASK, tools=[WEATHER]))


@behaviour(AREA, "tool call, streamed")
async def tool_streamed(visit: Visit) -> Any:
    """Its arguments come in pieces."""
    visit.provider.answer = CALL
    asked = visit.client().chat.completions.create(**ASK, tools=[WEATHER], stream=True)
    return await items(await now(asked))


@behaviour(AREA, "tool call, forced")
async def tool_forced(visit: Visit) -> Any:
    """By name."""
    visit.provider.answer = CALL
    choice = {"type": "function", "function": {"name": "weather"}}
    asked = {**ASK, "tools": [WEATHER], "tool_choice": choice}
    return await now(visit.client().chat.completions.create(**asked))


@behaviour(AREA, "stream, iterated")
async def streamed(visit: Visit) -> Any:
    """Chunk by chunk, to the end."""
    return await items(await now(visit.client().chat.completions.create(**ASK, stream=True)))


@behaviour(AREA, "stream, with the usage that the caller asked for")
async def streamed_usage(visit: Visit) -> Any:
    """The last chunk is the caller's then."""
    asked = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    return await items(await now(visit.client().chat.completions.create(**asked)))


@behaviour(AREA, "stream, as a context manager")
async def streamed_managed(visit: Visit) -> Any:
    """Closed by the block."""
    stream = await now(visit.client().chat.completions.create(**ASK, stream=True))
    async with entered(stream) as chunks:
        return await items(chunks)


@behaviour(AREA, "stream, closed early")
async def streamed_early(visit: Visit) -> Any:
    """One chunk is enough."""
    stream = await now(visit.client().chat.completions.create(**ASK, stream=True))
    return await left_early(stream)


@behaviour(AREA, "stream, an error in the middle")
async def streamed_error(visit: Visit) -> Any:
    """The SDK raises APIError with the provider's words."""
    visit.provider.answer = Answer(inserted=(2, ERROR))
    stream = await now(visit.client().chat.completions.create(**ASK, stream=True))
    return await got.raised(items(stream))


@behaviour(AREA, "stream, broken off")
async def streamed_broken(visit: Visit) -> Any:
    """Half a stream is an error."""
    visit.provider.answer = Answer(cut=3)
    stream = await now(visit.client().chat.completions.create(**ASK, stream=True))
    return await got.raised(items(stream))


@behaviour(AREA, "stream helper")
async def helper(visit: Visit) -> Any:
    """Its events, and the completion it puts together."""
    async with entered(visit.client().chat.completions.stream(**ASK)) as stream:
        events = [event.type for event in await items(stream)]
        return events, await now(stream.get_final_completion())


@behaviour(AREA, "stream helper, structured")
async def helper_structured(visit: Visit) -> Any:
    """With a pydantic model."""
    visit.provider.answer = Answer(text='{"good": true}')
    manager = visit.client().chat.completions.stream(**ASK, response_format=Verdict)
    async with entered(manager) as stream:
        return (await now(stream.get_final_completion())).choices[0].message.parsed


@behaviour(AREA, "stream helper, cut by the caller's own cap", untouched=SMALL)
async def helper_cut(visit: Visit) -> Any:
    """LengthFinishReasonError, as ever."""

    async def read() -> Any:
        manager = visit.client().chat.completions.stream(**ASK, max_completion_tokens=20)
        async with entered(manager) as stream:
            return await now(stream.get_final_completion())

    return await got.raised(read)


@behaviour(AREA, "parse")
async def parse(visit: Visit) -> Any:
    """Into a pydantic model."""
    visit.provider.answer = Answer(text='{"good": true}')
    return await now(visit.client().chat.completions.parse(**ASK, response_format=Verdict))


@behaviour(AREA, "parse, cut by the caller's own cap", untouched=SMALL)
async def parse_cut(visit: Visit) -> Any:
    """LengthFinishReasonError, as ever."""
    asked = {**ASK, "response_format": Verdict, "max_completion_tokens": 20}
    return await got.raised(lambda: visit.client().chat.completions.parse(**asked))


@behaviour(AREA, "with_raw_response")
async def raw(visit: Visit) -> Any:
    """Headers beside the answer."""
    visit.provider.answer = Answer(headers={"x-request-id": "req_1", "openai-version": "2"})
    answer = await now(visit.client().chat.completions.with_raw_response.create(**ASK))
    return answer.status_code, got.headers(answer.headers), answer.parse()


@behaviour(AREA, "with_raw_response, streamed")
async def raw_streamed(visit: Visit) -> Any:
    """Parsed to a stream."""
    asked = visit.client().chat.completions.with_raw_response.create(**ASK, stream=True)
    answer = await now(asked)
    return got.headers(answer.headers), await items(answer.parse())


@behaviour(AREA, "with_streaming_response")
async def streaming(visit: Visit) -> Any:
    """A plain answer, read when asked for."""
    manager = visit.client().chat.completions.with_streaming_response.create(**ASK)
    async with entered(manager) as response:
        return got.headers(response.headers), await now(response.json())


@behaviour(AREA, "with_streaming_response, lines")
async def streaming_lines(visit: Visit) -> Any:
    """The raw lines of a stream whose usage the caller asked for."""
    asked = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    manager = visit.client().chat.completions.with_streaming_response.create(**asked)
    async with entered(manager) as response:
        return await items(response.iter_lines())


@behaviour(AREA, "with_streaming_response, bytes")
async def streaming_bytes(visit: Visit) -> Any:
    """The raw bytes of a stream; where they are cut is nobody's business."""
    asked = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    manager = visit.client().chat.completions.with_streaming_response.create(**asked)
    async with entered(manager) as response:
        return b"".join(await items(response.iter_bytes())).decode()
