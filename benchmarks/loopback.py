"""Servers on loopback, each in a process of its own, so that their CPU is nobody else's.

A provider that answers at once, the proxy, and the least that a proxy on the same parts can
do: uvicorn receives a body, pyreqwest sends it on, the answer goes back; it reads, plans and
remembers nothing.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import uvicorn
from pyreqwest.client import ClientBuilder

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
CHUNKS = 50
MODELS = {CHAT: "gpt-5.4", MESSAGES: "claude-sonnet-5"}
_PROCESSES = get_context("spawn")
_TEXT = "The quick brown fox jumps over the lazy dog while the builders look on. " * 13
_USAGE = {"input_tokens": 240, "output_tokens": 190}
ANSWERS: dict[str, dict[str, Any]] = {
    CHAT: {
        "id": "c", "object": "chat.completion", "created": 1_790_000_000, "model": MODELS[CHAT],
        "choices": [{
            "index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": _TEXT},
        }],
        "usage": {"prompt_tokens": 240, "completion_tokens": 190, "total_tokens": 430},
    },
    MESSAGES: {
        "id": "m", "type": "message", "role": "assistant", "model": MODELS[MESSAGES],
        "content": [{"type": "text", "text": _TEXT}], "stop_reason": "end_turn",
        "stop_sequence": None, "usage": _USAGE,
    },
}  # fmt: skip
"""A plain answer of each API."""

_CHUNK = {
    "id": "c", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": MODELS[CHAT],
}  # fmt: skip
_SAID = {"index": 0, "delta": {"content": " and so on"}, "finish_reason": None}
_EVENTS: dict[str, list[dict[str, Any]]] = {
    CHAT: [
        *[{**_CHUNK, "choices": [_SAID]}] * CHUNKS,
        {**_CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**_CHUNK, "choices": [], "usage": ANSWERS[CHAT]["usage"]},
    ],
    MESSAGES: [
        {"type": "message_start", "message": {**ANSWERS[MESSAGES], "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{
            "type": "content_block_delta", "index": 0,
            "delta": {"type": "text_delta", "text": " and so on"},
        }] * CHUNKS,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": _USAGE},
        {"type": "message_stop"},
    ],
}  # fmt: skip


def _event(item: dict[str, Any]) -> bytes:
    """One server-sent event as one chunk of an HTTP answer."""
    name = f"event: {item['type']}\n" if "type" in item else ""
    part = f"{name}data: {json.dumps(item)}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(part), part)


class Provider(asyncio.Protocol):
    """Answers every call at once: by one object, or by a stream of events in chunks.

    Of a stream the first event goes at once, the others after a pause.
    """

    def __init__(self, pause: float) -> None:
        """``pause`` is in seconds."""
        self._buffer = b""
        self._pause = pause
        self._plain = {path: _plain(answer) for path, answer in ANSWERS.items()}
        self._events = {path: [_event(item) for item in items] for path, items in _EVENTS.items()}

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
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        path = MESSAGES if head.startswith(b"POST " + MESSAGES.encode()) else CHAT
        if b'"stream": true' in rest or b'"stream":true' in rest:
            self._stream(*self._events[path])
        else:
            self._transport.write(self._plain[path])

    def _stream(self, first: bytes, *others: bytes) -> None:
        head = (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        self._transport.write(head + first)
        rest = b"".join(others) + b"0\r\n\r\n"
        if self._pause:
            asyncio.get_running_loop().call_later(self._pause, self._transport.write, rest)
        else:
            self._transport.write(rest)


def _plain(answer: dict[str, Any]) -> bytes:
    content = json.dumps(answer).encode()
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: "
    return f"{head}{len(content)}\r\n\r\n".encode() + content


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


def provide(listener: socket.socket, pause: str = "0") -> None:
    """Run the provider; ``pause`` is in seconds."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Provider(float(pause)), sock=listener)
        await server.serve_forever()

    asyncio.run(run())


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
