"""Calls through the proxy, driven by the real SDKs."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.proxied import JSON, Answer, Running, Seen, running
from tests.proxy_payloads import CHAT, HELLO, MESSAGE, RESPONSE, claude, gpt, plain


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


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


def test_half_a_character_costs_no_row(proxied: Running) -> None:
    """In a model it is stored as a question mark; in a name that the caller gives it is refused."""
    proxy = proxied.answering(plain(CHAT))
    url, asked = f"{proxy.url}/v1/chat/completions", {"model": "m\ud800", "messages": HELLO}
    assert httpx.post(url, content=json.dumps(asked)).status_code == 200
    assert proxy.row().model == "m?"
    assert proxy.upstream.seen[0].json["model"] == "m\ud800"
    refused = httpx.post(url, content=json.dumps({**asked, "budget": {"agent": "\ud800"}}))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "invalid_budget")
    assert len(proxy.upstream.seen) == 1


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


def test_a_body_in_chunks_is_a_call_too(proxied: Running) -> None:
    """Clients may send their body in chunks."""
    body = orjson.dumps({"model": "gpt-5.4", "messages": HELLO})
    proxy = proxied.answering(plain(CHAT))
    reply = httpx.post(f"{proxy.url}/v1/chat/completions", content=iter([body[:9], body[9:]]))
    assert reply.json() == CHAT
    assert proxy.upstream.seen[0].body == body
    assert proxy.row().output_tokens == 3


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
