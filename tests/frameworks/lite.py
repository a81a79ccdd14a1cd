"""LiteLLM for tests, and its proxy as a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import litellm

from budget_proxy.store import open_store
from budget_proxy.types import CallRecord

__all__ = ["HELLO", "KEY", "called", "litellm", "litellm_proxy", "rows_of", "until"]

litellm.suppress_debug_info = True

HELLO = [{"role": "user", "content": "hello"}]
KEY = "sk-3f9a1c52b7d84e06a5c1"
_START_SECONDS = 180.0


async def called(door: str, pair: Any, **arguments: Any) -> Any:
    """A call by one of the two doors: ``sync`` or ``async``."""
    if door == "sync":
        return pair.completion(**arguments)
    return await pair.acompletion(**arguments)


def rows_of(url: str) -> list[CallRecord]:
    """The rows that a history in a file holds by now."""
    store = open_store(url)
    found = list(store.calls())
    store.close()
    return found


def until(found: Callable[[], list[CallRecord]], count: int) -> list[CallRecord]:
    """The rows, once there are that many; fails where they do not come."""
    deadline = time.monotonic() + 20
    while len(rows := found()) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(rows) == count, [row.reason for row in rows]
    return rows


@contextmanager
def litellm_proxy(folder: Path, config: str, **variables: str) -> Iterator[str]:
    """LiteLLM's own proxy on loopback, as a process of its own; its address."""
    (folder / "config.yaml").write_text(config)
    port = _port()
    command = [
        str(Path(sys.executable).with_name("litellm")),
        "--config", "config.yaml", "--host", "127.0.0.1", "--port", str(port),
    ]  # fmt: skip
    surroundings = {**os.environ, "LITELLM_MASTER_KEY": KEY, **variables}
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=surroundings, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _await(process, f"http://127.0.0.1:{port}", folder / "output")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port() -> int:
    """A free port outside of the range that connections take theirs from: it is bound late."""
    first = 20_000 + os.getpid() % 10_000
    for port in range(first, first + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError(f"no free port from {first} on")


def _await(process: subprocess.Popen[bytes], url: str, output: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health/liveliness", timeout=5):  # noqa: S310
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"LiteLLM's proxy did not start:\n{output.read_text()[-4000:]}")
