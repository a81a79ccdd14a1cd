"""Calls through the proxy, driven by the real SDKs."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import orjson
import pytest
from pyreqwest.client import ClientBuilder

from budget_proxy.proxy import forward
from tests.proxied import EVENTS, JSON, Answer, Running, Seen, events, running

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


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


def plain(payload: Any) -> Answer:
    """A JSON answer."""
    return Answer(parts=[orjson.dumps(payload)])


def gpt(proxy: Running, **given: Any) -> openai.OpenAI:
    """OpenAI's client, pointed at the proxy."""
    return openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="sk-callers", max_retries=0, **given)


def claude(proxy: Running) -> anthropic.Anthropic:
    """Anthropic's client, pointed at the proxy."""
    return anthropic.Anthropic(base_url=proxy.url, api_key="sk-ant-callers", max_retries=0)


def test_chat_completion_is_answered_metered_and_explained(proxied: Running) -> None:
    """A plain chat call gets the provider's answer, a row of its usage, and our headers."""
    proxy = proxied.answering(plain(CHAT))
    with gpt(proxy) as client:
        raw = client.chat.completions.with_raw_response.create(model="gpt-5.4", messages=HELLO)
        assert raw.parse().choices[0].message.content == "Hi."
        assert raw.http_response.content == orjson.dumps(CHAT)
        assert raw.headers["x-budget-mode"] == "enforce"
        row = proxy.row()
    assert raw.headers["x-budget-call-id"] == row.call_id
    assert (row.input_tokens, row.output_tokens, row.exact) == (9, 3, True)
    assert row.host == proxy.upstream.url.removeprefix("http://")


def test_responses_and_messages_are_calls_too(proxied: Running) -> None:
    """The two other dialects are planned and metered alike."""

    def answer(seen: Seen) -> Answer:
        return plain(MESSAGE if "messages" in seen.target else RESPONSE)

    proxy = proxied.answering(answer)
    with gpt(proxy) as one, claude(proxy) as other:
        said = one.responses.create(model="gpt-5.4", input="hello")
        wrote = other.messages.create(model="claude-sonnet-5-5", max_tokens=50, messages=HELLO)
        rows = proxy.rows()
    assert said.output_text == "Hi."
    assert wrote.usage.output_tokens == 3
    assert [(row.api, row.output_tokens) for row in rows] == [
        ("openai.responses", 3), ("anthropic.messages", 3),
    ]  # fmt: skip


def test_what_is_observed_reaches_the_provider_byte_for_byte(proxied: Running) -> None:
    """Without evidence a plain call is sent as it came, in query and unknown fields too."""
    body = b'{"model": "claude-sonnet-5-5",  "max_tokens": 50, "x_new": [1.50], "messages": []}'
    proxy = proxied.answering(plain(MESSAGE))
    httpx.post(f"{proxy.url}/v1/messages?beta=true", content=body)
    seen = proxy.upstream.seen[0]
    assert seen.target == "/v1/messages?beta=true"
    assert seen.body == body


def test_our_own_key_and_headers_stay_with_us(proxied: Running) -> None:
    """The budget key and x-budget-* headers are obeyed and reach no provider."""
    proxy = proxied.answering(plain(CHAT))
    with gpt(proxy) as client:
        client.chat.completions.create(
            model="gpt-5.4",
            messages=HELLO,
            extra_body={"budget": {"agent": "reviewer", "cap": 300}},
            extra_headers={"x-budget-run": "nightly"},
        )
        seen, row = proxy.upstream.seen[0], proxy.row()
    assert "budget" not in seen.json
    assert seen.json["max_tokens"] == 300  # as hosts that are not OpenAI's call it
    assert not [name for name, _ in seen.headers if name.lower().startswith("x-budget")]
    assert (row.agent, row.cap) == ("reviewer", 300)


def test_a_wrong_budget_is_refused_without_asking_the_provider(proxied: Running) -> None:
    """A typo in a budget is a 400 in the provider's shape, and costs nothing."""
    proxy = proxied.answering(plain(CHAT))
    with gpt(proxy) as client:
        with pytest.raises(openai.BadRequestError, match="capp"):
            client.chat.completions.create(
                model="gpt-5.4", messages=HELLO, extra_body={"budget": {"capp": 1}}
            )
        assert proxy.upstream.seen == []


def test_headers_pass_both_ways_but_for_those_of_a_connection(proxied: Running) -> None:
    """Unknown and repeated headers pass; hop-by-hop ones and those named by Connection do not."""
    answer = Answer(
        headers=[
            *JSON, ("x-request-id", "r1"), ("set-cookie", "a=1"), ("set-cookie", "b=2"),
            ("keep-alive", "timeout=9"), ("connection", "x-private"), ("x-private", "p"),
        ],
        parts=[orjson.dumps(CHAT)],
    )  # fmt: skip
    proxy = proxied.answering(answer)
    sent = [
        ("anthropic-beta", "one"), ("anthropic-beta", "two"), ("authorization", "Bearer me"),
        ("x-odd", "1"), ("connection", "x-secret"), ("x-secret", "s"), ("te", "trailers"),
    ]  # fmt: skip
    reply = httpx.post(
        f"{proxy.url}/v1/chat/completions",
        headers=sent,
        json={"model": "m", "messages": HELLO},
    )
    seen = proxy.upstream.seen[0]
    assert seen.header("anthropic-beta") == ["one", "two"]
    assert seen.header("authorization") == ["Bearer me"]
    assert seen.header("x-odd") == ["1"]
    assert seen.header("accept-encoding") == ["identity"]
    assert seen.header("host") == [proxy.upstream.url.removeprefix("http://")]
    assert seen.header("x-secret") == seen.header("te") == seen.header("connection") == []
    assert reply.headers["x-request-id"] == "r1"
    assert reply.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert "x-private" not in reply.headers
    assert "keep-alive" not in reply.headers


@pytest.mark.parametrize("status", [400, 429, 529])
def test_errors_are_relayed_byte_for_byte(proxied: Running, status: int) -> None:
    """Status, body and retry headers of a provider's error are its own."""
    body = b'{"type": "error",  "error": {"type": "odd", "message": "no"}, "request_id": "q"}\n'
    answer = Answer(status=status, headers=[*JSON, ("retry-after", "7")], parts=[body])
    proxy = proxied.answering(answer)
    with claude(proxy) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            client.messages.create(model="claude-sonnet-5-5", max_tokens=9, messages=HELLO)
        row = proxy.row()
    assert caught.value.status_code == status
    assert caught.value.response.content == body
    assert caught.value.response.headers["retry-after"] == "7"
    assert (row.finish_reason, row.status, row.output_tokens) == ("error", status, 0)


def test_a_chat_stream_passes_without_the_usage_that_only_we_asked_for(proxied: Running) -> None:
    """The caller sees its own chunks as they came; the usage chunk is ours and is kept."""
    proxy = proxied.answering(Answer(headers=EVENTS, parts=CHAT_STREAM))
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
        rows = proxy.rows()
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


def test_leaving_before_a_plain_answer_settles_it_exactly(proxied: Running) -> None:
    """The provider bills a plain answer that nobody waits for; so its usage is still read."""
    answer = Answer(parts=[orjson.dumps(CHAT)], pause=0.3)

    def late(_: Seen) -> Answer:
        time.sleep(0.5)
        return answer

    proxy = proxied.answering(late)
    body = {"model": "gpt-5.4", "messages": HELLO}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{proxy.url}/v1/chat/completions", json=body, timeout=0.2)
    row = proxy.row()
    assert (row.finish_reason, row.exact, row.output_tokens) == ("stop", True, 3)


def test_a_stream_that_the_provider_breaks_off_breaks_off(proxied: Running) -> None:
    """What came is relayed, the caller learns that it is not all, the row is estimated."""
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
    assert (row.finish_reason, row.exact) == ("cancelled", False)


def test_an_upstream_that_is_down_is_named_in_the_providers_shape(tmp_path: Path) -> None:
    """A 502 that both SDKs understand says which address, and which setting to look at."""
    down = {"openai_base_url": "http://127.0.0.1:9", "anthropic_base_url": "http://127.0.0.1:9"}
    with (
        running(tmp_path, plain(CHAT), **down) as proxy,
        gpt(proxy) as one,
        claude(proxy) as other,
    ):
        with pytest.raises(openai.InternalServerError) as first:
            one.chat.completions.create(model="gpt-5.4", messages=HELLO)
        with pytest.raises(anthropic.InternalServerError) as second:
            other.messages.create(model="claude-sonnet-5-5", max_tokens=9, messages=HELLO)
        rows = proxy.rows()
    assert first.value.status_code == second.value.status_code == 502
    assert first.value.code == "upstream_unreachable"
    assert "http://127.0.0.1:9" in first.value.message
    assert "BUDGET_PROXY_OPENAI_BASE_URL" in first.value.message
    assert second.value.body == second.value.response.json()
    assert second.value.response.json()["error"]["type"] == "api_error"
    assert "BUDGET_PROXY_ANTHROPIC_BASE_URL" in second.value.message
    assert [(row.finish_reason, row.status, row.output_tokens) for row in rows] == [
        ("error", 0, 0), ("error", 0, 0),
    ]  # fmt: skip


def test_a_body_that_is_too_long_is_refused(
    proxied: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit a call is a 413 in the provider's shape, announced in length or not."""
    monkeypatch.setattr(forward, "MAX_BODY", 1000)
    text: Any = [{"role": "user", "content": "x" * 2000}]
    proxy = proxied.answering(plain(MESSAGE))
    with claude(proxy) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            client.messages.create(model="claude-sonnet-5-5", max_tokens=9, messages=text)
        chunked = httpx.post(f"{proxy.url}/v1/messages", content=iter([b"x" * 600, b"x" * 600]))
        assert proxy.upstream.seen == []
    assert caught.value.status_code == chunked.status_code == 413
    assert chunked.json()["error"]["type"] == "request_too_large"


def test_a_body_in_chunks_is_a_call_too(proxied: Running) -> None:
    """Clients may send their body in chunks."""
    body = orjson.dumps({"model": "gpt-5.4", "messages": HELLO})
    proxy = proxied.answering(plain(CHAT))
    reply = httpx.post(f"{proxy.url}/v1/chat/completions", content=iter([body[:9], body[9:]]))
    assert reply.json() == CHAT
    assert proxy.upstream.seen[0].body == body
    assert proxy.row().output_tokens == 3


def test_what_is_no_json_is_the_providers_to_judge(proxied: Running) -> None:
    """A malformed body goes upstream as it is, and its error comes back."""
    answer = Answer(status=400, parts=[b'{"error": {"message": "what?"}}'])
    proxy = proxied.answering(answer)
    reply = httpx.post(f"{proxy.url}/v1/chat/completions", content=b'{"model": ')
    assert proxy.upstream.seen[0].body == b'{"model": '
    assert proxy.rows() == []
    assert (reply.status_code, reply.content) == (400, answer.parts[0])


def test_a_compressed_answer_is_read_all_the_same(proxied: Running) -> None:
    """An upstream that compresses unasked is decoded: the caller gets text, we get usage."""
    packed = gzip.compress(orjson.dumps(CHAT))
    answer = Answer(headers=[*JSON, ("content-encoding", "gzip")], parts=[packed])
    proxy = proxied.answering(answer)
    reply = httpx.post(f"{proxy.url}/v1/chat/completions", json={"model": "m", "messages": HELLO})
    assert proxy.row().output_tokens == 3
    assert "content-encoding" not in reply.headers
    assert reply.content == orjson.dumps(CHAT)
    assert reply.headers["content-length"] == str(len(reply.content))


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


def test_many_callers_at_once(proxied: Running) -> None:
    """Calls at the same time are answered each by its own, and each has its row."""

    def answer(seen: Seen) -> Answer:
        said = json.loads(seen.body)["messages"][0]["content"]
        choice = {**CHAT["choices"][0], "message": {"role": "assistant", "content": said}}  # type: ignore[index]
        return plain({**CHAT, "choices": [choice]})

    proxy = proxied.answering(answer)
    with gpt(proxy) as client:
        heard: dict[int, str | None] = {}

        def ask(number: int) -> None:
            said: Any = [{"role": "user", "content": str(number)}]
            reply = client.chat.completions.create(model="gpt-5.4", messages=said)
            heard[number] = reply.choices[0].message.content

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({row.call_id for row in proxy.rows()}) == 20
    assert heard == {number: str(number) for number in range(20)}


def test_our_keys_take_the_place_of_the_callers(tmp_path: Path) -> None:
    """A key of the environment goes to its provider, the caller's own goes nowhere."""

    def answer(seen: Seen) -> Answer:
        return plain(MESSAGE if "messages" in seen.target else CHAT)

    keys = {"OPENAI_API_KEY": "sk-ours", "ANTHROPIC_API_KEY": "sk-ant-ours"}
    with running(tmp_path, answer, **keys) as proxy, gpt(proxy) as one, claude(proxy) as other:
        raw = one.chat.completions.with_raw_response.create(model="gpt-5.4", messages=HELLO)
        other.messages.create(model="claude-sonnet-5-5", max_tokens=9, messages=HELLO)
        httpx.get(f"{proxy.url}/v1/models")
        chat, message, models = proxy.upstream.seen
        health = httpx.get(f"{proxy.url}/healthz").text
    assert chat.header("authorization") == models.header("authorization") == ["Bearer sk-ours"]
    assert message.header("x-api-key") == ["sk-ant-ours"]
    assert message.header("authorization") == []
    assert "callers" not in str([seen.headers for seen in proxy.upstream.seen])
    assert "ours" not in str(raw.headers) + health


def test_a_provider_that_says_nothing_is_a_504(
    proxied: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait ends in the provider's shape; the row is estimated, for it may be billed."""
    quick = ClientBuilder().read_timeout(timedelta(seconds=0.2)).build()
    monkeypatch.setattr(proxied.app._upstream, "_reading", quick)
    proxy = proxied.answering(Answer(silent=True))
    with gpt(proxy) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="gpt-5.4", messages=HELLO)
        row = proxy.row()
    assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")
    assert (row.finish_reason, row.exact) == ("error", False)


def capped(folder: Path, answer: Callable[[Seen], Answer]) -> AbstractContextManager[Running]:
    """A proxy that caps every call as soon as it has seen two answers."""
    return running(folder, answer, evidence=2, caps="always", floor=16, guidance="off")


def cut_at_cap(seen: Seen) -> Answer:
    """Three tokens to everyone, but a long story, of which a cap cuts off the rest."""
    if "story" not in seen.json["messages"][0]["content"]:
        return plain(CHAT)
    cap = seen.json.get("max_tokens", 5000)
    choice = {"index": 0, "message": {"role": "assistant", "content": "Once"}}
    return plain(
        {
            **CHAT,
            "choices": [{**choice, "finish_reason": "length" if cap < 5000 else "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": cap, "total_tokens": cap + 9},
        }
    )


def say(proxy: Running, text: str, **given: Any) -> httpx.Response:
    """One chat call of one sentence."""
    body = {"model": "m-large", "messages": [{"role": "user", "content": text}]}
    return httpx.post(f"{proxy.url}/v1/chat/completions", json=body, **given)


def test_what_our_cap_cut_is_asked_for_again(tmp_path: Path) -> None:
    """The caller gets the whole answer; both attempts are in the history, and ours to pay."""
    with capped(tmp_path, cut_at_cap) as proxy:
        for _ in range(3):
            say(proxy, "hello")
        proxy.answering(cut_at_cap)
        reply = say(proxy, "a story, please")
        first, second = proxy.upstream.seen
        rows = proxy.rows()
    assert "max_tokens" in first.json
    assert "max_tokens" not in second.json
    assert reply.json()["choices"][0]["finish_reason"] == "stop"
    assert reply.headers["x-budget-attempt"] == "2"
    assert [(row.attempt, row.truncated) for row in rows] == [(1, True), (2, False)]


def test_what_our_cap_cut_is_not_asked_for_when_nobody_waits(tmp_path: Path) -> None:
    """A caller that left before the second attempt causes none."""

    def late(seen: Seen) -> Answer:
        if "story" in seen.json["messages"][0]["content"]:
            time.sleep(0.6)
        return cut_at_cap(seen)

    with capped(tmp_path, late) as proxy:
        for _ in range(3):
            say(proxy, "hello")
        proxy.answering(late)
        with pytest.raises(httpx.ReadTimeout):
            say(proxy, "a story, please", timeout=0.3)
        deadline = time.monotonic() + 3
        while len(rows := proxy.rows()) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(proxy.upstream.seen) == 1
    assert [(row.attempt, row.finish_reason, row.output_tokens) for row in rows] == [
        (1, "length", rows[0].cap), (2, "error", 0),
    ]  # fmt: skip
