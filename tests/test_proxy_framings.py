"""Streams in every framing that the standard allows, through real connections, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.proxied import EVENTS, Answer, Running, running
from tests.proxy_payloads import CHAT, HELLO, MESSAGE, RESPONSE, claude, delta, gpt

Event = tuple[str, Any]
"""Its name, which may be empty, and what it carries."""

USAGE = {"id": "c", "choices": [], "usage": CHAT["usage"]}
START = {**MESSAGE, "content": [], "stop_reason": None,
         "usage": {"input_tokens": 9, "output_tokens": 1}}  # fmt: skip
STREAMS: dict[str, list[Event]] = {
    "/v1/chat/completions": [
        ("", delta("Hel\u2028")), ("", delta("lo", "stop")), ("", USAGE), ("", "[DONE]"),
    ],
    "/v1/responses": [
        ("response.created", {"type": "response.created",
                              "response": {**RESPONSE, "status": "in_progress", "usage": None}}),
        ("response.output_text.delta", {"type": "response.output_text.delta", "delta": "\u2028"}),
        ("response.completed", {"type": "response.completed", "response": RESPONSE}),
    ],
    "/v1/messages": [
        ("message_start", {"type": "message_start", "message": START}),
        ("ping", {"type": "ping"}),
        ("content_block_delta", {"type": "content_block_delta", "index": 0,
                                 "delta": {"type": "text_delta", "text": "Hel\u2028lo"}}),
        ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                           "usage": {"output_tokens": 3}}),
        ("message_stop", {"type": "message_stop"}),
    ],
}  # fmt: skip


def lines(event: Event) -> list[str]:
    """An event in its usual lines."""
    name, data = event
    said = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return [*([f"event: {name}"] if name else []), f"data: {said}"]


Frame = Callable[[list[Event]], list[bytes]]
"""Events as blocks of a stream, one each; what belongs to no event is a block of its own."""


def framed(end: str) -> Frame:
    """Lines that end like this."""
    return lambda events: [end.join([*lines(event), "", ""]).encode() for event in events]


lf = framed("\n")


def mixed(events: list[Event]) -> list[bytes]:
    """Every event with another ending."""
    ends = ["\r\n", "\n", "\r"]
    return [framed(ends[i % 3])([event])[0] for i, event in enumerate(events)]


def marked(events: list[Event]) -> list[bytes]:
    """With a byte order mark, and blank lines before the first event."""
    return [b"\xef\xbb\xbf\n\n", *lf(events)]


def commented(events: list[Event]) -> list[bytes]:
    """With comments between and within events, and fields that nobody needs."""
    fields = b":\nid: 7\nretry: 100\nunknown\n"
    blocks = [[b": ping\n\n", fields + block] for block in lf(events)]
    return [*(block for pair in blocks for block in pair), b": bye\n\n"]


def unspaced(events: list[Event]) -> list[bytes]:
    """Without the space that may follow a colon."""
    return [
        block.replace(b"data: ", b"data:").replace(b"event: ", b"event:") for block in lf(events)
    ]


def swapped(events: list[Event]) -> list[bytes]:
    """The name after the data."""
    return ["\n".join([*reversed(lines(event)), "", ""]).encode() for event in events]


def spread(events: list[Event]) -> list[bytes]:
    """One JSON text over several lines of data."""

    def told(event: Event) -> bytes:
        name, data = event
        text = data if isinstance(data, str) else json.dumps(data, indent=1, ensure_ascii=False)
        head = f"event: {name}\n" if name else ""
        return (head + "".join(f"data: {line}\n" for line in text.split("\n")) + "\n").encode()

    return [told(event) for event in events]


def unended(events: list[Event]) -> list[bytes]:
    """Without the blank line at the end."""
    *blocks, last = lf(events)
    return [*blocks, last.removesuffix(b"\n\n")]


FRAMINGS: dict[str, Frame] = {
    "lf": lf, "crlf": framed("\r\n"), "cr": framed("\r"), "mixed": mixed, "mark": marked,
    "comments": commented, "unspaced": unspaced, "swapped": swapped, "spread": spread,
    "unended": unended,
}  # fmt: skip


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


def ask(proxy: Running, path: str, *, usage: bool = True) -> bytes:
    """What a streamed call gets; with ``usage`` it asks for that itself."""
    body: dict[str, Any] = {"model": "m", "stream": True, "messages": HELLO, "max_tokens": 50}
    if usage:
        body["stream_options"] = {"include_usage": True}
    return httpx.post(f"{proxy.url}{path}", json=body).content


def pieces(content: bytes, size: int) -> list[bytes]:
    """Content in pieces of a size."""
    return [content[at : at + size] for at in range(0, len(content), size)]


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("path", STREAMS)
def test_every_framing_passes_byte_for_byte_and_is_read(
    proxied: Running, path: str, framing: str, size: int
) -> None:
    """However the bytes are cut, the caller gets them all, and the row has the usage."""
    content = b"".join(FRAMINGS[framing](STREAMS[path]))
    proxy = proxied.answering(Answer(headers=EVENTS, parts=pieces(content, size)))
    assert ask(proxy, path) == content
    row = proxy.row()
    assert (row.input_tokens, row.output_tokens, row.exact) == (9, 3, True)
    assert (row.finish_reason, row.stream) == ("stop", True)
    assert not proxy.engine.faults


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_only_the_usage_that_we_asked_for_is_taken_out(
    proxied: Running, framing: str, size: int
) -> None:
    """Of a chat stream whose caller did not ask for usage, every other byte passes."""
    blocks = FRAMINGS[framing](STREAMS["/v1/chat/completions"])
    kept = [block for block in blocks if b"prompt_tokens" not in block]
    proxy = proxied.answering(Answer(headers=EVENTS, parts=pieces(b"".join(blocks), size)))
    assert len(kept) == len(blocks) - 1
    assert ask(proxy, "/v1/chat/completions", usage=False) == b"".join(kept)
    assert (proxy.row().output_tokens, proxy.row().exact) == (3, True)


# -- errors in mid-stream -----------------------------------------------------------------------

OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
BROKEN = {"error": {"message": "The server had an error", "type": "server_error", "code": "oops"}}
FAILED = {**RESPONSE, "status": "failed", "usage": None, "output": [],
          "error": {"code": "server_error", "message": "no"}}  # fmt: skip
ERRORS: dict[str, tuple[str, Event]] = {
    "chat": ("/v1/chat/completions", ("", BROKEN)),
    "chat, named": ("/v1/chat/completions", ("error", BROKEN)),
    "responses": (
        "/v1/responses",
        ("error", {"type": "error", "code": "server_error", "message": "no", "param": None}),
    ),
    "responses, failed": (
        "/v1/responses", ("response.failed", {"type": "response.failed", "response": FAILED}),
    ),
    "messages": ("/v1/messages", ("error", OVERLOADED)),
}  # fmt: skip


@pytest.mark.parametrize("framing", ["lf", "crlf", "cr", "unended"])
@pytest.mark.parametrize("error", ERRORS)
def test_an_error_in_mid_stream_passes_and_is_accounted_for(
    proxied: Running, error: str, framing: str
) -> None:
    """What was generated before it is billed, so it is estimated."""
    path, event = ERRORS[error]
    begun = STREAMS[path][: 3 if "messages" in path else 2]
    content = b"".join(FRAMINGS[framing]([*begun, event]))
    proxy = proxied.answering(Answer(headers=EVENTS, parts=pieces(content, 50)))
    assert ask(proxy, path, usage=False) == content
    row = proxy.row()
    assert (row.finish_reason, row.exact, row.status) == ("error", False, 200)
    assert (row.output_tokens or 0) >= 1


@pytest.mark.parametrize("error", [name for name in ERRORS if name != "messages"])
def test_an_error_before_anything_was_generated_costs_nothing(proxied: Running, error: str) -> None:
    """The provider says itself that there is no answer."""
    path, event = ERRORS[error]
    (content,) = lf([event])
    proxy = proxied.answering(Answer(headers=EVENTS, parts=[content]))
    assert ask(proxy, path) == content
    row = proxy.row()
    assert (row.finish_reason, row.exact, row.output_tokens) == ("error", True, 0)


def test_the_sdks_raise_an_error_in_mid_stream(proxied: Running) -> None:
    """With code and text of the provider's, after what came before it."""
    chat = lf([*STREAMS["/v1/chat/completions"][:1], ("", BROKEN)])
    proxy = proxied.answering(Answer(headers=EVENTS, parts=chat))
    with gpt(proxy) as client:
        stream = client.chat.completions.create(model="gpt-5.4", messages=HELLO, stream=True)
        got: list[Any] = []
        with pytest.raises(openai.APIError, match="The server had an error") as first:
            got.extend(stream)
    assert first.value.code == "oops"
    message = lf([*STREAMS["/v1/messages"][:3], ("error", OVERLOADED)])
    proxy = proxied.answering(Answer(headers=EVENTS, parts=message))
    with claude(proxy) as other:
        events = other.messages.create(
            model="claude-sonnet-5-5", max_tokens=9, messages=HELLO, stream=True
        )
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            got.extend(events)
    assert len(got) == 4 - 1  # one chunk; message_start and a delta: the SDK keeps pings to itself
