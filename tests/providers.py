"""A provider at the network's far end: it records what reaches it, and answers by a script.

It speaks the three dialects, plain and streamed, behind a mock transport of either HTTP
library, or over a real connection on loopback.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import httpx2
import trustme

from tests import provider_answers as say
from tests.provider_answers import Answer

PATHS = {
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
    "anthropic.messages": "/v1/messages",
}

AUTHORITY = trustme.CA()
"""Signs the certificate that a provider shows; made anew for every test run."""


@dataclass(frozen=True)
class Seen:
    """A request as it reached the provider. Header names are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes
    query: str = ""

    @property
    def body(self) -> dict[str, Any]:
        """Its JSON object."""
        body = json.loads(self.content)
        assert isinstance(body, dict)
        return body


@dataclass(frozen=True)
class Reply:
    """What goes back: the content in the pieces in which it is sent; ``cut`` if it breaks off."""

    status: int
    headers: dict[str, str]
    pieces: list[bytes]
    answer: Answer

    @property
    def cut(self) -> bool:
        """Whether the connection is lost at the end."""
        return self.answer.cut is not None


@dataclass
class ScriptedProvider:
    """Answers each request by the next of ``script``, and by ``answer`` when that is empty.

    With ``honours_caps`` an answer longer than the request's cap is cut off there. ``others``
    are the JSON answers to what is no call, by method and path; ``before`` is told of each
    request before it is answered.
    """

    answer: Answer = field(default_factory=Answer)
    script: deque[Answer] = field(default_factory=deque)
    requests: list[Seen] = field(default_factory=list)
    honours_caps: bool = True
    others: dict[tuple[str, str], Any] = field(default_factory=dict)
    before: Callable[[Seen], None] = lambda _: None

    def then(self, *answers: Answer) -> ScriptedProvider:
        """Add to the script."""
        self.script.extend(answers)
        return self

    @property
    def last(self) -> Seen:
        """The newest request."""
        return self.requests[-1]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The JSON objects of all requests."""
        return [seen.body for seen in self.requests]

    def reply(self, seen: Seen) -> Reply:
        """Record a request and answer it, whatever it came by."""
        self.before(seen)
        self.requests.append(seen)
        dialect = next((api for api, end in PATHS.items() if seen.path.endswith(end[3:])), None)
        if seen.method != "POST" or dialect is None:
            other = self.others.get((seen.method, seen.path), {"object": "list", "data": []})
            return _json_reply(other, self.answer)
        answer = self.script.popleft() if self.script else self.answer
        if answer.error is not None:
            wrong = say.anthropic_error if dialect == "anthropic.messages" else say.openai_error
            return _json_reply(wrong(*answer.error), answer)
        if self.honours_caps:
            answer = answer.under(seen.body)
        plain, streamed = _DIALECTS[dialect]
        if seen.body.get("stream") is True:
            return _event_reply(dialect, list(streamed(answer, seen.body)), answer)
        return _json_reply(plain(answer, seen.body), answer)

    def transport(self, family: ModuleType = httpx2) -> Any:
        """A mock transport of ``httpx`` or ``httpx2``, sync and async."""
        return family.MockTransport(self.handler(family))

    def handler(self, family: ModuleType = httpx2) -> Callable[[Any], Any]:
        """The handler of a mock transport. Delays are left out; a ``timeout`` is raised."""
        library: Any = family

        def handle(request: Any) -> Any:
            headers = {name.lower(): text for name, text in request.headers.items()}
            path, query = request.url.path, request.url.query.decode()
            reply = self.reply(Seen(request.method, path, headers, request.content, query))
            if reply.answer.timeout:
                raise library.ReadTimeout("the provider did not answer", request=request)
            stream = _byte_stream(library, reply)
            return library.Response(reply.status, headers=reply.headers, stream=stream)

        return handle

    @contextmanager
    def serve(self, *, tls: bool = False) -> Iterator[str]:
        """A real HTTP server on loopback, for as long as the block lasts; its base URL.

        With ``tls`` it shows a certificate of AUTHORITY's, which nobody trusts by default.
        """
        handler = type("Handler", (_Handler,), {"provider": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(5)


_DIALECTS: dict[str, tuple[Callable[..., Any], Callable[..., Iterator[Any]]]] = {
    "openai.chat": (say.chat, say.chat_events),
    "openai.responses": (say.responses, say.responses_events),
    "anthropic.messages": (say.messages, say.messages_events),
}


def _json_reply(payload: Mapping[str, Any], answer: Answer) -> Reply:
    content = json.dumps(payload).encode()
    headers = {"content-type": "application/json", "content-length": str(len(content))}
    return Reply(answer.status, {**headers, **answer.headers}, [content], answer)


def _event_reply(dialect: str, events: list[Any], answer: Answer) -> Reply:
    named = dialect != "openai.chat"
    pieces = [
        (f"event: {event['type']}\n" if named else "").encode()
        + b"data: "
        + json.dumps(event).encode()
        + b"\n\n"
        for event in events
    ]
    if dialect == "openai.chat":
        pieces.append(b"data: [DONE]\n\n")
    if answer.inserted is not None:
        at, inserted = answer.inserted
        pieces.insert(at, inserted)
    headers = {"content-type": "text/event-stream", "cache-control": "no-cache"}
    return Reply(answer.status, {**headers, **answer.headers}, pieces[: answer.cut], answer)


def _byte_stream(library: Any, reply: Reply) -> Any:
    class Pieces(library.SyncByteStream, library.AsyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            yield from reply.pieces
            if reply.cut:
                raise library.ReadError("the connection was lost")

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for piece in self:
                yield piece

    return Pieces()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: ScriptedProvider

    def do_GET(self) -> None:
        self._answer(b"")

    def do_DELETE(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._content())

    def log_message(self, *_: Any) -> None:
        """Say nothing: what was asked is in ``requests``."""

    def _content(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, content: bytes) -> None:
        headers = {name.lower(): text for name, text in self.headers.items()}
        path, _, query = self.path.partition("?")
        reply = self.provider.reply(Seen(self.command, path, headers, content, query))
        time.sleep(reply.answer.delay)
        self.send_response(reply.status)
        chunked = "content-length" not in reply.headers
        if chunked:
            self.send_header("transfer-encoding", "chunked")
        for name, text in reply.headers.items():
            self.send_header(name, text)
        self.end_headers()
        with suppress(OSError):  # the client left
            self._write(reply, chunked=chunked)
            return
        self.close_connection = True

    def _write(self, reply: Reply, *, chunked: bool) -> None:
        for piece in reply.pieces:
            size = f"{len(piece):x}\r\n".encode()
            self.wfile.write(size + piece + b"\r\n" if chunked else piece)
            self.wfile.flush()
        if reply.cut:
            self.close_connection = True
        elif chunked:
            self.wfile.write(b"0\r\n\r\n")
