"""What the proxy adds to a call: ours beside a bare pass-through, in the same run.

    python benchmarks/proxy.py [--seconds 2] [--rounds 3] [--connections 8] [--json]

The floor is the least that a proxy on the same parts can do: uvicorn receives a body,
pyreqwest sends it on, the answer goes back; it reads, plans and remembers nothing. Both stand
before the same provider on loopback, each in a process of its own, and are loaded in turns;
the best round counts, for noise only ever adds. CPU is the server's own, user and system.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import uvicorn
from pyreqwest.client import ClientBuilder

PATH = "/v1/chat/completions"
CHUNKS = 50
TICKS = os.sysconf("SC_CLK_TCK")
PROCESSES = get_context("spawn")
_TEXT = "The quick brown fox jumps over the lazy dog while the builders look on. " * 13
_MESSAGE = {"role": "assistant", "content": _TEXT}
_ANSWER = json.dumps(
    {
        "id": "c", "object": "chat.completion", "model": "gpt-5.4",
        "choices": [{"index": 0, "finish_reason": "stop", "message": _MESSAGE}],
        "usage": {"prompt_tokens": 240, "completion_tokens": 190, "total_tokens": 430},
    }
).encode()  # fmt: skip
_DELTA = {"choices": [{"index": 0, "delta": {"content": " and so on"}, "finish_reason": None}]}
_LAST = {"choices": [], "usage": {"prompt_tokens": 240, "completion_tokens": CHUNKS}}


@dataclass(frozen=True)
class Measured:
    """One server under one kind of load: calls a second, CPU and median wait of a call."""

    rate: float
    cpu_us: float
    p50_ms: float


def request(*, stream: bool) -> bytes:
    """A chat call of 1 KB, as it goes over the wire."""
    body = json.dumps(
        {"model": "gpt-5.4", "stream": stream, "messages": [{"role": "user", "content": _TEXT}]}
    ).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer sk-none\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Provider(asyncio.Protocol):
    """Answers every call at once: by one object, or by a stream of events in chunks."""

    def __init__(self) -> None:
        self._buffer = b""
        parts = [f"data: {json.dumps(item)}\n\n".encode() for item in [_DELTA] * CHUNKS + [_LAST]]
        chunks = b"".join(
            b"%x\r\n%s\r\n" % (len(part), part) for part in [*parts, b"data: [DONE]\n\n"]
        )
        self._plain = (
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
        ) % (len(_ANSWER), _ANSWER)
        self._events = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n%s0\r\n\r\n" % chunks
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(rest) >= length:
            self._buffer = rest[length:]
            streams = b'"stream": true' in rest or b'"stream":true' in rest
            self._transport.write(self._events if streams else self._plain)


class Floor:
    """The least that a proxy does."""

    def __init__(self, upstream: str) -> None:
        self._url = upstream + PATH
        self._client = ClientBuilder().build()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the body on and the answer back, chunk by chunk."""
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        sending = (
            self._client.post(self._url)
            .headers([("content-type", "application/json")])
            .body_bytes(body)
            .streamed_read_buffer_limit(0)
        )
        async with sending.build_streamed() as answer:
            headers = [(b"content-type", answer.headers["content-type"].encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while (chunk := await answer.body_reader.read_chunk()) is not None:
                part = {"type": "http.response.body", "body": bytes(chunk), "more_body": True}
                await send(part)
        await send({"type": "http.response.body", "body": b""})


def provide(listener: socket.socket) -> None:
    """Run the provider."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Provider, sock=listener)
        await server.serve_forever()

    asyncio.run(run())


def serve_floor(listener: socket.socket, upstream: str) -> None:
    """Run the bare pass-through."""
    _uvicorn(Floor(upstream), listener, lifespan="off")


def serve_ours(listener: socket.socket, upstream: str, folder: str) -> None:
    """Run the proxy, on a history in this folder."""
    from budget_proxy.assemble import Engine
    from budget_proxy.proxy.app import create_app
    from budget_proxy.proxy.protocol import Protocol

    url = f"sqlite:///{Path(folder) / 'history.db'}"
    with Engine.open(url, openai_base_url=upstream) as engine:
        _uvicorn(create_app(engine), listener, lifespan="on", http=Protocol)


def _uvicorn(app: Any, listener: socket.socket, **options: Any) -> None:
    config = uvicorn.Config(app, log_level="warning", access_log=False, **options)
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def running(target: Callable[..., None], *arguments: str) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and process id."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    process = PROCESSES.Process(target=target, args=(listener, *arguments), daemon=True)
    process.start()
    try:
        yield listener.getsockname()[1], process.pid or 0
    finally:
        process.terminate()
        process.join(15)
        listener.close()


async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> None:
    """One call, to the end of its answer."""
    writer.write(sent)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert head.startswith(b"http/1.1 200"), head
    length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
    if length:
        await reader.readexactly(int(length))
    else:
        await reader.readuntil(b"\r\n0\r\n\r\n")


async def load(port: int, sent: bytes, seconds: float, connections: int) -> list[float]:
    """Call without a pause on every connection; the seconds that each call took."""
    took: list[float] = []
    until = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (start := time.perf_counter()) < until:
            await call(reader, writer, sent)
            took.append(time.perf_counter() - start)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return took


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used (Linux; nan elsewhere)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(port: int, pid: int, sent: bytes, seconds: float, connections: int) -> Measured:
    """One round of load."""
    before = cpu(pid)
    took = sorted(asyncio.run(load(port, sent, seconds, connections)))
    used = cpu(pid) - before
    return Measured(len(took) / seconds, used / len(took) * 1e6, took[len(took) // 2] * 1e3)


def in_turns(
    floor: tuple[int, int], ours: tuple[int, int], sent: bytes, given: argparse.Namespace
) -> dict[str, Measured]:
    """The best round of either, loaded in turns."""
    for port, _ in (floor, ours):  # connections and caches are warm after this
        asyncio.run(load(port, sent, 1.0, given.connections))
    rounds = [
        [measure(*server, sent, given.seconds, given.connections) for server in (floor, ours)]
        for _ in range(given.rounds)
    ]
    best = [min(of, key=lambda m: m.cpu_us) for of in zip(*rounds, strict=True)]
    return {"floor": best[0], "ours": best[1]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2.0, help="of load a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(provide) as (behind, _),
        running(serve_floor, f"http://127.0.0.1:{behind}") as floor,
        running(serve_ours, f"http://127.0.0.1:{behind}", folder) as ours,
    ):
        results = {
            kind: in_turns(floor, ours, request(stream=stream), given)
            for kind, stream in (("plain", False), (f"stream of {CHUNKS}", True))
        }
    show(results, as_json=given.json)


def show(results: dict[str, dict[str, Measured]], *, as_json: bool) -> None:
    """Print what was measured, with ours in multiples of the floor."""
    if as_json:
        facts = {kind: {who: vars(m) for who, m in pair.items()} for kind, pair in results.items()}
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
        return
    print(f"{'':14} {'':7} {'calls/s':>9} {'CPU us/call':>12} {'p50 ms':>8}")
    for kind, pair in results.items():
        for who, m in pair.items():
            print(f"{kind:14} {who:7} {m.rate:9.0f} {m.cpu_us:12.0f} {m.p50_ms:8.2f}")
        ratio = pair["ours"].cpu_us / pair["floor"].cpu_us
        added = pair["ours"].cpu_us - pair["floor"].cpu_us
        print(f"{kind:14} ours / floor {ratio:.2f} in CPU, {added:+.0f} us a call")


if __name__ == "__main__":
    main()
