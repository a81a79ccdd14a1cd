"""What the provider of the benchmarks answers: its objects, events and headers.

Headers are those that the two providers send with every answer, by name and length; their
values are made up.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
CHUNKS = 50
MODELS = {CHAT: "gpt-5.4", MESSAGES: "claude-sonnet-5"}
_TEXT = "The quick brown fox jumps over the lazy dog while the builders look on. " * 13
_CHAT_USAGE = {
    "prompt_tokens": 240, "completion_tokens": 190, "total_tokens": 430,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}  # fmt: skip
_USAGE = {
    "input_tokens": 240, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
    "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 190, "service_tier": "standard",
}  # fmt: skip
ANSWERS: dict[str, dict[str, Any]] = {
    CHAT: {
        "id": "chatcmpl-0123456789abcdefghijklmnopqrs", "object": "chat.completion",
        "created": 1_790_000_000, "model": MODELS[CHAT],
        "choices": [{
            "index": 0, "finish_reason": "stop", "logprobs": None,
            "message": {
                "role": "assistant", "content": _TEXT, "refusal": None, "annotations": [],
            },
        }],
        "usage": _CHAT_USAGE, "service_tier": "default", "system_fingerprint": None,
    },
    MESSAGES: {
        "id": "msg_0123456789abcdefghijklmn", "type": "message", "role": "assistant",
        "model": MODELS[MESSAGES], "content": [{"type": "text", "text": _TEXT}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": _USAGE,
    },
}  # fmt: skip
"""A plain answer of each API."""

_CHUNK = {
    "id": ANSWERS[CHAT]["id"], "object": "chat.completion.chunk", "created": 1_790_000_000,
    "model": MODELS[CHAT], "service_tier": "default", "system_fingerprint": None,
}  # fmt: skip
_SAID = {"index": 0, "delta": {"content": " and so on"}, "logprobs": None, "finish_reason": None}
_EVENTS: dict[str, list[dict[str, Any]]] = {
    CHAT: [
        *[{**_CHUNK, "choices": [_SAID], "usage": None}] * CHUNKS,
        {
            **_CHUNK, "usage": None,
            "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}],
        },
        {**_CHUNK, "choices": [], "usage": _CHAT_USAGE},
    ],
    MESSAGES: [
        {"type": "message_start", "message": {**ANSWERS[MESSAGES], "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{
            "type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": " and so on"},
        }] * CHUNKS,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": _USAGE},
        {"type": "message_stop"},
    ],
}  # fmt: skip

_EVERYWHERE = {
    "date": "Fri, 27 Nov 2026 09:00:00 GMT",
    "connection": "keep-alive",
    "cf-cache-status": "DYNAMIC",
    "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
    "x-content-type-options": "nosniff",
    "server": "cloudflare",
    "cf-ray": "9a0123456789abcd-FRA",
}
_HEADERS = {
    CHAT: {
        "access-control-expose-headers": "X-Request-ID",
        "openai-organization": "some-organization",
        "openai-processing-ms": "812",
        "openai-project": "proj_0123456789abcdefghijklmn",
        "openai-version": "2020-10-01",
        "x-envoy-upstream-service-time": "830",
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "10000000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-remaining-tokens": "9999612",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": "2ms",
        "x-request-id": "req_0123456789abcdef0123456789abcdef",
        "set-cookie": "__cf_bm=0123456789abcdefghijklmnopqrstuvwxyz-1790000000; path=/; "
        "expires=Fri, 27-Nov-26 09:30:00 GMT; HttpOnly; Secure; SameSite=None",
        "alt-svc": 'h3=":443"; ma=86400',
    },
    MESSAGES: {
        "anthropic-organization-id": "01234567-89ab-cdef-0123-456789abcdef",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-requests-reset": "2026-11-27T09:00:01Z",
        "anthropic-ratelimit-input-tokens-limit": "2000000",
        "anthropic-ratelimit-input-tokens-remaining": "2000000",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-27T09:00:00Z",
        "anthropic-ratelimit-output-tokens-limit": "400000",
        "anthropic-ratelimit-output-tokens-remaining": "400000",
        "anthropic-ratelimit-output-tokens-reset": "2026-11-27T09:00:00Z",
        "request-id": "req_0123456789abcdefghijklmn",
        "x-robots-tag": "none",
        "via": "1.1 google",
    },
}


def plain(path: str, *, packed: bool) -> bytes:
    """A plain answer as it goes over the wire: ``packed`` (gzip, in a chunk) or by its length."""
    content = json.dumps(ANSWERS[path]).encode()
    if not packed:
        return _head(path, "application/json", f"content-length: {len(content)}") + content
    head = _head(path, "application/json", "content-encoding: gzip", "transfer-encoding: chunked")
    return head + chunk(gzip.compress(content)) + END


def events(path: str) -> list[bytes]:
    """A stream: its head with its first event, then one event each, then its end."""
    first, *others = [chunk(_event(item)) for item in _EVENTS[path]]
    head = _head(path, "text/event-stream; charset=utf-8", "transfer-encoding: chunked")
    return [head + first, *others, END]


def chunk(part: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%s\r\n" % (len(part), part)


END = b"0\r\n\r\n"


def _head(path: str, kind: str, *framing: str) -> bytes:
    headers = {"content-type": kind, **_EVERYWHERE, **_HEADERS[path]}
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, *framing, "", ""]).encode()


def _event(item: dict[str, Any]) -> bytes:
    name = f"event: {item['type']}\n" if "type" in item else ""
    return f"{name}data: {json.dumps(item)}\n\n".encode()
