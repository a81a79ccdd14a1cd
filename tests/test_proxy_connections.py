"""What HTTP/1.1 allows on a connection, and what it does not, by hand over bare sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import orjson
import pytest

from budget_proxy.transport.coding import MAX_BODY
from tests.proxied import Answer, Running, Seen, running
from tests.proxy_payloads import CHAT, HELLO, MESSAGE, plain
from tests.sockets import chunked, connected, request

CALL = orjson.dumps({"model": "gpt-5.4", "messages": HELLO})
CHATS = "/v1/chat/completions"
ROOMY = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}], "pad": "%s"}'


def padded(size: int) -> bytes:
    """A call of exactly that many bytes."""
    return ROOMY % (b"x" * (size - len(ROOMY) + 2))


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


def test_a_connection_serves_one_request_after_another(proxied: Running) -> None:
    """Calls, what passes through and what we answer ourselves take turns on one connection."""
    proxy = proxied.answering(plain(CHAT))
    with connected(proxy.url) as connection:
        for _ in range(3):
            for path in (CHATS, "/v1/embeddings", "/healthz", "/nothing"):
                connection.send(request("POST", path, CALL))
                reply = connection.reply()
                assert reply.status == (404 if path == "/nothing" else 200)
                assert reply.header("connection") == []
    assert len(proxy.upstream.seen) == 6
    assert len(proxy.rows()) == 3


@pytest.mark.parametrize("status", [400, 429, 500, 529])
def test_an_error_does_not_end_a_connection(proxied: Running, status: int) -> None:
    """Neither a provider's error nor one of ours does."""
    told = b'{"error": {"message": "no"}}'
    with connected(proxied.url) as connection:
        proxied.answering(Answer(status=status, parts=[told]))
        connection.send(request("POST", CHATS, CALL))
        assert connection.reply().status == status
        connection.send(request("POST", CHATS, b'{"messages": [], "budget": "much"}'))
        assert connection.reply().status == 400
        proxied.answering(plain(CHAT))
        connection.send(request("POST", CHATS, CALL))
        assert orjson.loads(connection.reply().body) == CHAT


def test_pipelined_requests_are_answered_in_their_order(proxied: Running) -> None:
    """Three that come at once, of which the first takes longest."""

    def slowest_first(seen: Seen) -> Answer:
        number = seen.json["n"]
        time.sleep(0.3 if number == 1 else 0)
        return plain({**CHAT, "id": str(number)})

    proxy = proxied.answering(slowest_first)
    calls = [orjson.dumps({"model": "m", "messages": [], "n": number}) for number in (1, 2, 3)]
    with connected(proxy.url) as connection:
        connection.send(b"".join(request("POST", CHATS, call) for call in calls))
        ids = [orjson.loads(connection.reply().body)["id"] for _ in calls]
    assert ids == ["1", "2", "3"]
    assert len(proxy.rows()) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/models HTTP/9.9\r\nhost: localhost\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: many\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nz\r\n",
        request("POST", "/v1/messages", b"{}", transfer_encoding="chunked"),
        b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx y: z\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=["words", "version", "length", "chunk", "both framings", "header", "tls"],
)
def test_what_is_no_http_is_refused_and_harms_nobody(proxied: Running, wrong: bytes) -> None:
    """A 400, and the end of that connection; the proxy goes on, and no provider is asked."""
    proxy = proxied.answering(plain(CHAT))
    with connected(proxy.url) as connection:
        connection.send(wrong)
        assert connection.rest().startswith(b"HTTP/1.1 400 ")
    assert proxy.upstream.seen == []
    assert httpx.post(f"{proxy.url}{CHATS}", content=CALL).json() == CHAT


def test_half_a_request_asks_nobody(proxied: Running) -> None:
    """A caller that leaves in the middle of its body leaves nothing behind."""
    proxy = proxied.answering(plain(CHAT))
    with connected(proxy.url) as connection:
        connection.send(request("POST", CHATS, CALL)[:-5])
    with connected(proxy.url) as connection:
        connection.send(request("POST", CHATS, CALL))
        assert connection.reply().status == 200
    assert len(proxy.upstream.seen) == 1


# -- Expect: 100-continue -----------------------------------------------------------------------


@pytest.mark.parametrize("path", [CHATS, "/v1/embeddings"])
def test_a_caller_that_asks_first_is_told_to_go_on(proxied: Running, path: str) -> None:
    """100, then its body, then the answer; the connection goes on, and `Expect` is ours alone."""
    proxy = proxied.answering(plain(CHAT))
    with connected(proxy.url) as connection:
        for _ in range(2):
            asks = request("POST", path, CALL, Expect="100-Continue")
            connection.send(asks.removesuffix(CALL))
            assert connection.head() == (100, [])
            connection.send(CALL)
            reply = connection.reply()
            assert (reply.status, orjson.loads(reply.body)) == (200, CHAT)
            assert reply.header("connection") == []
    assert [seen.body for seen in proxy.upstream.seen] == [CALL, CALL]
    assert [seen.header("expect") for seen in proxy.upstream.seen] == [[], []]


def test_a_caller_that_asks_first_and_then_sends_in_chunks(proxied: Running) -> None:
    """As curl does with what comes from a pipe."""
    proxy = proxied.answering(plain(CHAT))
    asks = request("POST", CHATS, Expect="100-continue", Transfer_Encoding="chunked")
    with connected(proxy.url) as connection:
        connection.send(asks.replace(b"content-length: 0\r\n", b""))
        assert connection.head() == (100, [])
        connection.send(chunked(CALL, 7))
        assert connection.reply().status == 200
    assert proxy.upstream.seen[0].body == CALL


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [(CHATS, MAX_BODY + 1, 413), ("/v1/messages", 10**12, 413), ("/nothing", 9, 404),
     ("/v1/realtime", 9, 501)],
)  # fmt: skip
def test_a_caller_that_asks_first_hears_the_refusal_before_it_sends(
    proxied: Running, path: str, length: int, status: int
) -> None:
    """What is refused anyway is not sent, and ends the connection: what comes next is unclear."""
    proxy = proxied.answering(plain(MESSAGE))
    asks = request("POST", path, Expect="100-continue")
    with connected(proxy.url) as connection:
        connection.send(asks.replace(b"content-length: 0", b"content-length: %d" % length))
        reply = connection.reply()
        assert (reply.status, reply.header("connection")) == (status, ["close"])
        assert connection.ended()
    assert proxy.upstream.seen == []


# -- large bodies, and chunks -------------------------------------------------------------------


@pytest.mark.parametrize("path", [CHATS, "/v1/responses", "/v1/messages"])
@pytest.mark.parametrize("in_chunks", [False, True], ids=["whole", "chunked"])
def test_bodies_up_to_the_limit_pass_and_one_byte_more_does_not(
    proxied: Running, path: str, in_chunks: bool
) -> None:
    """32 MiB to the byte, in either framing; the refusal is read on the same connection."""
    proxy = proxied.answering(plain(MESSAGE if "messages" in path else CHAT))
    largest, longer = padded(MAX_BODY), padded(MAX_BODY + 1)
    assert (len(largest), len(longer)) == (MAX_BODY, MAX_BODY + 1)
    with connected(proxy.url) as connection:
        for body, status in ((largest, 200), (longer, 413), (CALL, 200)):
            if in_chunks:
                head = request("POST", path, Transfer_Encoding="chunked")
                connection.send(head.replace(b"content-length: 0\r\n", b""), chunked(body, 2**16))
            else:
                connection.send(request("POST", path, body))
            reply = connection.reply()
            assert reply.status == status, reply.body[:200]
            if status == 413:
                assert str(MAX_BODY) in orjson.loads(reply.body)["error"]["message"]
    assert [len(seen.body) for seen in proxy.upstream.seen] == [MAX_BODY, len(CALL)]
    assert proxy.upstream.seen[0].body == largest


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_call_may_come_in_chunks_of_any_size(proxied: Running, size: int) -> None:
    """Extensions and trailers of chunks are the connection's; the body goes on whole."""
    proxy = proxied.answering(plain(CHAT))
    head = request("POST", CHATS, Transfer_Encoding="chunked").replace(
        b"content-length: 0\r\n", b""
    )
    body = chunked(CALL, size).replace(b"\r\n", b";note=1\r\n", 1)
    with connected(proxy.url) as connection:
        connection.send(head, body.removesuffix(b"\r\n") + b"x-trailer: 1\r\n\r\n")
        assert connection.reply().status == 200
        connection.send(request("POST", CHATS, CALL))
        assert connection.reply().status == 200
    first = proxy.upstream.seen[0]
    assert first.body == CALL
    assert first.header("content-length") == [str(len(CALL))]
    assert first.header("transfer-encoding") == first.header("x-trailer") == []


# -- upgrades -----------------------------------------------------------------------------------


OFFER = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAMAAABk"}


@pytest.mark.parametrize("in_chunks", [False, True], ids=["whole", "chunked"])
def test_an_offer_to_speak_http_2_is_passed_over(proxied: Running, in_chunks: bool) -> None:
    """Java's client and curl --http2 make it on any call: it is answered in HTTP/1.1."""
    proxy = proxied.answering(plain(CHAT))
    call = request("POST", CHATS, CALL, **OFFER)
    if in_chunks:
        head = request("POST", CHATS, transfer_encoding="chunked", **OFFER)
        call = head.replace(b"content-length: 0\r\n", b"") + chunked(CALL, 9)
    with connected(proxy.url) as connection:
        connection.send(call[:30])
        time.sleep(0.05)
        connection.send(call[30:-5])
        time.sleep(0.05)
        connection.send(call[-5:], call, request("POST", CHATS, CALL))
        for _ in range(3):
            reply = connection.reply()
            assert (reply.status, orjson.loads(reply.body)) == (200, CHAT)
            assert reply.header("connection") == []
    for seen in proxy.upstream.seen:
        assert seen.body == CALL
        assert seen.header("upgrade") == seen.header("connection") == []
        assert seen.header("http2-settings") == []


def test_an_offer_may_wait_for_leave_to_send_its_body(proxied: Running) -> None:
    """Both at once: the leave is given, and the body read."""
    proxy = proxied.answering(plain(CHAT))
    with connected(proxy.url) as connection:
        connection.send(request("POST", CHATS, CALL, Expect="100-continue", **OFFER)[: -len(CALL)])
        assert connection.head() == (100, [])
        connection.send(CALL)
        assert connection.reply().status == 200


def test_a_tunnel_is_none_of_ours(proxied: Running) -> None:
    """A proxy for HTTP in general is something else."""
    proxy = proxied.answering(plain(CHAT))
    with connected(proxy.url) as connection:
        connection.send(b"CONNECT localhost:443 HTTP/1.1\r\nhost: localhost:443\r\n\r\n")
        status, _ = connection.head()
    assert status in {400, 404}
    assert proxy.upstream.seen == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/realtime?model=gpt-realtime", "realtime_not_supported"),
        ("/openai/realtime?api-version=1&deployment=d", "realtime_not_supported"),
        ("/v1/live/sessions/s/attach", "realtime_not_supported"),
        ("/v1/responses", "websocket_not_supported"),
        ("/v1/anything", "websocket_not_supported"),
    ],
)
def test_a_websocket_s_handshake_is_refused_in_words(
    proxied: Running, path: str, code: str
) -> None:
    """A 501 in the provider's shape that says not to try again; the connection goes on."""
    proxy = proxied.answering(plain(CHAT))
    handshake = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==", "Authorization": "Bearer sk",
    }  # fmt: skip
    with connected(proxy.url) as connection:
        connection.send(request("GET", path, **handshake))
        reply = connection.reply()
        error = orjson.loads(reply.body)["error"]
        assert (reply.status, error["code"], error["type"]) == (501, code, "server_error")
        assert "WebSocket" in error["message"]
        assert reply.header("x-should-retry") == ["false"]
        connection.send(request("POST", CHATS, CALL))
        assert connection.reply().status == 200
    assert len(proxy.upstream.seen) == 1
