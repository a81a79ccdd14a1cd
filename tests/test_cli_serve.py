"""``budget-proxy serve``, as a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import orjson
import pytest
from typer.testing import CliRunner

from budget_proxy.cli.app import app
from budget_proxy.cli.serve import _listen
from budget_proxy.store import open_store
from budget_proxy.types import CallRecord
from tests.background import Background
from tests.proxied import EVENTS, Answer, Upstream, events

CHAT = Answer(
    parts=[
        orjson.dumps(
            {
                "id": "c", "object": "chat.completion", "model": "m",
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "Hi."}}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
            }
        )
    ]
)  # fmt: skip
BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@contextmanager
def serving(
    folder: Path, upstream: str, *options: str
) -> Iterator[tuple[str, str, subprocess.Popen[str]]]:
    """The command, running: the proxy's URL, what it printed, and the process."""
    environment = {
        **os.environ,
        "BUDGET_PROXY_STORE": f"sqlite:///{folder / 'h.db'}",
        "BUDGET_PROXY_OPENAI_BASE_URL": upstream,
    }
    command = [sys.executable, "-m", "budget_proxy", "serve", "--port", "0", *options]
    with subprocess.Popen(
        command, env=environment, cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            printed = "".join(iter(lambda: _line(process), ""))
            url = next(word for word in printed.split() if word.startswith("http://"))
            _wait(url)
            yield url, printed, process
        finally:
            if process.poll() is None:
                process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    """A line of what was printed; empty after the banner's last."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return "" if "sends nothing home" in line else line


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            assert httpx.get(f"{url}/healthz").json()["status"] == "ok"
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the proxy did not come up")


def rows(folder: Path) -> list[CallRecord]:
    """What the history's file holds."""
    store = open_store(f"sqlite:///{folder / 'h.db'}")
    found = list(store.calls())
    store.close()
    return found


def test_it_says_what_it_does_and_writes_all_at_sigterm(tmp_path: Path) -> None:
    """The banner tells how to use it; SIGTERM right after a burst of calls loses no row."""
    with Upstream(lambda _: CHAT) as upstream, serving(tmp_path, upstream.url) as running:
        url, printed, process = running
        for part in (
            "enforce", "h.db", upstream.url, "https://api.anthropic.com",
            "(no keys: loopback only)",
            f"OPENAI_BASE_URL={url}/v1", f"ANTHROPIC_BASE_URL={url}\n",
        ):  # fmt: skip
            assert part in printed
        with ThreadPoolExecutor(4) as pool:
            calls = [
                pool.submit(httpx.post, f"{url}/v1/chat/completions", json=BODY) for _ in range(20)
            ]
        assert {call.result().status_code for call in calls} == {200}
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""  # no word of warning, no log of accesses
    assert [row.output_tokens for row in rows(tmp_path)] == [3] * 20


def test_calls_under_way_end_before_it_does(tmp_path: Path) -> None:
    """A stream that is being relayed at SIGTERM is relayed to its end, and in the history."""
    delta = {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}]}
    stream = Answer(headers=EVENTS, parts=events(*[delta] * 10, done=True), pause=0.1)
    with Upstream(lambda _: stream) as upstream, serving(tmp_path, upstream.url) as running:
        url, _, process = running
        body = {**BODY, "stream": True}
        with httpx.stream("POST", f"{url}/v1/chat/completions", json=body) as reply:
            process.send_signal(signal.SIGTERM)
            got = b"".join(reply.iter_raw())
        assert process.wait(10) == 0
    assert got == b"".join(stream.parts)
    assert len(rows(tmp_path)) == 1


def test_several_workers_share_one_history(tmp_path: Path) -> None:
    """With --workers every process answers, and all their rows are written at SIGTERM."""
    with (
        Upstream(lambda _: CHAT) as upstream,
        serving(tmp_path, upstream.url, "--workers", "2") as (url, _, process),
    ):
        with ThreadPoolExecutor(4) as pool:
            calls = [
                pool.submit(httpx.post, f"{url}/v1/chat/completions", json=BODY) for _ in range(20)
            ]
        assert {call.result().status_code for call in calls} == {200}
        process.send_signal(signal.SIGTERM)
        process.wait(15)
    assert len(rows(tmp_path)) == 20


def test_what_was_asked_for_before_a_crash_is_settled_after_it(tmp_path: Path) -> None:
    """A response in the background outlives the process that began it, and so does its row."""
    provider = Background()
    with Upstream(provider) as upstream:
        with serving(tmp_path, upstream.url) as (url, _, process):
            body = {"model": "m", "input": "hello", "background": True}
            created = httpx.post(f"{url}/v1/responses", json=body).json()
            deadline = time.monotonic() + 5
            while not rows(tmp_path) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.kill()
            process.wait(5)
        assert [(row.pending, row.exact) for row in rows(tmp_path)] == [(True, False)]
        provider.ends("completed")
        with serving(tmp_path, upstream.url, "--workers", "2") as (url, _, process):
            found = httpx.get(f"{url}/v1/responses/{created['id']}").json()
            process.send_signal(signal.SIGTERM)
            process.wait(15)
    assert found["usage"]["output_tokens"] == 40
    (row,) = rows(tmp_path)
    assert (row.pending, row.exact, row.output_tokens, row.id) == (False, True, 40, 2)


def test_answers_do_not_wait_for_acknowledgements() -> None:
    """Nagle's algorithm is off on the connections that are taken."""
    with _listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        taken, _ = listener.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_a_port_in_use_is_an_error_in_words(tmp_path: Path) -> None:
    """Exit code 1, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["serve", "--port", str(port)])
    assert result.exit_code == 1
    assert f"127.0.0.1:{port}" in result.output
    assert "--port" in result.output
    assert not list(tmp_path.rglob("*.db"))


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (["--host", "0.0.0.0"], {}, "budget-proxy keys create"),  # noqa: S104 (refused)
        (
            ["--host", "0.0.0.0"],  # noqa: S104 (refused)
            {"BUDGET_PROXY_ALLOWED_HOSTS": '["proxy.lan"]', "OPENAI_API_KEY": "sk-ours"},
            "no virtual key is in force",
        ),
        ([], {"BUDGET_PROXY_OPENAI_BASE_URL": "example.com"}, "openai_base_url"),
        (
            ["--port", "4199"],
            {"BUDGET_PROXY_OPENAI_BASE_URL": "http://127.0.0.1:4199/v1"},
            "own address",
        ),
    ],
)  # fmt: skip
def test_what_would_be_unsafe_or_senseless_is_refused(
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    environment: dict[str, str],
    said: str,
) -> None:
    """Wrong settings end the command before it listens, and name what to change."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["serve", *arguments])
    assert result.exit_code == 2
    assert said in result.output
    assert "sk-ours" not in result.output


def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    """SIGINT is how people stop it."""
    with Upstream(lambda _: CHAT) as upstream, serving(tmp_path, upstream.url) as running:
        url, _, process = running
        httpx.post(f"{url}/v1/chat/completions", json=BODY)
        threading.Timer(0.0, process.send_signal, [signal.SIGINT]).start()
        assert process.wait(10) == 0
        assert process.stdout is not None
        assert "Traceback" not in process.stdout.read()
    assert len(rows(tmp_path)) == 1
