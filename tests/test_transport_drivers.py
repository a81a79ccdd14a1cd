"""The sync and the async driver, on both HTTP libraries: messages in and out."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from budget_proxy.assemble import Engine
from budget_proxy.transport import trip
from budget_proxy.transport.coding import MAX_BODY
from tests.codings import CODINGS
from tests.doors import (
    HELLO,
    MODEL,
    URL,
    Door,
    Uploaded,
    items,
    now,
    rows,
    stream_of,
)
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider

CHAT = {"model": MODEL, "messages": HELLO}


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that caps wherever it may, with a low floor."""
    with Engine.open("memory:", holdout=0.0, caps="always", floor=64) as engine:
        yield engine


@pytest.fixture
def provider() -> ScriptedProvider:
    """The network's far end."""
    return ScriptedProvider()


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> ModuleType:
    """Each HTTP library."""
    return {"httpx": httpx, "httpx2": httpx2}[request.param]


@pytest.fixture(params=["sync", "async"])
def door(request: pytest.FixtureRequest, library: ModuleType) -> Door:
    """Each library in each colour."""
    return Door(library, request.param)


async def read(response: Any) -> list[bytes]:
    """The bytes of a streamed response, in pieces."""
    asynchronous = hasattr(response, "aiter_bytes") and response.stream is not None
    if asynchronous and hasattr(response.stream, "__aiter__"):
        return [piece async for piece in response.aiter_bytes()]
    return list(response.iter_bytes())


async def shut(response: Any) -> None:
    """Close a response of either colour."""
    await now(response.aclose() if hasattr(response.stream, "__aiter__") else response.close())


# -- requests -----------------------------------------------------------------------------------


async def test_a_call_is_sent_as_the_client_made_it(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """Nothing to add: method, path, headers and bytes reach the provider unchanged."""
    client = door.open(engine, provider.transport(door.library))
    plain = ScriptedProvider()
    bare = getattr(door.library, door.name)(transport=plain.transport(door.library))
    for each in (client, bare):
        headers = {"authorization": "Bearer sk", "x-note": "grün".encode()}
        await door.post(each, CHAT, headers=headers)
    assert provider.requests == plain.requests


async def test_a_changed_body_goes_with_its_own_length(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """Our key is gone, length is that of what is sent, every other header is the client's."""
    client = door.open(engine, provider.transport(door.library))
    headers = {"x-budget-agent": "a", "x-note": "grün".encode()}
    await door.post(client, {**CHAT, "budget": {"mode": "observe"}}, headers=headers)
    seen = provider.last
    assert seen.body == CHAT
    assert seen.headers["content-length"] == str(len(seen.content))
    assert seen.headers["x-note"].encode(_encoding(seen.headers["x-note"])) == "grün".encode()
    assert "x-budget-agent" not in seen.headers
    assert seen.headers["host"] == "api.test:8443"


async def test_a_body_that_comes_in_pieces_is_read_and_framed_anew(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """A generator's body has no length; what we send in its place has one."""
    client = door.open(engine, provider.transport(door.library))
    whole = json.dumps({**CHAT, "budget": 500}).encode()
    content = _pieces(whole) if door.name == "Client" else _async_pieces(whole)
    await door.post(client, content)
    assert provider.last.body == {**CHAT, "max_tokens": 500}
    assert provider.last.headers["content-length"] == str(len(provider.last.content))
    assert "transfer-encoding" not in provider.last.headers


@pytest.mark.parametrize("name", CODINGS)
async def test_a_compressed_call_is_read(
    door: Door, engine: Engine, provider: ScriptedProvider, name: str
) -> None:
    """It is planned like any other: sent as it came, or plain where we wrote into it."""
    encoding, pack = CODINGS[name]
    client = door.open(engine, provider.transport(door.library))
    headers = {"content-encoding": encoding}
    packed = pack(json.dumps({**CHAT, "budget": 500}).encode())
    await door.post(client, packed, headers=headers)
    assert provider.last.body == {**CHAT, "max_tokens": 500}
    assert "content-encoding" not in provider.last.headers
    assert provider.last.headers["content-length"] == str(len(provider.last.content))

    def handler(request: Any) -> Any:
        assert request.headers["content-encoding"] == encoding
        assert request.content == pack(json.dumps(CHAT).encode())
        return door.library.Response(200, json={"usage": {"completion_tokens": 5}})

    client = door.open(engine, door.library.MockTransport(handler))
    await door.post(client, pack(json.dumps(CHAT).encode()), headers=headers)
    assert [row.output_tokens for row in rows(engine)] == [34, 5]


async def test_a_body_that_is_too_long_to_be_read_passes_as_it_came(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """In the client's own process it is the provider's to refuse; it is not unpacked by us."""
    client = door.open(engine, provider.transport(door.library))
    bomb = gzip.compress(json.dumps({**CHAT, "pad": " " * MAX_BODY}).encode())
    provider.answer = Answer(status=413, error=("too large", None))
    response = await door.post(client, bomb, headers={"content-encoding": "gzip"})
    assert response.status_code == 413
    assert response.json()["error"]["message"] == "too large"
    assert provider.last.content == bomb
    assert rows(engine) == []


async def test_what_is_no_call_is_not_even_read(door: Door, engine: Engine) -> None:
    """An upload streams through, once, with nothing but our headers removed."""
    body = Uploaded()
    got: list[Any] = []

    def handler(request: Any) -> Any:
        got.append((request.content, dict(request.headers)))
        return door.library.Response(200, content=b"ok")

    client = door.open(engine, door.library.MockTransport(handler))
    request = client.build_request("POST", "http://x/v1/files", headers={"x-budget-agent": "a"})
    request.stream = stream_of(door.library, body)
    del request._content
    response = await now(client.send(request))
    assert response.content == b"ok"
    assert body.reads == 1
    ((content, headers),) = got
    assert content == b"one two"
    assert "x-budget-agent" not in headers
    assert rows(engine) == []


async def test_a_request_without_our_headers_is_the_clients_own(door: Door) -> None:
    """No copy is made where there is nothing to remove."""
    request = door.library.Request("GET", "http://x/v1/models")
    assert trip.passed_through(request) is request


async def test_extensions_travel_with_the_call(door: Door, engine: Engine) -> None:
    """Timeouts and whatever else rides on a request reach the inner transport."""
    got: list[Any] = []

    def handler(request: Any) -> Any:
        got.append(request.extensions)
        return door.library.Response(200, json={})

    client = door.open(engine, door.library.MockTransport(handler))
    await door.post(client, {**CHAT, "budget": 9}, timeout=7.5, extensions={"note": "here"})
    (extensions,) = got
    assert extensions["note"] == "here"
    assert extensions["timeout"]["read"] == 7.5


# -- responses ----------------------------------------------------------------------------------


async def test_a_plain_answer_is_the_providers_and_ours_is_added(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """Status, body, headers and extensions are as they came; x-budget-* headers come on top."""
    provider.answer = Answer(headers={"x-request-id": "r1", "x-note": "hello"})
    client = door.open(engine, provider.transport(door.library))
    response = await door.post(client, CHAT)
    assert response.status_code == 200
    assert response.json()["usage"]["completion_tokens"] == 34
    assert response.headers["x-request-id"] == "r1"
    assert response.headers["content-length"] == str(len(response.content))
    assert response.headers["x-budget-call-id"] == rows(engine)[0].call_id
    assert isinstance(response, door.library.Response)
    assert response.request.url == URL
    assert response.elapsed.total_seconds() >= 0


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
async def test_a_compressed_answer_is_read_and_handed_on_decoded(
    door: Door, engine: Engine, name: str
) -> None:
    """What the client reads is the decoded content, and no header claims otherwise."""
    encoding, pack = CODINGS[name]
    content = pack(json.dumps({"usage": {"completion_tokens": 5}}).encode())

    def handler(_: Any) -> Any:
        headers = {"content-encoding": encoding, "content-length": str(len(content))}
        return door.library.Response(
            200, headers=headers, stream=stream_of(door.library, [content])
        )

    client = door.open(engine, door.library.MockTransport(handler))
    response = await door.post(client, CHAT)
    assert response.json() == {"usage": {"completion_tokens": 5}}
    assert "content-encoding" not in response.headers
    assert "content-length" not in response.headers
    assert rows(engine)[0].output_tokens == 5


async def test_a_plain_answer_can_be_read_raw(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """A client that asked to read the answer itself may still do so, down to the raw bytes."""
    client = door.open(engine, provider.transport(door.library))
    response = await door.post(client, CHAT, stream=True)
    raw = response.aiter_raw() if door.name == "AsyncClient" else response.iter_raw()
    assert json.loads(b"".join(await items(raw)))["id"] == "chatcmpl_1"


async def test_extensions_of_the_response_stay(door: Door, engine: Engine) -> None:
    """The HTTP version, the reason and the network stream are the inner transport's."""
    extensions = {"http_version": b"HTTP/2", "reason_phrase": b"Fine", "network_stream": "s"}

    def handler(_: Any) -> Any:
        return door.library.Response(200, json={}, extensions=extensions)

    client = door.open(engine, door.library.MockTransport(handler))
    response = await door.post(client, CHAT)
    assert (response.http_version, response.reason_phrase) == ("HTTP/2", "Fine")
    assert response.extensions["network_stream"] == "s"


async def test_a_refusal_of_ours_needs_no_provider(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """A wrong budget is answered here, as the provider would."""
    client = door.open(engine, provider.transport(door.library))
    response = await door.post(client, {**CHAT, "budget": "much"})
    assert response.status_code == 400
    assert "budget must be" in response.json()["error"]["message"]
    assert provider.requests == []


# -- streams ------------------------------------------------------------------------------------


async def test_a_stream_passes_as_it_comes(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """Event by event, before the provider has ended; the row is there at the end."""
    client = door.open(engine, provider.transport(door.library))
    response = await door.post(client, {**CHAT, "stream": True}, stream=True)
    pieces = await read(response)
    assert len(pieces) > 5
    assert pieces[-1] == b"data: [DONE]\n\n"
    assert "content-length" not in response.headers
    assert response.is_closed
    (row,) = rows(engine)
    assert (row.output_tokens, row.exact, row.finish_reason) == (34, True, "stop")


@pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
async def test_a_compressed_stream_is_relayed_decoded(
    door: Door, engine: Engine, name: str
) -> None:
    """A meter reads text, so compression ends at the relay."""
    events = b'data: {"choices": [], "usage": {"completion_tokens": 7}}\n\ndata: [DONE]\n\n'
    encoding, pack = CODINGS[name]
    packed = pack(events)

    def handler(_: Any) -> Any:
        headers = {"content-type": "text/event-stream", "content-encoding": encoding}
        pieces = [packed[:10], packed[10:]]
        return door.library.Response(200, headers=headers, stream=stream_of(door.library, pieces))

    client = door.open(engine, door.library.MockTransport(handler))
    asks = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    response = await door.post(client, asks, stream=True)
    assert b"".join(await read(response)) == events
    assert "content-encoding" not in response.headers
    assert rows(engine)[0].output_tokens == 7


async def test_closing_early_closes_the_provider_and_settles(door: Door, engine: Engine) -> None:
    """A client that leaves lets the connection go, and its call is settled as cancelled."""
    source = stream_of(door.library, [b'data: {"choices": []}\n\n'] * 50)

    def handler(_: Any) -> Any:
        headers = {"content-type": "text/event-stream"}
        return door.library.Response(200, headers=headers, stream=source)

    client = door.open(engine, door.library.MockTransport(handler))
    response = await door.post(client, {**CHAT, "stream": True}, stream=True)
    await shut(response)
    assert source.closed
    assert [row.finish_reason for row in rows(engine)] == ["cancelled"]


async def test_a_stream_that_breaks_raises_the_librarys_error(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """The client sees what it would have seen without us; the provider's failure is an error."""
    provider.answer = Answer(cut=3)
    client = door.open(engine, provider.transport(door.library))
    response = await door.post(client, {**CHAT, "stream": True}, stream=True)
    with pytest.raises(door.library.ReadError, match="connection was lost"):
        await read(response)
    await shut(response)
    assert [(row.finish_reason, row.exact) for row in rows(engine)] == [("error", False)]


async def test_a_stream_that_cannot_be_decoded_is_an_error(door: Door, engine: Engine) -> None:
    """It is the provider who said that it was gzip."""

    def handler(_: Any) -> Any:
        headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
        stream = stream_of(door.library, [b"no gzip at all"])
        return door.library.Response(200, headers=headers, stream=stream)

    client = door.open(engine, door.library.MockTransport(handler))
    response = await door.post(client, {**CHAT, "stream": True}, stream=True)
    with pytest.raises(door.library.DecodingError):
        await read(response)
    await shut(response)
    assert [(row.finish_reason, row.exact) for row in rows(engine)] == [("error", False)]


@pytest.mark.parametrize("left", [KeyboardInterrupt, asyncio.CancelledError])
async def test_a_reader_that_is_interrupted_has_left(
    door: Door, engine: Engine, left: type[BaseException]
) -> None:
    """What ends the reading while the provider is silent is no failure of the provider's."""

    def pieces() -> Iterator[bytes]:
        yield b'data: {"choices": []}\n\n'
        raise left

    def handler(_: Any) -> Any:
        headers = {"content-type": "text/event-stream"}
        stream = stream_of(door.library, pieces())
        return door.library.Response(200, headers=headers, stream=stream)

    client = door.open(engine, door.library.MockTransport(handler))
    response = await door.post(client, {**CHAT, "stream": True}, stream=True)
    with pytest.raises(left):
        await read(response)
    await shut(response)
    assert [(row.finish_reason, row.exact) for row in rows(engine)] == [("cancelled", False)]


async def test_an_unplanned_stream_is_the_providers_own(
    door: Door, engine: Engine, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where planning failed the stream is not touched at all."""
    monkeypatch.setattr(engine.core, "plan", _fail)
    client = door.open(engine, provider.transport(door.library))
    response = await door.post(client, {**CHAT, "stream": True}, stream=True)
    assert (await read(response))[-1] == b"data: [DONE]\n\n"
    assert not [name for name in response.headers if name.startswith("x-budget")]


def _fail(*_: Any, **__: Any) -> Any:
    raise ArithmeticError("a fault of ours")


def _encoding(text: str) -> str:
    return "utf-8" if len(text) == 4 else "latin-1"


def _pieces(content: bytes) -> Iterator[bytes]:
    yield content[:20]
    yield content[20:]


async def _async_pieces(content: bytes) -> Any:
    for piece in _pieces(content):
        yield piece
