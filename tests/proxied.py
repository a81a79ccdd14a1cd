"""The proxy between real clients and an upstream that answers by script, all on loopback.

The upstream is written on bare sockets, because tests ask of it what no framework allows: to
cut an answer short, to say nothing, and to tell when its caller went away.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
import uvicorn

from budget_proxy.assemble import Engine
from budget_proxy.proxy.app import App, create_app
from budget_proxy.proxy.protocol import Protocol
from budget_proxy.types import CallRecord

JSON = (("content-type", "application/json"),)
EVENTS = (("content-type", "text/event-stream; charset=utf-8"),)

_SOON = 0.01
"""Seconds between two looks at whether a server is to end, or has."""


@dataclass
class Seen:
    """One request as it arrived; ``left`` is set when its connection closed."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    left: threading.Event = field(default_factory=threading.Event)

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What to answer: ``parts`` one by one, ``pause`` seconds between them, after ``delay``.

    ``cut`` closes the connection before the end, ``silent`` never answers at all.
    """

    status: int = 200
    headers: Sequence[tuple[str, str]] = JSON
    parts: Sequence[bytes] = (b"{}",)
    pause: float = 0.0
    delay: float = 0.0
    cut: bool = False
    silent: bool = False


def events(*payloads: Any, named: bool = False, done: bool = False) -> list[bytes]:
    """Server-sent events, one part each."""
    parts = []
    for payload in payloads:
        name = f"event: {payload['type']}\n" if named else ""
        parts.append(f"{name}data: {json.dumps(payload)}\n\n".encode())
    return [*parts, b"data: [DONE]\n\n"] if done else parts


class Upstream:
    """A provider on loopback. ``answer`` maps a request to what is answered.

    ``under_way`` counts the requests that are not answered to their end.
    """

    def __init__(self, answer: Callable[[Seen], Answer]) -> None:
        self.seen: list[Seen] = []
        self.answer = answer
        self.under_way = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._connection(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=2**27, backlog=2048)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # closing takes a turn of the loop

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        seen = await _request(reader)
        self.seen.append(seen)
        answer = self.answer(seen)
        leaving = asyncio.ensure_future(_gone(reader, seen))
        self.under_way += 1
        try:
            if answer.silent:
                await leaving
                return False
            if answer.delay:
                await asyncio.wait({leaving}, timeout=answer.delay)
            await self._write(writer, answer, leaving)
        finally:
            self.under_way -= 1
            leaving.cancel()
            await asyncio.wait({leaving})
        return not answer.cut and not seen.left.is_set()

    async def _write(
        self, writer: asyncio.StreamWriter, answer: Answer, leaving: asyncio.Future[None]
    ) -> None:
        lines = [f"HTTP/1.1 {answer.status} Whatever"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        lines.append("transfer-encoding: chunked")
        if leaving.done():
            return
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for part in answer.parts:
            if leaving.done():
                return
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
            await asyncio.sleep(answer.pause)
        if not answer.cut:
            writer.write(b"0\r\n\r\n")
            await writer.drain()


async def _gone(reader: asyncio.StreamReader, seen: Seen) -> None:
    with suppress(ConnectionError):
        await reader.read(1)
    seen.left.set()


async def _request(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    seen = Seen(method, target, headers, b"")
    if seen.header("transfer-encoding") == ["chunked"]:
        while size := int(await reader.readline(), 16):
            seen.body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        seen.body = await reader.readexactly(int((seen.header("content-length") or ["0"])[0]))
    return seen


@dataclass
class Running:
    """A proxy that is up: its address, its engine, and what stands behind it."""

    url: str
    engine: Engine
    app: App
    upstream: Upstream
    first_row: int = 0

    def answering(self, answer: Answer | Callable[[Seen], Answer]) -> Running:
        """The same proxy, before an upstream that answers like this from now on."""
        self.upstream.answer = _responder(answer)
        self.upstream.seen.clear()
        self.engine.faults.clear()
        self.first_row = max((row.id or 0 for row in self._stored()), default=0)
        return self

    def rows(self, *, expected: int = 0, within: float = 3.0) -> list[CallRecord]:
        """The history, from where the upstream's present answer was set.

        So many rows are waited for: an SDK may be done with a stream before the proxy is.
        """
        deadline = time.monotonic() + within
        while True:
            rows = [row for row in self._stored() if (row.id or 0) > self.first_row]
            if len(rows) >= expected or time.monotonic() > deadline:
                return rows
            time.sleep(0.02)

    def row(self) -> CallRecord:
        """The only row of the history, as soon as it is there."""
        rows = self.rows(expected=1)
        assert len(rows) == 1
        return rows[0]

    def _stored(self) -> list[CallRecord]:
        self.engine.flush()
        return list(self.engine.store.calls())


@contextmanager
def running(
    folder: Path, answer: Answer | Callable[[Seen], Answer], **settings: Any
) -> Iterator[Running]:
    """A proxy served by uvicorn in a thread, before an upstream that answers like this."""
    with _no_settings(), Upstream(_responder(answer)) as upstream:
        values: dict[str, Any] = {
            "openai_base_url": upstream.url, "anthropic_base_url": f"{upstream.url}/v1",
            "holdout": 0.0, "evidence": 100_000,
        }  # fmt: skip
        with (
            Engine.open(f"sqlite:///{folder / 'history.db'}", **{**values, **settings}) as engine,
            served(app := create_app(engine)) as url,
        ):
            yield Running(url, engine, app, upstream)


@contextmanager
def _no_settings() -> Iterator[None]:
    """For module-wide proxies, which start before the surroundings of a test are set."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("BUDGET_PROXY_", "OPENAI_", "ANTHROPIC_")):
                patch.delenv(name)
        yield


def _responder(answer: Answer | Callable[[Seen], Answer]) -> Callable[[Seen], Answer]:
    return (lambda _: answer) if isinstance(answer, Answer) else answer


class _Server(uvicorn.Server):
    """Ends as uvicorn does, but soon: that looks ten times a second whether it is to, and waits."""

    async def main_loop(self) -> None:
        """Run until it is to end."""
        await self.on_tick(0)
        while not self.should_exit:  # noqa: ASYNC110 (another thread says so)
            await asyncio.sleep(_SOON)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of idle connections, wait for the others, and end the app."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while state.connections or state.tasks:  # noqa: ASYNC110 (uvicorn has no event)
                    await asyncio.sleep(_SOON)
        except TimeoutError:
            for task in state.tasks:
                task.cancel()
        await self.lifespan.shutdown()


@contextmanager
def served(app: Any, *, patience: float = 2.0) -> Iterator[str]:
    """The address of an ASGI app, served by uvicorn in a thread until the block ends.

    Calls that then are under way have ``patience`` seconds.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app, log_level="critical", lifespan="on", ws="none", http=Protocol,
        access_log=False, date_header=False, server_header=False,
    )  # fmt: skip
    server = _Server(config)
    server.config.timeout_graceful_shutdown = patience  # type: ignore[assignment] # any number will do
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
