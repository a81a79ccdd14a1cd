"""A webhook's far end on loopback: keeps what it is sent, and answers by script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """``answers`` are statuses, one a request; then 200. ``got`` are (headers, JSON)."""

    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    url: str = ""
    path: str = ""


@contextmanager
def receiving(*answers: int) -> Iterator[Receiver]:
    """A receiver that listens until the block ends."""
    receiver = Receiver(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append((headers, json.loads(body)))
            receiver.path = self.path
            self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hooks/T0?x=1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
