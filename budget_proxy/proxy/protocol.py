"""HTTP/1.1 as the server reads it: uvicorn's protocol, and two things that it leaves out.

Trailers of a chunked body are none of the request's headers. And a client that offers to go on
in another protocol (Java's and curl's do, to HTTP/2) has sent a whole request with a body all
the same: the offer is passed over, as RFC 9110 lets a server do.
"""

from __future__ import annotations

from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TUNNEL: Final = b"CONNECT"


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.parser = _Parser(self)  # type: ignore[assignment]
        self._in_headers = True

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_headers = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, but no trailer."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, unless it is to be read again without its offer."""
        self._in_headers = False
        if not self.offers():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End a request that was started."""
        if not self.offers():
            super().on_message_complete()

    def offers(self) -> bool:
        """Whether the client offers another protocol, after whose headers the parser stops."""
        return self.parser.should_upgrade() and self.parser.get_method() != _TUNNEL

    def head(self) -> bytes:
        """The request's head, without its offer."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            kept = _without_offer(value) if name == b"connection" else value
            lines.append(name + b": " + kept)
        return b"\r\n".join([*lines, b"", b""])


class _Parser:
    """httptools' parser, which does not stop at an offer."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._parser = _fresh(protocol)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> None:
        """Read on. Raises HttpParserError."""
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if not self._protocol.offers():
                    raise
                data = self._protocol.head() + data[offer.args[0] :]
                self._parser = _fresh(self._protocol)
            else:
                return


def _fresh(protocol: Protocol) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
    return parser


def _without_offer(connection: bytes) -> bytes:
    names = [name.strip() for name in connection.split(b",")]
    return b", ".join(name for name in names if name.lower() != b"upgrade")
