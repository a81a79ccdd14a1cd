"""Every header that providers and SDKs are known to use, both ways, over bare connections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.proxied import EVENTS, JSON, Answer, Running, Seen, running
from tests.proxy_payloads import CHAT_STREAM, HELLO, MESSAGE, MESSAGE_STREAM, plain
from tests.sockets import Reply, connected

PATHS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "messages": "/v1/messages?beta=true",
    "azure": "/openai/deployments/d/chat/completions?api-version=1",
    "azure v1": "/openai/v1/responses",
    "no call": "/v1/embeddings",
    "retrieval": "/v1/responses/resp_1/cancel",
}

FORWARDED = {
    "accept": "application/json",
    "anthropic-beta": "a-2026-01-01,b-2026-01-01",
    "anthropic-dangerous-direct-browser-access": "true",
    "anthropic-user-profile-id": "p",
    "anthropic-version": "2026-10-21",
    "anthropic-workspace-id": "w",
    "api-key": "azure-key",
    "authorization": "Bearer sk-callers",
    "content-type": "application/json; charset=utf-8",
    "idempotency-key": "stainless-python-retry-1",
    "openai-beta": "assistants=v2",
    "openai-organization": "org",
    "openai-project": "proj",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate": "a=1,b=2",
    "user-agent": "OpenAI/Python 3.54.0",
    "x-api-key": "sk-ant-callers",
    "x-client-request-id": "mine",
    "x-stainless-arch": "x64",
    "x-stainless-async": "false",
    "x-stainless-helper-method": "stream",
    "x-stainless-lang": "python",
    "x-stainless-os": "Linux",
    "x-stainless-package-version": "3.54.0",
    "x-stainless-read-timeout": "600",
    "x-stainless-retry-count": "1",
    "x-stainless-runtime": "CPython",
    "x-stainless-runtime-version": "3.11.7",
    "x-stainless-timeout": "600",
    "x-something-new": "caf\xe9",
}
DROPPED = {
    "connection": "keep-alive, X-Mine",
    "expect": "100-continue",
    "keep-alive": "timeout=5",
    "proxy-authenticate": "Basic",
    "proxy-authorization": "Basic secret",
    "proxy-connection": "keep-alive",
    "te": "trailers",
    "trailer": "x-late",
    "upgrade": "h2c",
    "x-budget-agent": "a",
    "x-budget-session": "s",
    "x-mine": "1",
}
RETURNED = {
    "anthropic-organization-id": "o",
    "anthropic-ratelimit-input-tokens-limit": "1",
    "anthropic-ratelimit-output-tokens-remaining": "2",
    "anthropic-ratelimit-requests-limit": "3",
    "anthropic-ratelimit-requests-reset": "2026-11-27T00:00:00Z",
    "anthropic-ratelimit-tokens-remaining": "4",
    "anthropic-workspace-id": "w",
    "cf-ray": "8f",
    "openai-model": "gpt-5.4",
    "openai-organization": "org",
    "openai-processing-ms": "12",
    "openai-version": "2020-10-01",
    "request-id": "req_1",
    "retry-after": "7",
    "retry-after-ms": "7000",
    "set-cookie": "__cf_bm=1; path=/",
    "x-ratelimit-limit-requests": "10",
    "x-ratelimit-limit-tokens": "20",
    "x-ratelimit-remaining-requests": "9",
    "x-ratelimit-remaining-tokens": "19",
    "x-ratelimit-reset-requests": "1s",
    "x-ratelimit-reset-tokens": "6m0s",
    "x-request-id": "req_2",
    "x-should-retry": "false",
    "x-something-new": "1",
}
KEPT_BACK = {
    "connection": "X-Theirs",
    "keep-alive": "timeout=9",
    "proxy-authenticate": "Basic",
    "te": "trailers",
    "trailer": "x-late",
    "upgrade": "h2c",
    "x-theirs": "1",
}
BODY = orjson.dumps({"model": "m", "messages": HELLO, "max_tokens": 50})


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


def lowered(seen: Seen) -> dict[str, str]:
    """A request's headers, names in lower case."""
    return {name.lower(): value for name, value in seen.headers}


def ask(proxy: Running, path: str, headers: dict[str, str], body: bytes = BODY) -> Reply:
    """Ask with these headers, as they are written."""
    told = {"Host": "localhost", "Content-Length": str(len(body)), **headers}
    head = "\r\n".join([f"POST {path} HTTP/1.1", *(f"{k}: {v}" for k, v in told.items()), "", ""])
    with connected(proxy.url) as connection:
        connection.send(head.encode("latin-1"), body)
        if "expect" in told:
            assert connection.head()[0] == 100
        return connection.reply()


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_what_reaches_the_provider(proxied: Running, path: str) -> None:
    """All of the caller's headers, none of its connection's, and none that it did not send."""
    proxy = proxied.answering(plain(MESSAGE))
    ask(proxy, path, {**FORWARDED, **DROPPED, "accept-encoding": "gzip, deflate"})
    seen = proxy.upstream.seen[0]
    codings = "gzip, deflate" if path == PATHS["no call"] else "identity"
    expected = {
        **FORWARDED,
        "accept-encoding": codings,
        "content-length": str(len(BODY)),
        "host": proxy.upstream.url.removeprefix("http://"),
        "x-something-new": "caf\xc3\xa9",  # what is no UTF-8 is carried on as UTF-8
    }
    assert lowered(seen) == expected
    assert len(seen.headers) == len(expected)
    assert seen.target == path


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_nothing_is_made_up_for_a_caller_that_says_nothing(proxied: Running, path: str) -> None:
    """No version and no key: the provider sees how little came."""
    proxy = proxied.answering(plain(MESSAGE))
    ask(proxy, path, {})
    reached = lowered(proxy.upstream.seen[0])
    assert reached.pop("accept", None) == "*/*"
    assert "pyreqwest" in reached.pop("user-agent")  # servers turn away those that have none
    assert reached.pop("accept-encoding", "identity") == "identity"
    assert set(reached) == {"host", "content-length"}


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_what_reaches_the_caller(proxied: Running, path: str, status: int) -> None:
    """All of the provider's headers, none of its connection's, and ours on top of a call's."""
    headers = [*JSON, *RETURNED.items(), ("set-cookie", "b=2"), *KEPT_BACK.items()]
    proxy = proxied.answering(Answer(status=status, headers=headers, parts=plain(MESSAGE).parts))
    reply = ask(proxy, path, {})
    theirs = [item for item in reply.headers if not item[0].startswith("x-budget-")]
    framing = ("content-length", "transfer-encoding")
    wanted = [*JSON, *RETURNED.items(), ("set-cookie", "b=2")]
    assert sorted(item for item in theirs if item[0] not in framing) == sorted(wanted)
    assert reply.status == status
    ours = [name for name, _ in reply.headers if name.startswith("x-budget-")]
    assert bool(ours) == (path not in {PATHS["no call"], PATHS["retrieval"]})


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_what_reaches_the_caller_of_a_stream(proxied: Running, path: str) -> None:
    """The same; and no cache or web server in between is to hold the stream back."""
    parts = MESSAGE_STREAM if "messages" in path else CHAT_STREAM
    headers = [*EVENTS, *RETURNED.items(), *KEPT_BACK.items(), ("cache-control", "private")]
    proxy = proxied.answering(Answer(headers=headers, parts=parts))
    body = orjson.dumps({"model": "m", "messages": HELLO, "max_tokens": 50, "stream": True})
    reply = ask(proxy, path, {}, body)
    theirs = [item for item in reply.headers if not item[0].startswith("x-budget-")]
    assert sorted(theirs) == sorted(
        [
            *EVENTS, *RETURNED.items(), ("cache-control", "no-cache"), ("x-accel-buffering", "no"),
            ("transfer-encoding", "chunked"),
        ]
    )  # fmt: skip
    assert reply.header("x-budget-call-id") == [proxy.row().call_id]


# -- keys ---------------------------------------------------------------------------------------

CREDENTIALS = [
    {"authorization": "Bearer sk-callers"},
    {"x-api-key": "sk-ant-callers"},
    {"api-key": "azure-key"},
    {"authorization": "Bearer sk-callers", "x-api-key": "sk-ant-callers"},
    {},
]


def credentials(proxy: Running) -> dict[str, str]:
    """The credentials that reached the provider."""
    names = {"authorization", "x-api-key", "api-key"}
    reached = lowered(proxy.upstream.seen[-1])
    return {name: value for name, value in reached.items() if name in names}


@pytest.mark.parametrize("sent", CREDENTIALS, ids=lambda sent: "+".join(sent) or "none")
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_without_a_key_of_ours_the_caller_s_form_stays(
    proxied: Running, path: str, sent: dict[str, str]
) -> None:
    """Either form, both, or none: it is the provider's to judge."""
    proxy = proxied.answering(plain(MESSAGE))
    ask(proxy, path, sent)
    assert credentials(proxy) == sent


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A proxy with keys of its own for both providers."""
    keys = {"OPENAI_API_KEY": "sk-ours", "ANTHROPIC_API_KEY": "sk-ant-ours"}
    folder: Path = tmp_path_factory.mktemp("keyed")
    with running(folder, Answer(), **keys) as proxy:
        yield proxy


@pytest.mark.parametrize("sent", CREDENTIALS, ids=lambda sent: "+".join(sent) or "none")
@pytest.mark.parametrize(
    ("path", "version", "expected"),
    [
        ("/v1/chat/completions", None, {"authorization": "Bearer sk-ours"}),
        ("/v1/responses", None, {"authorization": "Bearer sk-ours"}),
        ("/v1/responses/resp_1/cancel", None, {"authorization": "Bearer sk-ours"}),
        ("/v1/messages", "2023-06-01", {"x-api-key": "sk-ant-ours"}),
        ("/v1/messages", "2026-10-21", {"x-api-key": "sk-ant-ours"}),
        ("/v1/messages/count_tokens", None, {"x-api-key": "sk-ant-ours"}),
        ("/v1/models", "2023-06-01", {"x-api-key": "sk-ant-ours"}),
        ("/openai/deployments/d/chat/completions", None, {"api-key": "sk-ours"}),
    ],
)
def test_a_key_of_ours_takes_the_place_of_every_form(
    keyed: Running, path: str, version: str | None, expected: dict[str, str], sent: dict[str, str]
) -> None:
    """In the form that the provider takes on that path, and it is the only one."""
    proxy = keyed.answering(plain(MESSAGE))
    reply = ask(proxy, path, {**sent, **({"anthropic-version": version} if version else {})})
    assert credentials(proxy) == expected
    assert "ours" not in str(reply)
