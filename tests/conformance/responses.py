"""The Responses API, as users of the OpenAI SDK call it."""

from __future__ import annotations

from typing import Any

from tests.conformance import got
from tests.conformance.behaviour import behaviour
from tests.conformance.chat import SMALL, Verdict
from tests.conformance.visit import Visit, entered, left_early
from tests.doors import items, now
from tests.provider_answers import Answer
from tests.wire_bodies import responses_body

AREA = "responses"
ASK: dict[str, Any] = {"model": "gpt-5.5", "input": "hello"}
ERROR = (
    b"event: error\n"
    b'data: {"type":"error","code":"busy","message":"overloaded","param":null,'
    b'"sequence_number":2}\n\n'
)


@behaviour(AREA, "create")
async def create(visit: Visit) -> Any:
    """One question, one answer."""
    return await now(visit.client().responses.create(**ASK))


@behaviour(AREA, "create, every kind of item and unknown fields")
async def create_all(visit: Visit) -> Any:
    """Items with a tool's call, an image, a reasoning item."""
    body = responses_body()
    extra = {"x_vendor": body.pop("x_vendor")}
    return await now(visit.client().responses.create(**body, extra_body=extra))


@behaviour(AREA, "create, cut by the caller's own cap", untouched=SMALL)
async def cut(visit: Visit) -> Any:
    """Its status is incomplete."""
    return await now(visit.client().responses.create(**ASK, max_output_tokens=20))


@behaviour(AREA, "create, following an earlier response", untouched="its start was not seen")
async def following(visit: Visit) -> Any:
    """The history is the provider's."""
    asked = {**ASK, "previous_response_id": "resp_0", "max_output_tokens": 64}
    return await now(visit.client().responses.create(**asked))


@behaviour(AREA, "stream, iterated")
async def streamed(visit: Visit) -> Any:
    """Event by event, to the end."""
    return await items(await now(visit.client().responses.create(**ASK, stream=True)))


@behaviour(AREA, "stream, closed early")
async def streamed_early(visit: Visit) -> Any:
    """One event is enough."""
    stream = await now(visit.client().responses.create(**ASK, stream=True))
    return await left_early(stream)


@behaviour(AREA, "stream, an error in the middle")
async def streamed_error(visit: Visit) -> Any:
    """Whatever the SDK makes of it."""
    visit.provider.answer = Answer(inserted=(2, ERROR), cut=3)
    stream = await now(visit.client().responses.create(**ASK, stream=True))
    return await got.raised(items(stream))


@behaviour(AREA, "stream helper")
async def helper(visit: Visit) -> Any:
    """Its events, and the response it puts together."""
    async with entered(visit.client().responses.stream(**ASK)) as stream:
        events = [event.type for event in await items(stream)]
        return events, await now(stream.get_final_response())


@behaviour(AREA, "stream helper, cut by the caller's own cap", untouched=SMALL)
async def helper_cut(visit: Visit) -> Any:
    """An incomplete response is a RuntimeError of the SDK's."""

    async def read() -> Any:
        async with entered(visit.client().responses.stream(**ASK, max_output_tokens=20)) as stream:
            return await now(stream.get_final_response())

    return await got.raised(read)


@behaviour(AREA, "parse")
async def parse(visit: Visit) -> Any:
    """Into a pydantic model."""
    visit.provider.answer = Answer(text='{"good": true}')
    answer = await now(visit.client().responses.parse(**ASK, text_format=Verdict))
    return answer.output_parsed, answer.usage


@behaviour(AREA, "parse, cut by the caller's own cap", untouched=SMALL)
async def parse_cut(visit: Visit) -> Any:
    """Half a JSON text is a ValidationError of pydantic's."""
    visit.provider.answer = Answer(text='{"good": true}')
    asked = {**ASK, "text_format": Verdict, "max_output_tokens": 20}
    return (await got.raised(lambda: visit.client().responses.parse(**asked)))["raised"]


@behaviour(AREA, "with_raw_response")
async def raw(visit: Visit) -> Any:
    """Headers beside the answer."""
    visit.provider.answer = Answer(headers={"x-request-id": "req_1"})
    answer = await now(visit.client().responses.with_raw_response.create(**ASK))
    return got.headers(answer.headers), answer.parse()


@behaviour(AREA, "with_streaming_response, lines")
async def streaming_lines(visit: Visit) -> Any:
    """The raw lines of a stream."""
    manager = visit.client().responses.with_streaming_response.create(**ASK, stream=True)
    async with entered(manager) as response:
        return await items(response.iter_lines())


@behaviour(AREA, "retrieve, cancel and delete", calls=0)
async def stored(visit: Visit) -> Any:
    """What is no completion call passes."""
    whole = {"id": "resp_9", "object": "response", "status": "completed", "output": []}
    visit.provider.others |= {
        ("GET", "/v1/responses/resp_9"): whole,
        ("POST", "/v1/responses/resp_9/cancel"): {**whole, "status": "cancelled"},
        ("DELETE", "/v1/responses/resp_9"): {},
    }
    responses = visit.client().responses
    found = await now(responses.retrieve("resp_9", include=["reasoning.encrypted_content"]))
    cancelled = await now(responses.cancel("resp_9"))
    return found, cancelled, await now(responses.delete("resp_9"))


@behaviour(AREA, "input tokens counted", calls=0)
async def counted(visit: Visit) -> Any:
    """The provider counts before a call."""
    counted = {"object": "response.input_tokens", "input_tokens": 11}
    visit.provider.others[("POST", "/v1/responses/input_tokens")] = counted
    return await now(visit.client().responses.input_tokens.count(**ASK))
