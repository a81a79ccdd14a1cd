"""What providers answer, and the clients that ask them through the proxy."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import orjson

from tests.proxied import Answer, Running, events

CHAT = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5.4",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi."}}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}  # fmt: skip
RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5.4",
    "status": "completed", "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
    "output": [
        {
            "type": "message", "id": "m", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Hi.", "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": 9, "output_tokens": 3, "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
}  # fmt: skip
MESSAGE = {
    "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5-5",
    "content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn",
    "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 3},
}  # fmt: skip
HELLO: Any = [{"role": "user", "content": "hello"}]


def chunk(**given: Any) -> dict[str, Any]:
    """One chunk of a streamed chat completion."""
    facts = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5.4"}
    return {**facts, "choices": [], **given}


def delta(text: str, finish: str | None = None) -> dict[str, Any]:
    """A chunk that carries text."""
    return chunk(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": finish}])


CHAT_STREAM = events(delta("Hel"), delta("lo", "stop"), chunk(usage=CHAT["usage"]), done=True)
MESSAGE_STREAM = events(
    {
        "type": "message_start",
        "message": {**MESSAGE, "content": [], "stop_reason": None,
                    "usage": {"input_tokens": 9, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
     "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
    named=True,
)  # fmt: skip


def plain(payload: Any) -> Answer:
    """A JSON answer."""
    return Answer(parts=[orjson.dumps(payload)])


def gpt(proxy: Running, **given: Any) -> openai.OpenAI:
    """OpenAI's client, pointed at the proxy."""
    return openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="sk-callers", max_retries=0, **given)


def claude(proxy: Running) -> anthropic.Anthropic:
    """Anthropic's client, pointed at the proxy."""
    return anthropic.Anthropic(base_url=proxy.url, api_key="sk-ant-callers", max_retries=0)
