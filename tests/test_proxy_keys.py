"""Virtual keys through a real proxy: what real SDKs get, and what the provider sees."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from budget_proxy.store import issuing
from tests.proxied import EVENTS, Answer, Running, Seen, running
from tests.proxy_payloads import (
    CHAT,
    CHAT_STREAM,
    HELLO,
    MESSAGE,
    MESSAGE_STREAM,
    RESPONSE,
    plain,
)

OURS = {"OPENAI_API_KEY": "sk-ours", "ANTHROPIC_API_KEY": "sk-ant-ours"}
BODY = {"model": "gpt-5.4", "messages": HELLO}
CLAUDE: Any = {"model": "claude-sonnet-5-5", "messages": HELLO, "max_tokens": 99}
PATHS = {
    "/v1/chat/completions": BODY,
    "/v1/responses": {"model": "gpt-5.4", "input": "hello"},
    "/v1/messages": CLAUDE,
    "/v1/embeddings": {"model": "gpt-5.4", "input": "hello"},
}


def say(seen: Seen) -> Answer:
    """What each API answers, plain or streamed."""
    streams = b'"stream":true' in seen.body.replace(b" ", b"")
    if seen.target.startswith("/v1/messages"):
        return Answer(headers=EVENTS, parts=MESSAGE_STREAM) if streams else plain(MESSAGE)
    if seen.target.startswith("/v1/responses"):
        return plain(RESPONSE)
    if seen.target.startswith(("/v1/chat", "/openai/")):
        return Answer(headers=EVENTS, parts=CHAT_STREAM) if streams else plain(CHAT)
    return plain({"object": "list", "data": []})


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, with keys of its own at both providers."""
    with running(tmp_path_factory.mktemp("keys"), say, **OURS) as proxy:
        issuing.create(proxy.engine.store, "first", time.time())
        yield proxy


@pytest.fixture
def proxied(module: Running) -> Running:
    """The same, with nothing seen yet."""
    return module.answering(say)


def key(proxy: Running, **given: Any) -> str:
    """A key that is made now."""
    return issuing.create(proxy.engine.store, "Ann", time.time(), **given).secret


def gpt(proxy: Running, token: str) -> openai.OpenAI:
    """OpenAI's client, with a virtual key in place of a provider's."""
    return openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=token, max_retries=0)


def claude(proxy: Running, **given: Any) -> anthropic.Anthropic:
    """Anthropic's client, likewise."""
    return anthropic.Anthropic(base_url=proxy.url, max_retries=0, **given)


def post(proxy: Running, path: str, token: str, **given: Any) -> httpx.Response:
    """A request with a bearer token."""
    body = given.pop("json", PATHS.get(path))
    headers = {"authorization": f"Bearer {token}", **given.pop("headers", {})}
    return httpx.post(f"{proxy.url}{path}", json=body, headers=headers, **given)


def only_ours(seen: Seen, token: str, credential: tuple[str, str]) -> None:
    """Check that the provider got our key alone, and nothing of the virtual one."""
    names = ("authorization", "x-api-key", "api-key")
    found = [(name, value) for name in names for value in seen.header(name)]
    assert found == [credential]
    whole = repr((seen.target, seen.headers, seen.body))
    assert token[3:19] not in whole
    assert token[20:] not in whole


# -- SDKs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_openai_s_client_with_a_virtual_key(proxied: Running, stream: bool) -> None:
    """The provider sees our key; the row has the virtual one's id."""
    token = key(proxied)
    with gpt(proxied, token) as client:
        answer: Any = client.chat.completions.create(model="gpt-5.4", messages=HELLO, stream=stream)
        parts = list(answer) if stream else [answer]
    assert parts[0].id in {"c", "chatcmpl-1"}
    (seen,) = proxied.upstream.seen
    only_ours(seen, token, ("authorization", "Bearer sk-ours"))
    row = proxied.row()
    assert (row.key, row.output_tokens) == (token[:19], 3)


def test_responses_and_what_is_no_call_with_a_virtual_key(proxied: Running) -> None:
    """Also what passes untouched, and what is asked for without a body."""
    token = key(proxied)
    with gpt(proxied, token) as client:
        assert client.responses.create(model="gpt-5.4", input="hello").output_text == "Hi."
        assert list(client.models.list()) == []
        assert client.embeddings.create(model="e", input="x", encoding_format="float").data == []
        assert client.responses.retrieve("resp_1").id == "resp_1"
    assert len(proxied.upstream.seen) == 4
    for seen in proxied.upstream.seen:
        only_ours(seen, token, ("authorization", "Bearer sk-ours"))
    assert proxied.row().key == token[:19]


@pytest.mark.parametrize("given", ["api_key", "auth_token"])
@pytest.mark.parametrize("stream", [False, True])
def test_anthropic_s_client_with_a_virtual_key(
    proxied: Running, given: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In either of the headers that it sends keys in."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    token = key(proxied)
    facts: dict[str, Any] = {given: token}
    with claude(proxied, **facts) as client:
        answer: Any = client.messages.create(**CLAUDE, stream=stream)
        parts = list(answer) if stream else [answer]
    assert parts
    (seen,) = proxied.upstream.seen
    only_ours(seen, token, ("x-api-key", "sk-ant-ours"))
    assert (proxied.row().key, proxied.row().output_tokens) == (token[:19], 3)


def test_azure_s_client_with_a_virtual_key(proxied: Running) -> None:
    """It sends keys in a header of its own, and models in the path."""
    token = key(proxied, models=("gpt-5*",))
    with openai.AzureOpenAI(
        azure_endpoint=proxied.url, api_key=token, api_version="2026-10-01", max_retries=0
    ) as client:
        client.chat.completions.create(model="gpt-5.4", messages=HELLO)
        with pytest.raises(openai.PermissionDeniedError, match="not for the model 'o-big'"):
            client.chat.completions.create(model="o-big", messages=HELLO)
    (seen,) = proxied.upstream.seen
    only_ours(seen, token, ("api-key", "sk-ours"))


def test_sdks_raise_their_own_errors_for_keys_that_are_none(proxied: Running) -> None:
    """401 is an authentication error in both, and is not tried again."""
    with (
        openai.OpenAI(base_url=f"{proxied.url}/v1", api_key="bk_none", max_retries=2) as client,
        pytest.raises(openai.AuthenticationError) as error,
    ):
        client.chat.completions.create(model="m", messages=HELLO)
    assert error.value.code == "invalid_api_key"
    assert error.value.type == "authentication_error"
    with claude(proxied, api_key="bk_none") as other, pytest.raises(anthropic.AuthenticationError):
        other.messages.create(**CLAUDE)
    assert proxied.upstream.seen == []
    assert proxied.rows() == []


# -- who is let in ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*PATHS, "/v1/audio/speech", "/openai/v1/chat/completions"])
def test_without_a_good_key_nothing_reaches_a_provider(proxied: Running, path: str) -> None:
    """In each provider's shape, with the same answer whatever is wrong with the key."""
    store = proxied.engine.store
    gone = issuing.create(store, "gone", time.time())
    issuing.revoke(store, gone.key.id, time.time())
    over = issuing.create(store, "over", time.time() - 60, seconds=5.0)
    good = key(proxied)
    bodies = set()
    for token in (gone.secret, over.secret, good[:-1] + "z", good[:20] + "0" * 64, "bk_made-up"):
        reply = post(proxied, path, token, json={"model": "m"})
        assert (reply.status_code, reply.headers["x-should-retry"]) == (401, "false")
        assert reply.headers["www-authenticate"] == "Bearer"
        bodies.add(reply.text)
    (text,) = bodies
    error = json.loads(text)
    assert error["error"]["type"] == "authentication_error"
    assert (error.get("type") == "error") == (path == "/v1/messages")
    none = httpx.post(f"{proxied.url}{path}", json={"model": "m"})
    assert (none.status_code, none.json()["error"]["type"]) == (401, "authentication_error")
    assert proxied.upstream.seen == []


def raw(proxy: Running, *headers: tuple[bytes, bytes]) -> int:
    """The status of a call with headers as they stand, repeated or no text at all."""
    body = json.dumps(BODY).encode()
    connection = HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/v1/chat/completions")
    for name, value in (*headers, (b"content-length", b"%d" % len(body))):
        connection.putheader(name.decode(), value)
    connection.endheaders(body)
    status = connection.getresponse().status
    connection.close()
    return status


def test_hostile_headers_open_nothing(proxied: Running) -> None:
    """Bytes that are no text, keys without end, two headers that disagree, other schemes."""
    token = key(proxied).encode()
    good = (b"authorization", b"Bearer " + token)
    assert raw(proxied, good) == 200
    proxied.answering(say)
    for headers in (
        [(b"authorization", b"Bearer \xff\xfe" + token)],
        [(b"authorization", b"Bearer " + token + b"\xff")],
        [(b"authorization", b"Bearer " + token + b"\x00")],
        [(b"authorization", b"Bearer " + token * 300)],
        [(b"authorization", b"Basic " + token)],
        [(b"authorization", b"Digest " + token)],
        [(b"authorization", token)],
        [(b"proxy-authorization", b"Bearer " + token)],
        [(b"cookie", b"authorization=" + token)],
        [good, (b"authorization", b"Bearer sk-other")],
        [good, (b"x-api-key", b"sk-other")],
        [good, (b"api-key", token[:-1] + (b"1" if token.endswith(b"0") else b"0"))],
        [good, (b"AUTHORIZATION", b"")],
    ):
        assert raw(proxied, *headers) in {400, 401}, headers
    assert proxied.upstream.seen == []
    assert proxied.rows() == []


def test_nobody_calls_in_another_s_name(proxied: Running) -> None:
    """Neither a header nor the body can say which key it is; both are refused."""
    token, other = key(proxied), key(proxied)
    for given in (
        {"headers": {"x-budget-key": other[:19]}},
        {"json": {**BODY, "budget": {"key": other[:19]}}},
    ):
        reply = post(proxied, "/v1/chat/completions", token, **given)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_budget")
    headers = {"x-budget-user": other[:19], "x-budget-session": "s", "x-budget-tags": "a,b"}
    assert post(proxied, "/v1/chat/completions", token, headers=headers).status_code == 200
    row = proxied.row()
    assert (row.key, row.tags) == (token[:19], ("a", "b"))


def test_sessions_of_two_keys_are_two(proxied: Running) -> None:
    """The same words from two callers are no conversation."""
    for token in (key(proxied), key(proxied)):
        assert post(proxied, "/v1/chat/completions", token).status_code == 200
    rows = proxied.rows(expected=2)
    assert len({row.session for row in rows}) == len({row.key for row in rows}) == 2


def test_health_stays_open_but_says_little(proxied: Running) -> None:
    """A load balancer needs no key; strangers are not told what stands where."""
    found = httpx.get(f"{proxied.url}/healthz")
    assert (found.status_code, set(found.json())) == (200, {"status", "version"})


def test_a_proxy_without_keys_of_its_own_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The virtual key goes nowhere; each provider's client raises what it raises for a fault."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    with running(tmp_path, say, ANTHROPIC_API_KEY="sk-ant-ours") as proxy:
        token = key(proxy)
        for path in ("/v1/chat/completions", "/v1/embeddings"):
            reply = post(proxy, path, token)
            error = reply.json()["error"]
            assert (reply.status_code, error["code"]) == (503, "provider_key_missing")
            assert "set OPENAI_API_KEY" in error["message"]
        assert proxy.upstream.seen == []
        with claude(proxy, api_key=token) as client:
            client.messages.create(**CLAUDE)
        only_ours(proxy.upstream.seen[0], token, ("x-api-key", "sk-ant-ours"))


def test_without_keys_callers_use_their_own_as_before(tmp_path: Path) -> None:
    """The first key ends that, while the proxy runs; what looks like one never passes."""
    with running(tmp_path, say) as proxy:
        own = {"authorization": "Bearer sk-own"}
        assert httpx.post(f"{proxy.url}/v1/chat/completions", json=BODY, headers=own).is_success
        assert proxy.upstream.seen[0].header("authorization") == ["Bearer sk-own"]
        assert proxy.row().key is None
        assert post(proxy, "/v1/chat/completions", "bk_other-proxy").status_code == 401
        assert len(proxy.upstream.seen) == 1
        key(proxy)
        deadline = time.monotonic() + 5
        while httpx.post(f"{proxy.url}/v1/chat/completions", json=BODY, headers=own).is_success:
            assert time.monotonic() < deadline
            time.sleep(0.05)


# -- models -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**BODY, "model": "o-big"}),
        ("/v1/chat/completions", {"messages": HELLO}),
        ("/v1/chat/completions", {**BODY, "model": None}),
        ("/v1/chat/completions", {**BODY, "model": ["gpt-5"]}),
        ("/v1/chat/completions", {**BODY, "Model": "o-big"}),
        ("/v1/chat/completions", {**BODY, "models": ["gpt-5", "o-big"]}),
        ("/v1/responses", {"prompt": {"id": "pmpt_1"}, "input": "x"}),
        ("/v1/responses", {"model": "gpt-5", "tools": [{"type": "x", "model": "o-big"}]}),
        ("/v1/messages", CLAUDE),
        ("/v1/messages", {**CLAUDE, "model": "gpt-5", "fallbacks": [{"model": "claude-big"}]}),
        ("/v1/messages/count_tokens", CLAUDE),
        ("/v1/embeddings", {"model": "text-embedding-9", "input": "x"}),
        ("/v1/batches", {"input_file_id": "file_1", "endpoint": "/v1/chat/completions"}),
        ("/v1/batches", {"model": "gpt-5", "input_file_id": "file_1"}),
        ("/v1/messages/batches", {"model": "gpt-5", "requests": [{"params": CLAUDE}]}),
        ("/v1/evals/eval_1/runs", {"model": "gpt-5", "data_source": {"model": "o-big"}}),
        ("/v1/files", ["no", "object"]),
        ("/openai/deployments/o-big/chat/completions?api-version=1", BODY),
        ("/openai/deployments/o%2Dbig/embeddings", {"model": "gpt-5", "input": "x"}),
    ],
)
def test_a_key_for_some_models_is_for_no_others(proxied: Running, path: str, body: Any) -> None:
    """However the other is named, or none is; the answer names what is allowed."""
    token = key(proxied, models=("gpt-5*", "auto"))
    reply = post(proxied, path, token, json=body)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"]) == (403, "permission_error")
    assert "gpt-5*, auto" in error["message"]
    assert (reply.json().get("type") == "error") == path.startswith("/v1/messages")
    assert proxied.upstream.seen == []
    assert proxied.rows() == []


def test_what_a_key_is_for_passes(proxied: Running) -> None:
    """Calls, embeddings, compressed bodies, deletions of nothing, lists; our key alone goes up."""
    token = key(proxied, models=("gpt-5*",))
    headers = {"authorization": f"Bearer {token}"}
    packed = {**headers, "content-encoding": "gzip", "content-type": "application/json"}
    with httpx.Client(base_url=proxied.url, headers=headers) as client:
        for path in ("/v1/chat/completions", "/v1/responses", "/v1/embeddings"):
            assert client.post(path, json=PATHS[path]).status_code == 200
        for path in ("/v1/chat/completions", "/v1/embeddings"):
            content = gzip.compress(json.dumps(PATHS[path]).encode())
            assert client.post(path, content=content, headers=packed).status_code == 200
        assert client.get("/v1/models").status_code == 200
        assert client.get("/v1/responses/resp_1").status_code == 200
        assert client.post("/v1/responses/resp_1/cancel").status_code == 200
        assert client.delete("/v1/files/file_1").status_code == 403
    assert len(proxied.upstream.seen) == 8
    for seen in proxied.upstream.seen:
        only_ours(seen, token, ("authorization", "Bearer sk-ours"))
        assert seen.header("content-encoding") == []


def test_what_was_checked_is_what_is_sent(proxied: Running) -> None:
    """A body that names two models, one of which some servers would take: it has one then."""
    token = key(proxied, models=("gpt-5*",))
    for path in ("/v1/chat/completions", "/v1/embeddings"):
        content = b'{"model": "o-big", "messages": [], "input": "x", "model": "gpt-5"}'
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        reply = httpx.post(f"{proxied.url}{path}", content=content, headers=headers)
        assert reply.status_code == 200
    for seen in proxied.upstream.seen:
        assert b"o-big" not in seen.body
        assert seen.json["model"] == "gpt-5"


def test_forms_and_broken_bodies_name_no_model(proxied: Running) -> None:
    """What cannot be read is not sent on with a key for some models; with one for all it is."""
    scoped, free = key(proxied, models=("whisper*",)), key(proxied)
    files = {"file": ("a.wav", b"RIFF")}
    for token, status in ((scoped, 403), (free, 200)):
        reply = httpx.post(
            f"{proxied.url}/v1/audio/transcriptions", files=files, data={"model": "whisper-9"},
            headers={"authorization": f"Bearer {token}"},
        )  # fmt: skip
        assert reply.status_code == status
    for content in (b"{", b"", b"\xff", b'{"model": NaN}'):
        reply = httpx.post(
            f"{proxied.url}/v1/chat/completions", content=content,
            headers={"authorization": f"Bearer {scoped}", "content-type": "application/json"},
        )  # fmt: skip
        assert reply.status_code == 403
    assert len(proxied.upstream.seen) == 1


@pytest.mark.parametrize("depth", [200, 900, 950, 1000, 1020, 5_000])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings"])
def test_bodies_without_a_bottom_are_no_fault_of_ours(
    proxied: Running, path: str, depth: int
) -> None:
    """Sent on while they can be written anew, else refused."""
    token = key(proxied, models=("gpt-5*",))
    content = b'{"model": "gpt-5", "messages": [], "x": %s1%s}' % (b"[" * depth, b"]" * depth)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    status = httpx.post(f"{proxied.url}{path}", content=content, headers=headers).status_code
    assert status == 200 if depth == 200 else status in {200, 403}
    assert len(proxied.upstream.seen) == (status == 200)


# -- while calls run ----------------------------------------------------------------------------


class Callers:
    """Threads that call without end, with the newest of some keys, until they are refused."""

    def __init__(self, proxy: Running, token: str, threads: int = 6) -> None:
        self.tokens = [token]
        self.done: list[str] = []
        self.refused: list[tuple[str, int]] = []
        self._proxy = proxy
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(threads)
        self._running = [self._pool.submit(self._call) for _ in range(threads)]

    def go_on(self, calls: int = 24) -> None:
        """Wait until so many more have ended."""
        wanted, deadline = len(self.done) + calls, time.monotonic() + 60
        while len(self.done) < wanted and not self.refused:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def end(self, *, refused: bool = False) -> None:
        """Have them stop, or wait until each was refused."""
        if not refused:
            self._stop.set()
        for one in self._running:
            one.result(60)
        self._pool.shutdown()

    def _call(self) -> None:
        with httpx.Client(base_url=self._proxy.url) as client:
            while not self._stop.is_set():
                token = self.tokens[-1]
                reply = client.post("/v1/chat/completions", json=BODY, headers={"x-api-key": token})
                if reply.status_code != 200:
                    self.refused.append((token, reply.status_code))
                    return
                self.done.append(token)


def test_rotation_with_a_grace_costs_no_call(proxied: Running) -> None:
    """Callers change over while both secrets hold; then the old one ends."""
    store = proxied.engine.store
    issued = issuing.create(store, "Ann", time.time())
    callers = Callers(proxied, issued.secret)
    for _ in range(3):
        callers.go_on()
        again = issuing.rotate(store, issued.key.id, time.time(), grace=3600.0)
        callers.go_on()
        callers.tokens.append(again.secret)
    callers.go_on()
    callers.end()
    assert callers.refused == []
    assert len(set(callers.done)) == 4
    rows = proxied.rows(expected=len(callers.done))
    assert len(rows) == len(callers.done)
    assert {row.key for row in rows} == {issued.key.id}
    last = issuing.rotate(store, issued.key.id, time.time())
    assert post(proxied, "/v1/chat/completions", last.secret).status_code == 200
    assert post(proxied, "/v1/chat/completions", again.secret).status_code == 401


def test_revocation_stops_calls_within_a_second_or_so(proxied: Running) -> None:
    """Amid calls: all are refused then, and every row is one that was let in."""
    store = proxied.engine.store
    issued = issuing.create(store, "Ann", time.time())
    callers = Callers(proxied, issued.secret)
    callers.go_on()
    assert callers.refused == []
    issuing.revoke(store, issued.key.id, time.time())
    began = time.monotonic()
    callers.end(refused=True)
    assert time.monotonic() - began < 10  # a second or so; a busy machine takes longer
    assert callers.refused == [(issued.secret, 401)] * 6
    rows = proxied.rows(expected=len(callers.done))
    assert len(rows) == len(callers.done) >= 24
    assert post(proxied, "/v1/chat/completions", issued.secret).status_code == 401


def test_a_stream_that_began_goes_on(proxied: Running) -> None:
    """A key that ends meanwhile cuts nobody off."""
    begun = Answer(headers=EVENTS, parts=CHAT_STREAM, pause=0.5)
    proxied.answering(begun)
    issued = issuing.create(proxied.engine.store, "Ann", time.time())
    headers = {"x-api-key": issued.secret}
    body = {**BODY, "stream": True}
    with httpx.stream(
        "POST", f"{proxied.url}/v1/chat/completions", json=body, headers=headers
    ) as reply:
        issuing.revoke(proxied.engine.store, issued.key.id, time.time())
        got = b"".join(reply.iter_raw())
    assert got.endswith(b"[DONE]\n\n")
    assert proxied.row().key == issued.key.id
