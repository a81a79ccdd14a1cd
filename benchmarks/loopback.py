"""Servers on loopback, each in a process of its own, so that their CPU is nobody else's.

A provider, the proxy, and the least that a proxy on the same parts can
do: uvicorn receives a body, pyreqwest sends it on, the answer goes back; it reads, plans and
remembers nothing.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import trustme
import uvicorn
from answers import CHAT, MESSAGES, events, plain
from pyreqwest.client import ClientBuilder

_PROCESSES = get_context("spawn")


class Provider(asyncio.Protocol):
    """Answers every call, ``think`` seconds after it came: by one object, or by a stream.

    Of a stream the second event comes after a ``pause``, the others a ``gap`` apart (seconds).
    """

    def __init__(self, think: float, pause: float, gap: float) -> None:
        self._buffer = b""
        self._think, self._pause, self._gap = think, pause, gap
        self._loop = asyncio.get_running_loop()

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
        head = head.lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        path = MESSAGES if head.startswith(b"post " + MESSAGES.encode()) else CHAT
        if b'"stream": true' in rest or b'"stream":true' in rest:
            self._after(self._think, *_stream(path))
        else:
            packed = b"gzip" in head.partition(b"accept-encoding:")[2].split(b"\r\n")[0]
            self._after(self._think, _plain(path, packed))

    def _after(self, seconds: float, first: bytes, *others: bytes) -> None:
        if seconds:
            self._loop.call_later(seconds, self._write, first, others)
        else:
            self._write(first, others)

    def _write(self, first: bytes, others: tuple[bytes, ...]) -> None:
        self._transport.write(first)
        if others and self._gap:
            self._after(self._gap, *others)
        elif others:
            self._after(self._pause, b"".join(others))


@cache
def _plain(path: str, packed: bool) -> bytes:  # noqa: FBT001 (of a cache)
    return plain(path, packed=packed)


@cache
def _stream(path: str) -> list[bytes]:
    return events(path)


class Floor:
    """The least that a proxy does."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._client = ClientBuilder().build()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the body on and the answer back, chunk by chunk."""
        if scope["type"] != "http":
            return
        body = (await receive())["body"]
        sending = (
            self._client.post(self._upstream + scope["path"])
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


def provide(
    listener: socket.socket, think: str = "0", pause: str = "0", gap: str = "0", cert: str = ""
) -> None:
    """Run the provider (times in seconds), with TLS where ``cert`` names a certificate."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Provider(float(think), float(pause), float(gap)),
            sock=listener, ssl=_tls(cert) if cert else None,
        )  # fmt: skip
        await server.serve_forever()

    asyncio.run(run())


def _tls(cert: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert)
    return context


@contextmanager
def certified() -> Iterator[str]:
    """A certificate for loopback, as a file that clients trust for the time being."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        cert, trusted = Path(folder) / "cert.pem", Path(folder) / "trusted.pem"
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(cert)
        authority.cert_pem.write_to_path(trusted)
        os.environ["SSL_CERT_FILE"] = str(trusted)
        try:
            yield str(cert)
        finally:
            del os.environ["SSL_CERT_FILE"]


def serve_floor(listener: socket.socket, upstream: str) -> None:
    """Run the bare pass-through."""
    _uvicorn(Floor(upstream), listener, lifespan="off")


def serve_ours(listener: socket.socket, upstream: str, folder: str) -> None:
    """Run the proxy, on the history in this folder."""
    from budget_proxy.assemble import Engine
    from budget_proxy.proxy.app import create_app

    url = f"sqlite:///{Path(folder) / 'history.db'}"
    with Engine.open(url, openai_base_url=upstream, anthropic_base_url=upstream) as engine:
        _uvicorn(create_app(engine), listener, lifespan="on")


def _uvicorn(app: Any, listener: socket.socket, **options: Any) -> None:
    config = uvicorn.Config(app, log_level="warning", access_log=False, **options)
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def running(target: Callable[..., None], *arguments: str) -> Iterator[tuple[int, int]]:
    """A server in a process of its own: its port and process id."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    process = _PROCESSES.Process(target=target, args=(listener, *arguments), daemon=True)
    process.start()
    try:
        yield listener.getsockname()[1], process.pid or 0
    finally:
        process.terminate()
        process.join(15)
        listener.close()
