"""What a scripted provider says: one Answer, written in each of the three dialects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

CAPS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
CREATED = 1_790_000_000
Event = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One answer. Tokens are inclusive: ``cached`` lie in input, ``reasoning`` in output.

    An ``error`` is (message, parameter), answered with ``status``. ``usage`` false leaves usage
    out; ``cut`` breaks a stream off after that many events; ``delay`` waits that many seconds
    first; ``timeout`` never answers (seen by a mock transport only: see there). ``tool`` is
    the name of a function the answer calls, with ``text`` as its arguments. ``inserted`` puts
    bytes into a stream before the event of that number.
    """

    text: str = "Four score and seven years ago"
    input_tokens: int = 12
    output_tokens: int = 34
    reasoning: int = 0
    cached: int = 0
    finish: str = "stop"
    tool: str | None = None
    usage: bool = True
    status: int = 200
    error: tuple[str, str | None] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    delay: float = 0.0
    timeout: bool = False
    inserted: tuple[int, bytes] | None = None

    def under(self, body: Mapping[str, Any]) -> Answer:
        """What a provider would make of it under the body's cap: cut off there."""
        caps = [body[name] for name in CAPS if isinstance(body.get(name), int)]
        if not caps or min(caps) >= self.output_tokens:
            return self
        cap = min(caps)
        kept = len(self.text) * cap // self.output_tokens
        return replace(
            self,
            text=self.text[:kept],
            output_tokens=cap,
            reasoning=min(self.reasoning, cap),
            finish="length",
        )

    @property
    def pieces(self) -> list[str]:
        """The text as it is streamed: word by word."""
        return [word + " " for word in self.text.split(" ")[:-1]] + [self.text.split(" ")[-1]]


def chat(answer: Answer, body: Mapping[str, Any]) -> Event:
    """A chat completion."""
    message: Event = {"role": "assistant", "content": answer.text}
    if answer.tool is not None:
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": answer.tool, "arguments": answer.text},
        }
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choices = [
        {"index": index, "message": message, "finish_reason": _chat_finish(answer)}
        for index in range(body.get("n") or 1)
    ]
    plain = {**_chat_head(body, "chat.completion"), "choices": choices}
    return {**plain, "usage": _chat_usage(answer)} if answer.usage else plain


def chat_events(answer: Answer, body: Mapping[str, Any]) -> Iterator[Event]:
    """The chunks of a streamed chat completion."""
    head = _chat_head(body, "chat.completion.chunk")
    asked = (body.get("stream_options") or {}).get("include_usage") and answer.usage
    if asked:
        head["usage"] = None

    def chunk(delta: Event, finish: str | None = None) -> Event:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for index, piece in enumerate(answer.pieces):
        if answer.tool is None:
            yield chunk({"content": piece})
            continue
        call: Event = {"index": 0, "function": {"arguments": piece}}
        if index == 0:
            call |= {"id": "call_1", "type": "function"}
            call["function"]["name"] = answer.tool
        yield chunk({"tool_calls": [call]})
    yield chunk({}, _chat_finish(answer))
    if asked:
        yield {**head, "choices": [], "usage": _chat_usage(answer)}


def responses(answer: Answer, body: Mapping[str, Any]) -> Event:
    """A response of the Responses API."""
    cut = answer.finish == "length"
    usage = {
        "input_tokens": answer.input_tokens,
        "input_tokens_details": {"cached_tokens": answer.cached, "cache_write_tokens": 0},
        "output_tokens": answer.output_tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning},
        "total_tokens": answer.input_tokens + answer.output_tokens,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": CREATED,
        "model": body.get("model"),
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "error": None,
        "output": [_responses_item(answer)],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage if answer.usage else None,
    }


def responses_events(answer: Answer, body: Mapping[str, Any]) -> Iterator[Event]:
    """The events of a streamed response."""
    whole = responses(answer, body)
    item = whole["output"][0]
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    said = _called_events(answer, item) if answer.tool else _said_events(answer, item)
    events: list[Event] = [
        {"type": "response.created", "response": begun},
        *said,
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": f"response.{whole['status']}", "response": whole},
    ]
    for number, event in enumerate(events):
        yield {**event, "sequence_number": number}


def _said_events(answer: Answer, item: Event) -> Iterator[Event]:
    place = {"output_index": 0, "item_id": item["id"], "content_index": 0}
    yield {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**item, "content": [], "status": "in_progress"},
    }
    yield {
        "type": "response.content_part.added",
        "part": {"type": "output_text", "text": "", "annotations": []},
        **place,
    }
    for piece in answer.pieces:
        yield {"type": "response.output_text.delta", "delta": piece, "logprobs": [], **place}
    yield {"type": "response.output_text.done", "text": answer.text, "logprobs": [], **place}
    yield {"type": "response.content_part.done", "part": item["content"][0], **place}


def _called_events(answer: Answer, item: Event) -> Iterator[Event]:
    place = {"output_index": 0, "item_id": item["id"]}
    begun = {**item, "arguments": "", "status": "in_progress"}
    yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
    for piece in answer.pieces:
        yield {"type": "response.function_call_arguments.delta", "delta": piece, **place}
    yield {
        "type": "response.function_call_arguments.done",
        "name": answer.tool,
        "arguments": answer.text,
        **place,
    }


def messages(answer: Answer, body: Mapping[str, Any]) -> Event:
    """An Anthropic message."""
    block: Event = {"type": "text", "text": answer.text}
    if answer.tool is not None:
        block = {
            "type": "tool_use",
            "id": "toolu_1",
            "name": answer.tool,
            "input": json.loads(answer.text),
        }
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [block],
        "stop_reason": _message_finish(answer),
        "stop_sequence": None,
        "usage": _message_usage(answer),
    }


def messages_events(answer: Answer, body: Mapping[str, Any]) -> Iterator[Event]:
    """The events of a streamed message."""
    whole = messages(answer, body)
    start = {**_message_usage(answer), "output_tokens": 1}
    block = {**whole["content"][0], **({"input": {}} if answer.tool else {"text": ""})}
    yield {
        "type": "message_start",
        "message": {**whole, "content": [], "stop_reason": None, "usage": start},
    }
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    for piece in answer.pieces:
        delta = {"type": "text_delta", "text": piece}
        if answer.tool is not None:
            delta = {"type": "input_json_delta", "partial_json": piece}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
        "usage": {"output_tokens": answer.output_tokens},
    }
    yield {"type": "message_stop"}


def openai_error(message: str, parameter: str | None) -> Event:
    """An error of OpenAI's."""
    kind = "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": parameter, "code": None}}


def anthropic_error(message: str, _parameter: str | None) -> Event:
    """An error of Anthropic's."""
    error = {"type": "invalid_request_error", "message": message}
    return {"type": "error", "error": error, "request_id": "req_1"}


def _chat_head(body: Mapping[str, Any], kind: str) -> Event:
    return {"id": "chatcmpl_1", "object": kind, "created": CREATED, "model": body.get("model")}


def _chat_finish(answer: Answer) -> str:
    return "tool_calls" if answer.tool and answer.finish == "stop" else answer.finish


def _chat_usage(answer: Answer) -> Event:
    return {
        "prompt_tokens": answer.input_tokens,
        "completion_tokens": answer.output_tokens,
        "total_tokens": answer.input_tokens + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning},
    }


def _responses_item(answer: Answer) -> Event:
    part = {"type": "output_text", "text": answer.text, "annotations": []}
    status = "incomplete" if answer.finish == "length" else "completed"
    if answer.tool is not None:
        return {
            "id": "item_1",
            "type": "function_call",
            "call_id": "call_1",
            "name": answer.tool,
            "arguments": answer.text,
            "status": status,
        }
    return {
        "id": "item_1",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [part],
    }


def _message_finish(answer: Answer) -> str:
    if answer.finish == "length":
        return "max_tokens"
    return "tool_use" if answer.tool else "end_turn"


def _message_usage(answer: Answer) -> Event:
    return {
        "input_tokens": answer.input_tokens - answer.cached,
        "cache_read_input_tokens": answer.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": answer.output_tokens,
    }
