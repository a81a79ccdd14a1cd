"""The app's routes, and what passes through it untouched."""

from __future__ import annotations

import gc
import gzip
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from importlib.metadata import version
from pathlib import Path
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from budget_proxy.assemble import Engine
from budget_proxy.proxy.app import App, create_app, from_settings
from budget_proxy.store import open_store
from tests.proxied import EVENTS, JSON, Answer, Running, Upstream, events, running, served

LIST = Answer(parts=[b'{"object": "list",  "data": []}'])


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module."""
    with running(tmp_path_factory.mktemp("proxy"), LIST) as proxy:
        yield proxy


def test_health_says_version_history_and_faults(proxied: Running) -> None:
    """/healthz is for whoever watches the proxy; it asks no provider."""
    proxy = proxied.answering(LIST)
    proxy.engine.faults["plan"] = 2
    assert httpx.get(f"{proxy.url}/healthz").json() == {
        "status": "ok", "version": version("budget-proxy"), "store": proxy.engine.store.url,
        "faults": {"plan": 2},
    }  # fmt: skip
    assert proxy.upstream.seen == []


@pytest.mark.parametrize(
    "path",
    [
        "/", "/chat/completions", "/v2/x", "/v1", "/v1/../admin", "/v1/%2E%2e/x", "/v1/a/..\\..\\x",
        "/v1/chat/./completions", "/v1/chat/%2e/completions", "/v1/chat\\completions",
        "/v1/chat/completions/.", "/v1/./realtime/client_secrets",
    ],
)  # fmt: skip
def test_other_paths_are_not_found(proxied: Running, path: str) -> None:
    """What is no provider's path, or becomes another on its way: a 404 that says what there is."""
    proxy = proxied.answering(LIST)
    connection = HTTPConnection(proxy.url.removeprefix("http://"))
    connection.request("GET", path)  # as it stands: httpx would resolve it
    reply = connection.getresponse()
    error = json.loads(reply.read())["error"]
    connection.close()
    assert (reply.status, error["type"]) == (404, "not_found_error")
    assert "/v1/" in error["message"]
    assert proxy.upstream.seen == []


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/v1/chat/completions", "/nothing"])
@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
def test_web_pages_of_others_reach_nothing(
    proxied: Running, path: str, headers: dict[str, str]
) -> None:
    """A rebound name or a foreign origin is refused on every path, before a key is spent."""
    proxy = proxied.answering(LIST)
    reply = httpx.post(f"{proxy.url}{path}", headers=headers, json={"messages": []})
    assert reply.status_code == 403
    assert reply.json()["error"]["code"] == "host_not_allowed"
    assert proxy.upstream.seen == []
    assert proxy.rows() == []


def test_models_are_listed_by_the_provider_that_is_asked(proxied: Running) -> None:
    """Both SDKs list models through the same path, each at its own provider."""
    proxy = proxied.answering(LIST)
    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="k") as client:
        assert list(client.models.list()) == []
    with anthropic.Anthropic(base_url=proxy.url, api_key="k") as other:
        assert list(other.models.list()) == []
    assert [seen.target.partition("?")[0] for seen in proxy.upstream.seen] == ["/v1/models"] * 2
    assert proxy.upstream.seen[0].header("anthropic-version") == []
    assert proxy.upstream.seen[1].header("anthropic-version") != []
    assert proxy.rows() == []


def test_other_calls_pass_untouched(proxied: Running) -> None:
    """Embeddings, token counts, unknown paths and methods: bytes, query and status pass."""
    answer = Answer(status=207, headers=[*JSON, ("x-request-id", "r")], parts=LIST.parts)
    proxy = proxied.answering(answer)
    body = b'{"input": "x",  "budget": 7}'
    for method, path in [
        ("POST", "/v1/embeddings"), ("POST", "/v1/messages/count_tokens"),
        ("PATCH", "/v1/a%2Fb%20c..d?a=%20b&c"), ("POST", "/openai/deployments/d/embeddings?v=1"),
    ]:  # fmt: skip
        reply = httpx.request(
            method, f"{proxy.url}{path}", content=body, headers={"x-budget-agent": "a"}
        )
        seen = proxy.upstream.seen[-1]
        assert (seen.method, seen.target, seen.body) == (method, path, body)
        assert seen.header("x-budget-agent") == []
        assert (reply.status_code, reply.content) == (207, answer.parts[0])
        assert reply.headers["x-request-id"] == "r"
    assert proxy.rows() == []


def test_no_body_is_said_to_be_none(proxied: Running) -> None:
    """A POST without a body has a length all the same; a GET has none."""
    proxy = proxied.answering(LIST)
    httpx.post(f"{proxy.url}/v1/responses/r/cancel")
    httpx.get(f"{proxy.url}/v1/models")
    assert [seen.header("content-length") for seen in proxy.upstream.seen] == [["0"], []]


def test_azure_deployments_are_calls(proxied: Running) -> None:
    """Azure's path is kept, query and all, and its calls are planned like others."""
    proxy = proxied.answering(LIST)
    path = "/openai/deployments/d/chat/completions?api-version=2026-10-01"
    reply = httpx.post(f"{proxy.url}{path}", json={"messages": []}, headers={"api-key": "mine"})
    seen = proxy.upstream.seen[0]
    assert (seen.target, seen.header("api-key")) == (path, ["mine"])
    assert "x-budget-call-id" in reply.headers
    assert proxy.row().api == "openai.chat"


def test_a_compressed_answer_that_passes_through_stays_compressed(proxied: Running) -> None:
    """What we do not read we do not unpack; the coding is agreed between the two ends."""
    packed = gzip.compress(b"embedded", mtime=0)
    proxy = proxied.answering(Answer(headers=[("content-encoding", "gzip")], parts=[packed]))
    url = f"{proxy.url}/v1/embeddings"
    with httpx.stream("POST", url, headers={"accept-encoding": "gzip"}) as reply:
        assert b"".join(reply.iter_raw()) == packed
        assert reply.headers["content-encoding"] == "gzip"
    assert proxy.upstream.seen[0].header("accept-encoding") == ["gzip"]


def test_redirects_are_the_caller_s(proxied: Running) -> None:
    """A redirect is relayed; keys are not carried elsewhere by us."""
    proxy = proxied.answering(
        Answer(status=302, headers=[("location", "http://127.0.0.1:9/x")], parts=[])
    )
    reply = httpx.get(f"{proxy.url}/v1/files/f/content")
    assert (reply.status_code, reply.headers["location"]) == (302, "http://127.0.0.1:9/x")
    assert len(proxy.upstream.seen) == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_large_uploads_are_streamed(proxied: Running, *, chunked: bool) -> None:
    """A file larger than what calls may send passes, in whichever framing it came."""
    proxy = proxied.answering(LIST)
    piece = bytes(range(256)) * 8192  # 2 MiB
    content: Any = iter([piece] * 20) if chunked else piece * 20
    reply = httpx.post(f"{proxy.url}/v1/files", content=content, timeout=30)
    seen = proxy.upstream.seen[0]
    assert reply.content == LIST.parts[0]
    assert seen.body == piece * 20
    framing = ([], ["chunked"]) if chunked else ([str(len(piece) * 20)], [])
    assert (seen.header("content-length"), seen.header("transfer-encoding")) == framing


def test_an_upload_that_breaks_off_ends_upstream(proxied: Running) -> None:
    """A caller that leaves in the middle of its upload leaves nothing behind."""
    proxy = proxied.answering(LIST)

    def broken() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise KeyError

    with pytest.raises(KeyError):
        httpx.post(f"{proxy.url}/v1/files", content=broken())
    assert httpx.get(f"{proxy.url}/v1/models").content == LIST.parts[0]
    assert [seen.target for seen in proxy.upstream.seen] == ["/v1/models"]


def test_leaving_a_download_ends_it_upstream(proxied: Running) -> None:
    """What passes through is cut upstream too when its caller leaves."""
    proxy = proxied.answering(Answer(parts=[b"x" * 1000] * 200, pause=0.05))
    with httpx.stream("GET", f"{proxy.url}/v1/files/f/content") as reply:
        next(reply.iter_raw())
    assert proxy.upstream.seen[0].left.wait(1.0)


def test_an_answer_that_breaks_off_breaks_off(proxied: Running) -> None:
    """Half an answer is not passed on as a whole one."""
    proxy = proxied.answering(Answer(parts=[b"half"], cut=True))
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{proxy.url}/v1/files/f/content")


def test_websockets_are_refused_in_words(proxied: Running) -> None:
    """An upgrade gets a 501 that says what to use instead."""
    proxy = proxied.answering(LIST)
    headers = {"upgrade": "websocket", "connection": "Upgrade"}
    reply = httpx.get(f"{proxy.url}/v1/realtime?model=m", headers=headers)
    assert reply.status_code == 501
    assert "WebSocket" in reply.json()["error"]["message"]
    assert proxy.upstream.seen == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/realtime", "/v1/realtime/sessions", "/v1/realtime/calls",
        "/v1/realtime/calls/rtc_1/accept", "/v1/live/sessions", "/openai/realtimeapi/sessions",
        "/openai/v1/realtime/client_secrets", "/v1//realtime/client_secrets",
        "/v1/Realtime/client_secrets",
    ],
)  # fmt: skip
def test_the_realtime_api_is_refused_by_http_too(proxied: Running, path: str) -> None:
    """What it hands out would let a client speak with the model past the budget."""
    proxy = proxied.answering(LIST)
    reply = httpx.post(f"{proxy.url}{path}", json={"model": "gpt-realtime"})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"]) == (501, "realtime_not_supported")
    assert "chat completions" in error["message"]
    assert proxy.upstream.seen == []


def test_the_sdk_hears_the_refusal_once(proxied: Running) -> None:
    """It raises what it raises for such a status, and does not try again."""
    proxy = proxied.answering(LIST)
    asked: list[httpx2.Request] = []
    http = httpx2.Client(event_hooks={"request": [asked.append]})
    with (
        openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="k", http_client=http) as client,
        pytest.raises(openai.InternalServerError, match="realtime") as caught,
    ):
        client.realtime.client_secrets.create()
    assert (caught.value.status_code, caught.value.code) == (501, "realtime_not_supported")
    assert len(asked) == 1


def test_what_only_sounds_like_realtime_passes(proxied: Running) -> None:
    """A file or a model may be called so."""
    proxy = proxied.answering(LIST)
    for path in ("/v1/models/realtime", "/v1/files/live", "/v1/realtimes", "/v1/livestock"):
        assert httpx.get(f"{proxy.url}{path}").status_code == 200
    assert len(proxy.upstream.seen) == 4


@pytest.mark.parametrize("denial", [True, False])
async def test_servers_that_speak_websocket_hear_the_refusal(
    tmp_path: Path, *, denial: bool
) -> None:
    """Where the server can, the refusal is an HTTP answer; else the socket is closed."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    extensions: dict[str, Any] = {"websocket.http.response": {}} if denial else {}
    with Engine.open(f"sqlite:///{tmp_path / 'h.db'}") as engine:
        await create_app(engine)({"type": "websocket", "extensions": extensions}, receive, send)
    if denial:
        assert sent[0]["status"] == 501
        assert b"WebSocket" in sent[1]["body"]
    else:
        assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize("owned", [True, False])
async def test_the_beginning_and_the_end_of_a_server(tmp_path: Path, *, owned: bool) -> None:
    """At shutdown the history is flushed; an engine of the app's own is closed.

    In a process of its own what is loaded at the start is no longer the garbage collector's
    business, which would hold all streams up to look it through.
    """
    calls: list[str] = []
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[str] = []
    usual = gc.get_threshold()

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    with Engine.open(f"sqlite:///{tmp_path / 'h.db'}") as engine:
        for name in ("flush", "close"):
            setattr(engine, name, lambda name=name: calls.append(name))
        app = App(engine, owns_engine=owned, owns_process=owned)
        await app({"type": "lifespan"}, receive, send)
        del engine.flush, engine.close
    frozen, seldom = gc.get_freeze_count(), gc.get_threshold()
    gc.unfreeze()
    gc.set_threshold(*usual)
    assert (frozen > 0) is owned
    assert (seldom[0] > usual[0]) is owned
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert calls == (["close"] if owned else ["flush"])


def test_the_end_of_the_server_settles_what_it_cuts_off(tmp_path: Path) -> None:
    """A stream that outlasts the server's patience is settled as estimated, and written."""
    delta = {"choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]}
    stream = Answer(headers=EVENTS, parts=events(*[delta] * 200), pause=0.05)
    url = f"sqlite:///{tmp_path / 'h.db'}"
    with Upstream(lambda _: stream) as upstream, ExitStack() as stack:
        with (
            Engine.open(url, openai_base_url=upstream.url, holdout=0.0) as engine,
            served(create_app(engine), patience=0.2) as proxy,
        ):
            body = {"model": "m", "messages": [], "stream": True}
            call = httpx.stream("POST", f"{proxy}/v1/chat/completions", json=body)
            next(stack.enter_context(call).iter_raw())
        assert upstream.seen[0].left.wait(1)
    store = open_store(url)
    (row,) = store.calls()
    store.close()
    assert (row.finish_reason, row.exact) == ("cancelled", False)


def test_a_process_of_ours_has_its_threads_take_turns_often() -> None:
    """Else the thread that writes would wait too long for a loop that never rests."""
    before = sys.getswitchinterval()
    try:
        from_settings().engine.close()
        assert sys.getswitchinterval() == pytest.approx(0.0001)
    finally:
        sys.setswitchinterval(before)
