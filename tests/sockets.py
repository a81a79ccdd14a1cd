"""HTTP/1.1 by hand, for what no client library does: every byte of a request is the test's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    """One answer as it came; names of headers in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]


class Connection:
    """One connection. Reading waits ten seconds at most."""

    def __init__(self, plug: socket.socket, file: IO[bytes]) -> None:
        self.plug = plug
        self._file = file

    def send(self, *parts: bytes) -> None:
        """Send bytes as they are."""
        for part in parts:
            self.plug.sendall(part)

    def head(self) -> tuple[int, list[tuple[str, str]]]:
        """Status and headers of what comes next, be it an interim answer."""
        line = self._file.readline()
        assert line.startswith(b"HTTP/1.1 "), line
        headers = []
        while field := self._file.readline().strip().decode("latin-1"):
            name, _, value = field.partition(":")
            headers.append((name.lower(), value.strip()))
        return int(line.split()[1]), headers

    def reply(self) -> Reply:
        """The next answer, whole."""
        status, headers = self.head()
        facts = dict(headers)
        if facts.get("transfer-encoding") == "chunked":
            return Reply(status, headers, b"".join(self._chunks()))
        return Reply(status, headers, self._file.read(int(facts.get("content-length", "0"))))

    def rest(self) -> bytes:
        """All that comes until the other side closes."""
        return self._file.read()

    def ended(self) -> bool:
        """Whether the other side has closed, and nothing is left."""
        return self._file.read(1) == b""

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._file.readline(), 16):
            yield self._file.read(size)
            self._file.readline()
        self._file.readline()


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """A connection to the host of a URL."""
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname, parts.port), timeout=10) as plug,
        plug.makefile("rb") as file,
    ):
        yield Connection(plug, file)


def request(method: str, path: str, body: bytes = b"", /, **headers: str) -> bytes:
    """A request of this host, its length announced; underscores stand for dashes in names."""
    facts = {"host": "localhost", "content_length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in facts.items()]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body


def chunked(body: bytes, size: int) -> bytes:
    """A body in chunks of a size."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
