"""Realistic bodies and streams of the three dialects, and a diff of bodies by path."""

from __future__ import annotations

import copy
from typing import Any

from budget_proxy.types import Call, Scope
from budget_proxy.wire import DIALECTS, Context

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def chat_body() -> dict[str, Any]:
    """Sixteen messages with tools, an image, unknown fields and the caller's cap."""
    turns: list[dict[str, Any]] = [
        {"role": "system", "content": "You are a careful assistant."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is in this picture?", "x_unknown": 1},
                {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
            ],
        },
        {"role": "assistant", "content": "A pixel.", "refusal": None, "annotations": []},
        {"role": "user", "name": "ann", "content": "And the weather in Riga?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city":"Riga"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "4 degrees, rain"},
        {"role": "assistant", "content": "Four degrees and rain."},
    ]
    for number in range(4):
        turns.append({"role": "user", "content": f"Question {number}?"})
        turns.append({"role": "assistant", "content": f"Answer {number}."})
    turns.append({"role": "user", "content": "Thank you. One more?"})
    return {
        "x_vendor": {"deep": [1, {"keep": None}]},
        "model": "gpt-5.5",
        "messages": turns,
        "tools": [copy.deepcopy(WEATHER)],
        "parallel_tool_calls": False,
        "max_completion_tokens": 4000,
        "metadata": {"trace": "abc"},
    }


def responses_body() -> dict[str, Any]:
    """Sixteen items of the same kind of conversation."""
    items: list[dict[str, Any]] = [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is in this picture?"},
                {"type": "input_image", "image_url": PIXEL, "x_unknown": True},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xx"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "A pixel.", "annotations": []}],
        },
        {"role": "user", "content": "And the weather in Riga?"},
        {
            "type": "function_call",
            "call_id": "call_1",
            "name": "weather",
            "arguments": '{"city":"Riga"}',
        },
        {"type": "function_call_output", "call_id": "call_1", "output": "4 degrees, rain"},
        {"role": "assistant", "content": "Four degrees and rain."},
    ]
    for number in range(4):
        items.append({"role": "user", "content": f"Question {number}?"})
        items.append({"role": "assistant", "content": f"Answer {number}."})
    items.append({"role": "user", "content": "Thank you. One more?"})
    return {
        "x_vendor": {"deep": [1, {"keep": None}]},
        "model": "gpt-5.5",
        "instructions": "You are a careful assistant.",
        "input": items,
        "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
        "max_output_tokens": 4000,
        "store": False,
        "reasoning": {"summary": "auto"},
    }


def anthropic_body() -> dict[str, Any]:
    """Sixteen messages with cached system blocks, tools and an image."""
    turns: list[dict[str, Any]] = [
        {
            "role": "user",
            "content": [
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
                },
                {"type": "text", "text": "What is in this picture?", "x_unknown": 1},
            ],
        },
        {"role": "assistant", "content": "A pixel."},
        {"role": "user", "content": "And the weather in Riga?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "They want weather.", "signature": "sig"},
                {"type": "tool_use", "id": "tu_1", "name": "weather", "input": {"city": "Riga"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "tu_1", "content": "4 degrees, rain"}
            ],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "Four degrees and rain."}]},
    ]
    for number in range(4):
        turns.append({"role": "user", "content": f"Question {number}?"})
        turns.append({"role": "assistant", "content": f"Answer {number}."})
    turns.append({"role": "user", "content": "Thank you."})
    turns.append({"role": "user", "content": [{"type": "text", "text": "One more?"}]})
    return {
        "x_vendor": {"deep": [1, {"keep": None}]},
        "model": "claude-sonnet-5-5",
        "max_tokens": 4000,
        "system": [
            {"type": "text", "text": "You are a careful assistant."},
            {"type": "text", "text": "Rules.", "cache_control": {"type": "ephemeral"}},
        ],
        "messages": turns,
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
        "metadata": {"user_id": "u"},
    }


def body_of(api: str) -> dict[str, Any]:
    """The realistic body of a dialect."""
    return {
        "openai.chat": chat_body,
        "openai.responses": responses_body,
        "anthropic.messages": anthropic_body,
    }[api]()


def read(
    api: str, body: dict[str, Any], host: str = "", *, signed: bool = False, path: str = ""
) -> Call:
    """The Call that a dialect reads from a body."""
    scope = Scope(agent="a")
    context = Context("c1", 1_000.0, host=host, scope=scope, timeout=60.0, signed=signed, path=path)
    return DIALECTS[api].read(body, context)


def changed(before: Any, after: Any, path: str = "") -> set[str]:
    """The paths at which two JSON values differ; a missing key differs from null."""
    if isinstance(before, dict) and isinstance(after, dict):
        out: set[str] = set()
        for key in before.keys() | after.keys():
            at = f"{path}.{key}" if path else key
            if key in before and key in after:
                out |= changed(before[key], after[key], at)
            else:
                out.add(at)
        return out
    if isinstance(before, list) and isinstance(after, list):
        out = set()
        for index in range(max(len(before), len(after))):
            at = f"{path}[{index}]"
            if index < len(before) and index < len(after):
                out |= changed(before[index], after[index], at)
            else:
                out.add(at)
        return out
    same = type(before) is type(after) and before == after
    return set() if same else {path}


CHAT_STREAM = (
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","model":"gpt-5.5-2026","service_'
    b'tier":"default","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_'
    b'reason":null}],"usage":null,"obfuscation":"abc"}\n\n'
    b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"Hello w\xc3\xb6rld, '
    b'\xe2\x80\xa8ok"},"finish_reason":null}],"usage":null}\n\n'
    b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage"'
    b":null}\n\n"
    b'data: {"id":"chatcmpl-1","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":34,"'
    b'total_tokens":46,"prompt_tokens_details":{"cached_tokens":8},"completion_tokens_details":{"'
    b'reasoning_tokens":20,"audio_tokens":null}}}\n\n'
    b"data: [DONE]\n\n"
)
"""Twelve tokens in (8 cached), 34 out (20 reasoning)."""

RESPONSES_STREAM = (
    b"event: response.created\n"
    b'data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":'
    b'"in_progress","model":"gpt-5.5","usage":null,"output":[]}}\n\n'
    b"event: response.output_text.delta\n"
    b'data: {"type":"response.output_text.delta","sequence_number":1,"delta":"Hello there"}\n\n'
    b"event: response.function_call_arguments.delta\n"
    b'data: {"type":"response.function_call_arguments.delta","sequence_number":2,"delta":"{}"}\n\n'
    b"event: response.incomplete\n"
    b'data: {"type":"response.incomplete","sequence_number":3,"response":{"id":"resp_1","status":'
    b'"incomplete","incomplete_details":{"reason":"max_output_tokens"},"model":"gpt-5.5",'
    b'"service_tier":"priority","output":[],"usage":{"input_tokens":20,"input_tokens_details":'
    b'{"cached_tokens":0,"cache_write_tokens":16},"output_tokens":64,"output_tokens_details":'
    b'{"reasoning_tokens":60},"total_tokens":84}}}\n\n'
)
"""Cut at 64 output tokens."""

ANTHROPIC_STREAM = (
    b"event: message_start\n"
    b'data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"model":"claude-sonnet-5-5","content":[],"stop_reason":null,"usage":{"input_tokens":10,'
    b'"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":1,'
    b'"service_tier":"standard"}}}\n\n'
    b"event: ping\n"
    b'data: {"type": "ping"}\n\n'
    b"event: content_block_start\n"
    b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
    b"event: content_block_delta\n"
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":'
    b'"Hello world!"}}\n\n'
    b"event: content_block_stop\n"
    b'data: {"type":"content_block_stop","index":0}\n\n'
    b"event: message_delta\n"
    b'data: {"type":"message_delta","delta":{"stop_reason":null},"usage":{"output_tokens":20}}\n\n'
    b"event: message_delta\n"
    b'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"input_tokens":null,"cache_read_input_tokens":null,"output_tokens":42,'
    b'"output_tokens_details":{"thinking_tokens":30}}}\n\n'
    b"event: message_stop\n"
    b'data: {"type":"message_stop"}\n\n'
)
"""1,110 tokens in (1,000 read, 100 written), 42 out (30 thinking)."""

STREAMS = {
    "openai.chat": CHAT_STREAM,
    "openai.responses": RESPONSES_STREAM,
    "anthropic.messages": ANTHROPIC_STREAM,
}
