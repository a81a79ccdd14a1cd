"""The sync and the async driver, on both HTTP libraries: messages in and out, errors, waiting."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from budget_proxy.assemble import Engine
from budget_proxy.errors import StoreError
from budget_proxy.scope import budget
from budget_proxy.transport import trip
from budget_proxy.transport.binding import Binding
from budget_proxy.transport.view import view
from budget_proxy.types import Lookup, Scope
from tests.doors import HELLO, MODEL, Uploaded, items, learned, now, rows
from tests.provider_answers import Answer
from tests.providers import PATHS, ScriptedProvider

CHAT = {"model": MODEL, "messages": HELLO}
URL = "https://api.test:8443/v1/chat/completions"


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that caps wherever it may, with a low floor."""
    with Engine.open("memory:", holdout=0.0, caps="always", floor=64) as engine:
        yield engine


@pytest.fixture
def provider() -> ScriptedProvider:
    """The network's far end."""
    return ScriptedProvider()


class Door:
    """A client of one library and colour, bound to an engine."""

    def __init__(self, library: ModuleType, colour: str) -> None:
        self.library: Any = library
        self.name = "AsyncClient" if colour == "async" else "Client"

    def open(self, engine: Engine, transport: Any, **options: Any) -> Any:
        """The client, with ``transport`` at its end."""
        plain = getattr(self.library, self.name)(transport=transport, **options)
        return view(plain, Binding(engine))

    async def post(self, client: Any, body: Any, *, stream: bool = False, **options: Any) -> Any:
        """Post a body (a call, if it is a mapping) and return the response."""
        content = body if not isinstance(body, dict) else json.dumps(body).encode()
        request = client.build_request("POST", options.pop("url", URL), content=content, **options)
        return await now(client.send(request, stream=stream))


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


async def test_what_is_no_call_is_not_even_read(door: Door, engine: Engine) -> None:
    """An upload streams through, once, with nothing but our headers removed."""
    body = Uploaded()
    got: list[Any] = []

    def handler(request: Any) -> Any:
        got.append((request.content, dict(request.headers)))
        return door.library.Response(200, content=b"ok")

    client = door.open(engine, door.library.MockTransport(handler))
    request = client.build_request("POST", "http://x/v1/files", headers={"x-budget-agent": "a"})
    request.stream = _of(door.library, body)
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


async def test_a_compressed_answer_is_read_and_handed_on_decoded(
    door: Door, engine: Engine
) -> None:
    """What the client reads is the decoded content, and no header claims otherwise."""
    content = gzip.compress(json.dumps({"usage": {"completion_tokens": 5}}).encode())

    def handler(_: Any) -> Any:
        headers = {"content-encoding": "gzip", "content-length": str(len(content))}
        return door.library.Response(200, headers=headers, stream=_of(door.library, [content]))

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


async def test_a_compressed_stream_is_relayed_decoded(door: Door, engine: Engine) -> None:
    """A meter reads text, so compression ends at the relay."""
    events = b'data: {"choices": [], "usage": {"completion_tokens": 7}}\n\ndata: [DONE]\n\n'
    packed = gzip.compress(events)

    def handler(_: Any) -> Any:
        headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
        pieces = [packed[:10], packed[10:]]
        return door.library.Response(200, headers=headers, stream=_of(door.library, pieces))

    client = door.open(engine, door.library.MockTransport(handler))
    asks = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
    response = await door.post(client, asks, stream=True)
    assert b"".join(await read(response)) == events
    assert "content-encoding" not in response.headers
    assert rows(engine)[0].output_tokens == 7


async def test_closing_early_closes_the_provider_and_settles(door: Door, engine: Engine) -> None:
    """A client that leaves lets the connection go, and its call is settled as cancelled."""
    source = _of(door.library, [b'data: {"choices": []}\n\n'] * 50)

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
    """The client sees what it would have seen without us; the call is settled."""
    provider.answer = Answer(cut=3)
    client = door.open(engine, provider.transport(door.library))
    response = await door.post(client, {**CHAT, "stream": True}, stream=True)
    with pytest.raises(door.library.ReadError, match="connection was lost"):
        await read(response)
    await shut(response)
    (row,) = rows(engine)
    assert row.exact is False


async def test_an_unplanned_stream_is_the_providers_own(
    door: Door, engine: Engine, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where planning failed the stream is not touched at all."""
    monkeypatch.setattr(engine.core, "plan", _fail)
    client = door.open(engine, provider.transport(door.library))
    response = await door.post(client, {**CHAT, "stream": True}, stream=True)
    assert (await read(response))[-1] == b"data: [DONE]\n\n"
    assert not [name for name in response.headers if name.startswith("x-budget")]


# -- errors, waiting, looking up ----------------------------------------------------------------


@pytest.mark.parametrize("error", ["ConnectError", "ReadTimeout", "RemoteProtocolError"])
async def test_errors_of_the_inner_transport_are_raised_as_they_are(
    door: Door, engine: Engine, error: str
) -> None:
    """The very exception comes out, and the attempt is settled as an error."""
    raised = getattr(door.library, error)("no answer")

    def handler(_: Any) -> Any:
        raise raised

    client = door.open(engine, door.library.MockTransport(handler))
    with pytest.raises(door.library.TransportError) as caught:
        await door.post(client, CHAT)
    assert caught.value is raised
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact) == ("error", error != "ReadTimeout")


async def test_an_answer_that_cannot_be_decoded_is_the_librarys_error(
    door: Door, engine: Engine
) -> None:
    """A broken compression is told as without us."""

    def handler(_: Any) -> Any:
        headers = {"content-encoding": "gzip"}
        return door.library.Response(200, headers=headers, stream=_of(door.library, [b"no gzip"]))

    client = door.open(engine, door.library.MockTransport(handler))
    with pytest.raises(door.library.DecodingError):
        await door.post(client, CHAT)
    assert [row.finish_reason for row in rows(engine)] == ["error"]


async def test_any_other_exception_passes_and_cancels(door: Door, engine: Engine) -> None:
    """What no HTTP library raises, an interrupt say, ends the call as cancelled."""

    def handler(_: Any) -> Any:
        raise KeyboardInterrupt

    client = door.open(engine, door.library.MockTransport(handler))
    with pytest.raises(KeyboardInterrupt):
        await door.post(client, CHAT)
    assert [row.finish_reason for row in rows(engine)] == ["cancelled"]


async def test_a_cancelled_task_settles_its_call(engine: Engine, library: ModuleType) -> None:
    """A task that is cancelled while it waits for the provider leaves a cancelled row."""
    door = Door(library, "async")
    begun = asyncio.Event()

    async def handler(_: Any) -> Any:
        begun.set()
        await asyncio.sleep(60)

    client = door.open(engine, door.library.MockTransport(handler))
    task = asyncio.create_task(door.post(client, CHAT))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row.finish_reason for row in rows(engine)] == ["cancelled"]


async def test_lookups_do_not_block_the_loop(
    door: Door, engine: Engine, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The async driver reads the history on another thread, the sync one on the caller's."""
    threads: list[int] = []
    lookup = engine.lookup

    def noted(wanted: Lookup) -> Any:
        threads.append(threading.get_ident())
        return lookup(wanted)

    monkeypatch.setattr(engine, "lookup", noted)
    client = door.open(engine, provider.transport(door.library))
    await door.post(client, CHAT)
    same = threads == [threading.get_ident()]
    assert same == (door.name == "Client")


async def test_a_broken_lookup_is_none(
    door: Door, engine: Engine, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the history raises, the call goes on as one of a new session."""
    monkeypatch.setattr(engine, "lookup", _fail)
    client = door.open(engine, provider.transport(door.library))
    assert (await door.post(client, CHAT)).status_code == 200
    assert engine.faults["lookup"] == 1
    assert len(rows(engine)) == 1


@pytest.mark.parametrize("outcome", ["written", "failed", "cancelled", "slow"])
async def test_the_first_answer_waits_a_moment_for_its_session(
    door: Door,
    engine: Engine,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    outcome: str,
) -> None:
    """However its ticket ends, or if it does not, the answer comes."""
    monkeypatch.setattr(trip, "_PATIENCE", 0.05)
    learned(engine)
    ticket: Future[None] = Future()
    monkeypatch.setattr(engine.recorder, "put_session", lambda _: ticket)
    if outcome == "cancelled":
        threading.Timer(0.01, ticket.cancel).start()
    elif outcome != "slow":
        how = ticket.set_result if outcome == "written" else ticket.set_exception
        value: Any = None if outcome == "written" else StoreError("disk full")
        threading.Timer(0.01, how, (value,)).start()
    client = door.open(engine, provider.transport(door.library))
    assert (await door.post(client, CHAT)).status_code == 200
    assert ticket.done() == (outcome != "slow")


async def test_leaving_while_waiting_closes_the_stream(
    engine: Engine, library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task cancelled between the provider's first byte and ours lets the connection go."""
    learned(engine)
    monkeypatch.setattr(engine.recorder, "put_session", lambda _: Future())
    door = Door(library, "async")
    source = _of(door.library, [b"data: {}\n\n"])
    begun = asyncio.Event()

    def handler(_: Any) -> Any:
        begun.set()
        headers = {"content-type": "text/event-stream"}
        return door.library.Response(200, headers=headers, stream=source)

    client = door.open(engine, door.library.MockTransport(handler))
    task = asyncio.create_task(door.post(client, {**CHAT, "stream": True}, stream=True))
    await begun.wait()
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed
    assert [row.finish_reason for row in rows(engine)] == ["cancelled"]


async def test_the_budget_around_a_call_is_read_when_it_is_made(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """Each task has its own ``with budget(...)``; it beats the client's, and gets its calls."""
    plain = getattr(door.library, door.name)(transport=provider.transport(door.library))
    client = view(plain, Binding(engine, Scope(agent="client", run="r")))

    async def one(agent: str) -> list[str]:
        with budget(agent=agent) as under:
            await asyncio.sleep(0)
            await door.post(client, CHAT)
            return [report.record.agent for report in under.calls]

    assert [*await asyncio.gather(one("a"), one("b"))] == [["a"], ["b"]]
    await door.post(client, CHAT)
    assert [(row.agent, row.run) for row in rows(engine)] == [
        ("a", "r"), ("b", "r"), ("client", "r"),
    ]  # fmt: skip


@pytest.mark.parametrize("api", sorted(PATHS))
async def test_host_and_timeout_reach_the_plan(
    door: Door, engine: Engine, provider: ScriptedProvider, api: str
) -> None:
    """The host carries its port, and the timeout is that of reading."""
    client = door.open(engine, provider.transport(door.library), timeout=7.0)
    with budget() as under:
        await door.post(client, {**CHAT, "max_tokens": 100}, url=f"http://h:81{PATHS[api]}")
    call = under.calls[0].plan.call
    assert (call.api, call.host, call.timeout) == (api, "h:81", 7.0)


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


def _of(library: Any, pieces: Any) -> Any:
    """A stream of one library, sync and async, that knows whether it was closed."""

    class Stream(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]
        closed = False

        def __iter__(self) -> Iterator[bytes]:
            yield from pieces

        async def __aiter__(self) -> Any:
            for piece in pieces:
                yield piece

        def close(self) -> None:
            self.closed = True

        async def aclose(self) -> None:
            self.closed = True

    return Stream()
