"""Compressed bodies through the proxy, both ways, over real connections."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from budget_proxy.transport.coding import MAX_BODY
from tests.codings import CODINGS, in_pieces
from tests.proxied import EVENTS, JSON, Answer, Running, events, running
from tests.proxy_payloads import CHAT, HELLO, MESSAGE, delta, plain

ASK = {"model": "gpt-5.4", "messages": HELLO}


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


def post(proxy: Running, content: bytes, encoding: str, **given: Any) -> httpx.Response:
    """A chat call whose body was compressed."""
    headers = {"content-encoding": encoding, "content-type": "application/json", **given}
    return httpx.post(f"{proxy.url}/v1/chat/completions", content=content, headers=headers)


@pytest.mark.parametrize("name", CODINGS)
def test_a_compressed_call_goes_on_as_it_came(proxied: Running, name: str) -> None:
    """It is read and metered; where we write nothing, bytes and header are the caller's."""
    encoding, pack = CODINGS[name]
    packed = pack(orjson.dumps(ASK))
    proxy = proxied.answering(plain(CHAT))
    reply = post(proxy, packed, encoding)
    seen, row = proxy.upstream.seen[0], proxy.row()
    assert reply.json() == CHAT
    assert (seen.body, seen.header("content-encoding")) == (packed, [encoding])
    assert seen.header("content-length") == [str(len(packed))]
    assert (row.model, row.output_tokens, row.input_chars) == ("gpt-5.4", 3, len("hello"))


@pytest.mark.parametrize("name", CODINGS)
@pytest.mark.parametrize(
    ("extra", "headers"),
    [({"budget": {"cap": 300}}, {}), ({}, {"x-budget-cap": "300"})],
    ids=["key", "header"],
)
def test_a_compressed_call_that_we_change_goes_on_plain(
    proxied: Running, name: str, extra: dict[str, Any], headers: dict[str, str]
) -> None:
    """Our key is found in it, our cap is written, and no header claims a coding any more."""
    encoding, pack = CODINGS[name]
    proxy = proxied.answering(plain(CHAT))
    post(proxy, pack(orjson.dumps({**ASK, **extra})), encoding, **headers)
    seen = proxy.upstream.seen[0]
    assert seen.json == {**ASK, "max_tokens": 300}
    assert seen.header("content-encoding") == []
    assert seen.header("content-length") == [str(len(seen.body))]


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
def test_a_coding_that_we_do_not_know_passes_unplanned(proxied: Running, encoding: str) -> None:
    """The provider may know it; nothing is recorded of what we cannot read."""
    proxy = proxied.answering(plain(CHAT))
    reply = post(proxy, b"\x1b\x0bwhatever", encoding)
    seen = proxy.upstream.seen[0]
    assert (seen.body, seen.header("content-encoding")) == (b"\x1b\x0bwhatever", [encoding])
    assert reply.json() == CHAT
    assert proxy.rows() == []


def test_what_was_not_compressed_as_it_says_is_the_providers_to_judge(proxied: Running) -> None:
    """A broken body passes, and the provider's error comes back."""
    proxy = proxied.answering(Answer(status=400, parts=[b'{"error": {"message": "no gzip"}}']))
    reply = post(proxy, b"{}", "gzip")
    assert (reply.status_code, proxy.upstream.seen[0].body) == (400, b"{}")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/chat/completions", "invalid_request_error"),
        ("/v1/responses", "invalid_request_error"),
        ("/v1/messages", "request_too_large"),
    ],
)
def test_a_bomb_is_refused(proxied: Running, path: str, kind: str) -> None:
    """A small body that unpacks to more than is read is a 413 in the provider's shape."""
    proxy = proxied.answering(plain(MESSAGE))
    bomb = gzip.compress(bytes(MAX_BODY + 1))
    headers = {"content-encoding": "gzip"}
    reply = httpx.post(f"{proxy.url}{path}", content=bomb, headers=headers)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"]) == (413, kind)
    assert str(MAX_BODY) in error["message"]
    assert proxy.upstream.seen == []
    assert proxy.rows() == []


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
def test_an_answer_that_comes_compressed_unasked_is_read(proxied: Running, name: str) -> None:
    """The caller gets text with its own length, we get usage."""
    encoding, pack = CODINGS[name]
    content = orjson.dumps(CHAT)
    answer = Answer(headers=[*JSON, ("content-encoding", encoding)], parts=[pack(content)])
    proxy = proxied.answering(answer)
    reply = httpx.post(f"{proxy.url}/v1/chat/completions", json=ASK)
    assert proxy.upstream.seen[0].header("accept-encoding") == ["identity"]
    assert reply.content == content
    assert "content-encoding" not in reply.headers
    assert reply.headers["content-length"] == str(len(content))
    assert proxy.row().output_tokens == 3


@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
def test_an_error_that_comes_compressed_is_read(proxied: Running, name: str, status: int) -> None:
    """Errors are decoded alike: the SDKs read their text."""
    encoding, pack = CODINGS[name]
    headers = [*JSON, ("content-encoding", encoding)]
    answer = Answer(status=status, headers=headers, parts=[pack(b'{"error":  {"message": "no"}}')])
    reply = httpx.post(f"{proxied.answering(answer).url}/v1/chat/completions", json=ASK)
    assert (reply.status_code, reply.content) == (status, b'{"error":  {"message": "no"}}')
    assert "content-encoding" not in reply.headers


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
def test_a_compressed_stream_is_passed_on_as_it_comes(proxied: Running, name: str) -> None:
    """Event by event, decoded; the first is there long before the last is sent."""
    parts = events(delta("Hel"), delta("lo", "stop"), {"choices": [], "usage": CHAT["usage"]})
    headers = [*EVENTS, ("content-encoding", name.rsplit(maxsplit=1)[-1])]
    proxy = proxied.answering(Answer(headers=headers, parts=in_pieces(parts, name), pause=0.4))
    body = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    got: list[tuple[float, bytes]] = []
    started = time.monotonic()
    with httpx.stream("POST", f"{proxy.url}/v1/chat/completions", json=body) as reply:
        got.extend((time.monotonic() - started, chunk) for chunk in reply.iter_raw())
        assert "content-encoding" not in reply.headers
    assert b"".join(chunk for _, chunk in got) == b"".join(parts)
    assert got[0][1] == parts[0]
    assert got[-1][0] - got[0][0] > 0.6  # two pauses lie between them
    assert (proxy.row().output_tokens, proxy.row().exact) == (3, True)


def test_an_upload_that_passes_through_stays_compressed(proxied: Running) -> None:
    """What is no call is not unpacked, however large it would be."""
    packed = zlib.compress(bytes(MAX_BODY + 1))
    proxy = proxied.answering(Answer())
    httpx.post(f"{proxy.url}/v1/files", content=packed, headers={"content-encoding": "deflate"})
    seen = proxy.upstream.seen[0]
    assert (seen.body, seen.header("content-encoding")) == (packed, ["deflate"])
