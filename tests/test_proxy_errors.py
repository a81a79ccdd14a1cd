"""What goes wrong, in the shape of the provider that was asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest
from pyreqwest.client import ClientBuilder

from budget_proxy.proxy import forward
from tests.proxied import JSON, Answer, Running, running
from tests.proxy_payloads import CHAT, HELLO, MESSAGE, claude, gpt, plain


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


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


def test_a_wrong_budget_is_refused_without_asking_the_provider(proxied: Running) -> None:
    """A typo in a budget is a 400 in the provider's shape, and costs nothing."""
    proxy = proxied.answering(plain(CHAT))
    with gpt(proxy) as client:
        with pytest.raises(openai.BadRequestError, match="capp"):
            client.chat.completions.create(
                model="gpt-5.4", messages=HELLO, extra_body={"budget": {"capp": 1}}
            )
        assert proxy.upstream.seen == []


def test_what_is_no_json_is_the_providers_to_judge(proxied: Running) -> None:
    """A malformed body goes upstream as it is, and its error comes back."""
    answer = Answer(status=400, parts=[b'{"error": {"message": "what?"}}'])
    proxy = proxied.answering(answer)
    reply = httpx.post(f"{proxy.url}/v1/chat/completions", content=b'{"model": ')
    assert proxy.upstream.seen[0].body == b'{"model": '
    assert proxy.rows() == []
    assert (reply.status_code, reply.content) == (400, answer.parts[0])


def test_a_provider_that_says_nothing_is_a_504(
    proxied: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait ends in the provider's shape; the row is estimated, for it may be billed."""
    quick = ClientBuilder().no_proxy().read_timeout(timedelta(seconds=0.2)).build()
    monkeypatch.setattr(proxied.app._upstreams["openai"], "_reading", quick)
    proxy = proxied.answering(Answer(silent=True))
    with gpt(proxy) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(model="gpt-5.4", messages=HELLO)
        row = proxy.row()
    assert (caught.value.status_code, caught.value.code) == (504, "upstream_timeout")
    assert (row.finish_reason, row.exact) == ("error", False)
