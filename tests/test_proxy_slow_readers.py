"""Callers that do not read what they asked for: they alone wait, and nothing piles up."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, overload

import orjson
import pytest

from tests.proxied import EVENTS, Answer, Running, Seen, running
from tests.proxy_payloads import CHAT, HELLO, delta, plain
from tests.sockets import Connection, connected, request

MIB = 2**20
EVENT = b"data: " + orjson.dumps(delta("x" * (MIB // 16))) + b"\n\n"
USAGE = b"data: " + orjson.dumps({"choices": [], "usage": CHAT["usage"]}) + b"\n\n"
COUNT = 200 * MIB // len(EVENT)
KERNEL = 64 * MIB
"""More than the buffers of two connections hold on any Linux, far less than what is sent."""


class Flood(Sequence[bytes]):
    """The same event over and over, then usage; ``sent`` counts what the upstream got rid of."""

    def __init__(self) -> None:
        self.sent = 0

    def __len__(self) -> int:
        return COUNT + 1

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: Any) -> Any:
        """One part."""
        if index > COUNT:
            raise IndexError
        self.sent += len(EVENT)
        return EVENT if index < COUNT else USAGE


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One proxy for all tests of this module, which never gathers the evidence to act."""
    with running(tmp_path_factory.mktemp("proxy"), Answer()) as proxy:
        yield proxy


def flooding(proxied: Running) -> tuple[Running, Flood]:
    """An upstream that floods whoever asks for a stream or a file, and answers all others."""
    flood = Flood()

    def answer(seen: Seen) -> Answer:
        if seen.method == "GET" or seen.json.get("stream"):
            return Answer(headers=EVENTS, parts=flood)
        return plain(CHAT)

    return proxied.answering(answer), flood


def stalled(flood: Flood) -> int:
    """What was sent until, once it had begun, nothing moved for half a second."""
    deadline = time.monotonic() + 20
    sent, since = 0, time.monotonic()
    while (not sent or time.monotonic() - since < 0.5) and time.monotonic() < deadline:
        if flood.sent != sent:
            sent, since = flood.sent, time.monotonic()
        time.sleep(0.02)
    return sent


def resident() -> int:
    """Bytes of memory that this process holds: the proxy, its upstream and its callers."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def ask(connection: Connection, path: str) -> None:
    """Ask for the flood with a small window, and do not read."""
    connection.plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    body = {
        "model": "gpt-5.4", "messages": HELLO, "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    if path.startswith("/v1/files"):
        connection.send(request("GET", path))
    else:
        connection.send(request("POST", path, orjson.dumps(body)))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files/f/content"])
def test_a_caller_that_does_not_read_stops_its_upstream(proxied: Running, path: str) -> None:
    """200 MB wait at the provider: memory stays, others are served, and all of it arrives later."""
    proxy, flood = flooding(proxied)
    with connected(proxy.url) as slow:
        before = resident()
        ask(slow, path)
        held = stalled(flood)
        assert len(EVENT) < held < KERNEL
        for _ in range(20):
            with connected(proxy.url) as other:
                body = orjson.dumps({"model": "gpt-5.4", "messages": HELLO})
                other.send(request("POST", "/v1/chat/completions", body))
                assert other.reply().status == 200
        assert flood.sent < KERNEL
        assert resident() - before < KERNEL
        reply = slow.reply()
    assert reply.status == 200
    assert len(reply.body) == COUNT * len(EVENT) + len(USAGE)
    assert reply.body == EVENT * COUNT + USAGE
    metered = [row for row in proxy.rows() if row.stream]
    assert [(row.exact, row.output_tokens) for row in metered] == (
        [(True, 3)] if "chat" in path else []
    )


def test_a_caller_that_never_reads_and_leaves_ends_it_upstream(proxied: Running) -> None:
    """Within a second, though its connection was full; what was seen is settled as an estimate."""
    proxy, flood = flooding(proxied)
    with connected(proxy.url) as slow:
        ask(slow, "/v1/chat/completions")
        stalled(flood)
    assert proxy.upstream.seen[0].left.wait(1.0)
    row = proxy.row()
    assert (row.finish_reason, row.exact) == ("cancelled", False)
    assert flood.sent < KERNEL


def test_many_that_do_not_read_hold_up_nobody(proxied: Running) -> None:
    """Ten stalled streams at once, and a caller that is served all the same."""
    proxy, flood = flooding(proxied)
    with ExitStack() as stack:
        before = resident()
        for _ in range(10):
            ask(stack.enter_context(connected(proxy.url)), "/v1/chat/completions")
        stalled(flood)
        assert resident() - before < KERNEL
        started = time.monotonic()
        other = stack.enter_context(connected(proxy.url))
        body = orjson.dumps({"model": "gpt-5.4", "messages": HELLO})
        other.send(request("POST", "/v1/chat/completions", body))
        assert other.reply().status == 200
        assert time.monotonic() - started < 5
    streams = [seen for seen in proxy.upstream.seen if seen.json.get("stream")]
    assert len(streams) == 10
    assert all(seen.left.wait(2) for seen in streams)
