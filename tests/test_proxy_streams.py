"""Streams through the proxy, driven by the real SDKs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.proxied import EVENTS, Answer, Running, Seen, events, running
from tests.proxy_payloads import (
    CHAT_STREAM,
    HELLO,
    MESSAGE_STREAM,
    claude,
    delta,
    gpt,
)


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


@pytest.mark.parametrize("headers", [EVENTS, (), (("content-type", "text/plain"),)])
def test_a_chat_stream_passes_without_the_usage_that_only_we_asked_for(
    proxied: Running, headers: tuple[tuple[str, str], ...]
) -> None:
    """The caller sees its own chunks as they came, of whatever type; the usage chunk is kept."""
    proxy = proxied.answering(Answer(headers=headers, parts=CHAT_STREAM))
    body = {"model": "gpt-5.4", "stream": True, "messages": HELLO}
    reply = httpx.post(f"{proxy.url}/v1/chat/completions", json=body)
    seen, row = proxy.upstream.seen[0], proxy.row()
    assert seen.json == {**body, "stream_options": {"include_usage": True}}
    assert reply.content == CHAT_STREAM[0] + CHAT_STREAM[1] + CHAT_STREAM[3]
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["x-accel-buffering"] == "no"
    assert reply.headers["x-budget-call-id"] == row.call_id
    assert (row.output_tokens, row.exact, row.stream) == (3, True, True)


def test_streams_reach_the_sdks(proxied: Running) -> None:
    """Both SDKs read a relayed stream to its end."""

    def answer(seen: Seen) -> Answer:
        parts = MESSAGE_STREAM if "messages" in seen.target else CHAT_STREAM
        return Answer(headers=EVENTS, parts=parts)

    proxy = proxied.answering(answer)
    with gpt(proxy) as one, claude(proxy) as other:
        chunks = one.chat.completions.create(model="gpt-5.4", messages=HELLO, stream=True)
        text = "".join(part.choices[0].delta.content or "" for part in chunks)
        with other.messages.stream(
            model="claude-sonnet-5-5", max_tokens=50, messages=HELLO
        ) as stream:
            message = stream.get_final_message()
        rows = proxy.rows(expected=2)
    assert text == "Hello"
    assert message.usage.output_tokens == 3
    assert [(row.api, row.output_tokens, row.exact) for row in rows] == [
        ("openai.chat", 3, True), ("anthropic.messages", 3, True),
    ]  # fmt: skip


def test_a_stream_is_passed_on_chunk_by_chunk(proxied: Running) -> None:
    """The first event reaches the caller while the provider is still writing."""
    parts = events(*[delta(str(number)) for number in range(10)], done=True)
    proxy = proxied.answering(Answer(headers=EVENTS, parts=parts, pause=0.1))
    start = time.monotonic()
    body = {"model": "gpt-5.4", "stream": True, "messages": HELLO}
    with httpx.stream("POST", f"{proxy.url}/v1/chat/completions", json=body) as reply:
        came = [time.monotonic() - start for _ in reply.iter_raw()]
    assert came[0] < 0.5
    assert came[-1] > 1.0  # ten pauses of 0.1 s


def test_leaving_a_stream_ends_it_upstream_and_settles(proxied: Running) -> None:
    """A caller that leaves cuts the provider's stream within a second; the row is estimated."""
    parts = events(*[delta("word ") for _ in range(200)], done=True)
    proxy = proxied.answering(Answer(headers=EVENTS, parts=parts, pause=0.05))
    body = {"model": "gpt-5.4", "stream": True, "messages": HELLO}
    with httpx.stream("POST", f"{proxy.url}/v1/chat/completions", json=body) as reply:
        next(reply.iter_raw())
    assert proxy.upstream.seen[0].left.wait(1.0)
    row = proxy.row()
    assert (row.finish_reason, row.exact) == ("cancelled", False)
    assert row.output_tokens is not None
    assert row.output_tokens >= 1


def test_leaving_before_a_stream_began_ends_it_as_soon_as_it_does(proxied: Running) -> None:
    """A provider that thinks first and is not waited for is cut with its first byte."""
    parts = events(*[delta("word ") for _ in range(200)], done=True)

    def late(_: Seen) -> Answer:
        time.sleep(0.6)
        return Answer(headers=EVENTS, parts=parts, pause=0.05)

    proxy = proxied.answering(late)
    body = {"model": "gpt-5.4", "stream": True, "messages": HELLO}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{proxy.url}/v1/chat/completions", json=body, timeout=0.2)
    row = proxy.row()
    assert proxy.upstream.seen[0].left.wait(1.0)
    assert (row.finish_reason, row.exact) == ("cancelled", False)


def test_a_stream_that_the_provider_breaks_off_breaks_off(proxied: Running) -> None:
    """What came is relayed, the caller learns that it is not all, the row an error, estimated."""
    answer = Answer(headers=EVENTS, parts=CHAT_STREAM[:1], cut=True)
    proxy = proxied.answering(answer)
    body = {"model": "gpt-5.4", "stream": True, "messages": HELLO}
    got: list[bytes] = []
    with (
        httpx.stream("POST", f"{proxy.url}/v1/chat/completions", json=body) as reply,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        got.extend(reply.iter_raw())
    row = proxy.row()
    assert b"".join(got) == CHAT_STREAM[0]
    assert (row.finish_reason, row.exact) == ("error", False)


def test_a_stream_that_is_refused_is_an_error(proxied: Running) -> None:
    """A stream request that is answered by an error is read whole and relayed."""
    answer = Answer(status=429, parts=[b'{"error": {"message": "slow down"}}'])
    proxy = proxied.answering(answer)
    with gpt(proxy) as client:
        with pytest.raises(openai.RateLimitError, match="slow down"):
            client.chat.completions.create(model="gpt-5.4", messages=HELLO, stream=True)
        assert proxy.row().status == 429


def test_planning_faults_leave_a_stream_as_it_is(
    proxied: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a broken engine a stream still passes, unmetered, stripped of our key."""
    proxy = proxied.answering(Answer(headers=EVENTS, parts=CHAT_STREAM))

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr(proxy.engine.core, "plan", broken)
    body = {"model": "gpt-5.4", "stream": True, "messages": HELLO}
    reply = httpx.post(f"{proxy.url}/v1/chat/completions", json={**body, "budget": {"agent": "a"}})
    assert proxy.upstream.seen[0].json == body
    assert proxy.engine.faults["plan"] == 1
    assert reply.content == b"".join(CHAT_STREAM)
