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
    """One connection. ``offers``: the parser stops behind this request's head, for its offer."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.parser = _Parser(self)
        self.offers = False
        self._again = b""

    def data_received(self, data: bytes) -> None:
        """Read on; a request that made an offer is read again without it."""
        super().data_received(data)
        while self._again:
            data, self._again = self._again, b""
            super().data_received(data)

    def on_headers_complete(self) -> None:
        """Start the request, unless it is to be read again."""
        self.offers = self.parser.should_upgrade() and self.parser.get_method() != _TUNNEL
        if not self.offers:
            super().on_headers_complete()
            self.headers = []  # what comes now are trailers

    def on_message_complete(self) -> None:
        """End a request that was started."""
        if not self.offers:
            super().on_message_complete()

    def pass_over(self, rest: bytes) -> None:
        """Have the request read again without its offer, and ``rest`` behind its head."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            kept = _without_offer(value) if name == b"connection" else value
            lines.append(name + b": " + kept)
        self._again = b"\r\n".join([*lines, b"", rest])
        self.parser = _Parser(self)


class _Parser(httptools.HttpRequestParser):
    """httptools' parser, which passes offers on in place of raising them."""

    def __init__(self, protocol: Protocol) -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        """Read on. Raises HttpParserError."""
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if not self._protocol.offers:
                raise
            self._protocol.pass_over(data[offer.args[0] :])


def _without_offer(connection: bytes) -> bytes:
    names = [name.strip() for name in connection.split(b",")]
    return b", ".join(name for name in names if name.lower() != b"upgrade")
