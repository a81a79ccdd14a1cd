"""The door to a provider: pooled connections, streamed answers, no second guesses.

Nothing is retried and no redirect followed; both are the caller's to decide. The proxies of
the environment (HTTPS_PROXY, NO_PROXY) are honoured, but not on the way to this very machine.
An answer is closed when it is left; a request whose answer has not begun cannot be taken back
(pyreqwest lets it run to its end).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import RequestError, RequestTimeoutError
from pyreqwest.http import HeaderMap
from pyreqwest.response import Response

from budget_proxy.proxy.headers import (
    Headers,
    first,
    for_caller,
    for_upstream,
    identity,
    unpacked,
)
from budget_proxy.transport.coding import CONTENT_ENCODING, Inflater

CONNECT_SECONDS: Final = 10
IDLE_SECONDS: Final = 30
"""Shorter than providers keep a connection that nobody uses: one that is just being closed
would lose the request."""
READ_SECONDS: Final = 900
"""Longer than the SDKs wait (600): a caller's own timeout decides."""
_CONNECTING: Final = "(Connect)"
_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_AT_ONCE: Final = 0
"""Bytes to gather before an answer's head, or a chunk of it, is handed on."""

Content = bytes | AsyncIterator[bytes]


class UpstreamError(Exception):
    """There is no answer, or no end of it."""

    def __init__(self, message: str, *, connecting: bool = False, timeout: bool = False) -> None:
        super().__init__(message)
        self.connecting = connecting
        self.timeout = timeout

    @classmethod
    def of(cls, error: RequestError | ValueError) -> UpstreamError:
        """What pyreqwest says, without the URL, or an answer's coding that is none."""
        details: dict[str, Any] = getattr(error, "details", {})
        causes = [cause["message"] for cause in details.get("causes") or ()]
        return cls(
            causes[-1] if causes else getattr(error, "message", str(error)),
            connecting=any(_CONNECTING in cause for cause in causes),
            timeout=isinstance(error, RequestTimeoutError),
        )


class Answer:
    """An upstream's answer, whose body is still to come. Close it, whatever happens.

    With ``inflate`` a body in deflate is unpacked here: pyreqwest refuses the form without a
    frame, which some servers send. The other codings are pyreqwest's.
    """

    def __init__(self, response: Response, stack: AsyncExitStack, *, inflate: bool) -> None:
        self.status = response.status
        self.headers = for_caller(_items(response.headers))
        self._body = response.body_reader
        self._stack = stack
        self._inflater: Inflater | None = None
        if inflate and (first(self.headers, CONTENT_ENCODING) or "").lower() == "deflate":
            self._inflater = Inflater()
            self.headers = unpacked(self.headers)

    async def read(self) -> bytes:
        """The whole body. Raises UpstreamError if it breaks off."""
        try:
            content = (await self._body.bytes()).to_bytes()
            return content if self._inflater is None else self._inflater.feed(content)
        except (RequestError, ValueError) as error:
            raise UpstreamError.of(error) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises UpstreamError if it breaks off."""
        try:
            while (chunk := await self._body.read_chunk()) is not None:
                content = chunk.to_bytes()
                yield content if self._inflater is None else self._inflater.feed(content)
        except (RequestError, ValueError) as error:
            raise UpstreamError.of(error) from error

    async def close(self) -> None:
        """Let the connection go: back to the pool if the body was read, else cut."""
        await self._stack.aclose()


class Upstream:
    """The connections of one process to one provider; ``direct`` ones use no proxy."""

    def __init__(self, *, direct: bool = False) -> None:
        self._reading = _client(decode=True, direct=direct)
        self._verbatim = _client(decode=False, direct=direct)

    async def ask(self, method: str, url: str, headers: Headers, content: bytes) -> Answer:
        """Send what is to be read on its way back: uncompressed, or decoded if it is not.

        Raises UpstreamError if no answer begins.
        """
        asked = identity(for_upstream(headers))
        return await _sent(self._reading, method, url, asked, content, inflate=True)

    async def forward(
        self, method: str, url: str, headers: Headers, content: Content, length: int | None
    ) -> Answer:
        """Send what passes through: the answer's body comes in the coding the caller asked for.

        ``length`` is that of a streamed ``content``, if known. Raises UpstreamError if no
        answer begins.
        """
        kept = for_upstream(headers)
        if length is not None and not isinstance(content, bytes):
            kept.append(("content-length", str(length)))
        return await _sent(self._verbatim, method, url, kept, content, inflate=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._reading.close()
        await self._verbatim.close()


async def _sent(
    client: Client, method: str, url: str, headers: Headers, content: Content, *, inflate: bool
) -> Answer:
    builder = client.request(method, url).headers(headers)
    if not isinstance(content, bytes):
        builder = builder.body_stream(content)
    elif content:
        builder = builder.body_bytes(content)
    elif method in _WITH_BODY:
        builder = builder.header("content-length", "0")  # without it some answer 411
    request = builder.streamed_read_buffer_limit(_AT_ONCE).build_streamed()
    stack = AsyncExitStack()
    try:
        response = await stack.enter_async_context(request)
    except RequestError as error:
        raise UpstreamError.of(error) from error
    return Answer(response, stack, inflate=inflate)


def _client(*, decode: bool, direct: bool) -> Client:
    builder = ClientBuilder().no_proxy() if direct else ClientBuilder()
    return (
        builder.gzip(decode)
        .brotli(decode)
        .zstd(decode)
        .deflate(False)
        .follow_redirects(False)
        .referer(False)
        .pool_idle_timeout(timedelta(seconds=IDLE_SECONDS))
        .connect_timeout(timedelta(seconds=CONNECT_SECONDS))
        .read_timeout(timedelta(seconds=READ_SECONDS))
        .build()
    )


def _items(headers: HeaderMap) -> list[tuple[str, str]]:
    """All headers; where one of them is not text, that one is left out."""
    try:
        return list(headers.items())
    except ValueError:
        return [(name, value) for name in dict.fromkeys(headers) for value in _all(headers, name)]


def _all(headers: HeaderMap, name: str) -> list[str]:
    try:
        return headers.getall(name)
    except ValueError:
        return []
