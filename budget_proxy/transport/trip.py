"""One request's trip through the exchange, neither sync nor async: what both drivers share.

It turns the messages of an HTTP library (its *family*) into the exchange's values and back.
What is left to a driver is to send, to read and to wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

from budget_proxy.scope import HEADER_PREFIX
from budget_proxy.transport.binding import Binding
from budget_proxy.transport.exchange import Failed, Relay, Reply, Request, Send, concerns, exchange
from budget_proxy.transport.family import family_of, joined
from budget_proxy.transport.steps import Steps

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_DECODED: Final = frozenset({"content-encoding", "content-length"})


class Trip(Steps):
    """Steps whose Sends are answered by ``sent`` or ``failing``.

    Used in a ``with`` (or ``async with``): a trip that is left before its end settles its call
    as cancelled, and lets the connection go.
    """

    def __init__(self, binding: Binding, request: Any) -> None:
        """``request`` is the family's, with its content read."""
        asked = _read(binding, request)
        super().__init__(exchange(binding.engine, asked))
        self._family: Any = family_of(request)
        self._request = request
        self._headers = len(asked.headers)
        self._asked: Send | None = None
        self._response: Any = None
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is not None and self._response is not None:
            self._response.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close()
        if kind is not None and self._response is not None:
            await self._response.aclose()

    def outgoing(self, send: Send) -> Any:
        """The request to send; the client's own where nothing is to be changed."""
        request, self._asked = self._request, send
        same = len(send.headers) == self._headers
        if same and send.content == request.content:
            return request
        raw = request.headers.raw if same else _raw(send.headers, request.headers.encoding)
        framed = [item for item in raw if item[0].lower() not in _FRAMING]
        length = (b"Content-Length", b"%d" % len(send.content))
        outgoing = self._family.Request(  # given a stream, it takes the headers as they are
            request.method,
            request.url,
            headers=[*framed, length],
            stream=self._family.ByteStream(send.content),
            extensions=request.extensions,
        )
        outgoing.read()
        return outgoing

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Around sending and reading: note the family's errors, to be raised at the end."""
        try:
            yield
        except self._family.RequestError as error:
            self._error = error
            self.answer = Failed(timeout=isinstance(error, self._family.TimeoutException))

    def reads(self, response: Any) -> bool:
        """Whether a response is to be read now; else it is handed on as it comes."""
        asked = self._asked
        if asked is None or not asked.metered:
            return False
        return not asked.is_relayed(response.status_code, response.headers.get("content-type"))

    def sent(self, response: Any) -> None:
        """The upstream's response, read if it was to be."""
        self._response = response
        if self._asked is None or not self._asked.metered:  # it goes on in the library's own form
            self.answer = Reply(response.status_code, (), None)
            return
        content = response.content if self.reads(response) else None
        self.answer = Reply(response.status_code, _texts(response.headers), content)

    def response(self, relay_stream: type) -> Any:
        """What the client gets, or raise what the upstream's transport raised."""
        result = self.result
        if isinstance(result, Failed) and self._error is not None:
            raise self._error
        if isinstance(result, Relay):
            kind = joined(relay_stream, self._family)
            return self._respond(result, kind(self._response, result), same_length=False)
        if isinstance(result, Reply) and result.content is not None:
            content = self._family.ByteStream(result.content)
            return self._respond(result, content, same_length=True)
        return self._response

    def _respond(self, result: Reply | Relay, stream: Any, *, same_length: bool) -> Any:
        """A response of the client's family, around content that is decoded by now."""
        response, headers = self._response, result.headers
        if response is None:
            return self._family.Response(result.status, headers=list(headers), stream=stream)
        if is_coded(response) or not same_length:
            headers = [item for item in headers if item[0].lower() not in _DECODED]
        return self._family.Response(
            result.status,
            headers=_raw(headers, response.headers.encoding),
            stream=stream,
            extensions=response.extensions,
        )


def is_ours(request: Any) -> bool:
    """Whether a request goes through the exchange. All others pass through, unread."""
    return concerns(request.method, request.url.path)


def passed_through(request: Any) -> Any:
    """A request that is no call, without our headers; its body stays the stream it was."""
    raw = request.headers.raw
    prefix = HEADER_PREFIX.encode()
    kept = [(name, value) for name, value in raw if not name.lower().startswith(prefix)]
    if len(kept) == len(raw):
        return request
    return family_of(request).Request(
        request.method,
        request.url,
        headers=kept,
        stream=request.stream,
        extensions=request.extensions,
    )


def is_coded(response: Any) -> bool:
    """Whether a response's bytes are to be decoded, before anybody can read them."""
    return "content-encoding" in response.headers


def _read(binding: Binding, request: Any) -> Request:
    timeout = (request.extensions.get("timeout") or {}).get("read")
    return binding.request(
        method=request.method,
        host=request.url.netloc.decode("ascii"),
        path=request.url.path,
        headers=_texts(request.headers),
        content=request.content,
        timeout=timeout,
    )


def _texts(headers: Any) -> list[tuple[str, str]]:
    """Headers as they were written, in the encoding that ``_raw`` turns back without loss."""
    raw = headers.raw
    try:
        return [(name.decode("ascii"), value.decode("ascii")) for name, value in raw]
    except UnicodeDecodeError:
        encoding = headers.encoding
        return [(name.decode(encoding), value.decode(encoding)) for name, value in raw]


def _raw(headers: Sequence[tuple[str, str]], encoding: str) -> list[tuple[bytes, bytes]]:
    return [(name.encode(encoding), text.encode(encoding)) for name, text in headers]
