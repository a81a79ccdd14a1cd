"""``budget-proxy serve`` with virtual keys, as processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from budget_proxy.cli.app import app
from budget_proxy.errors import ConfigError
from tests.command_line import history, run
from tests.proxied import Upstream
from tests.test_cli_serve import BODY, CHAT, rows, serving


def keys(folder: Path, *words: str) -> str:
    """What ``budget-proxy keys`` prints, run as a process of its own beside the proxy."""
    command = [sys.executable, "-m", "budget_proxy", "keys", *words]
    environment = {**os.environ, "BUDGET_PROXY_STORE": f"sqlite:///{folder / 'h.db'}"}
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=True
    ).stdout.strip()


def call(url: str, token: str | None) -> int:
    """The status of a call."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return httpx.post(f"{url}/v1/chat/completions", json=BODY, headers=headers).status_code


def until(url: str, token: str | None, status: int) -> None:
    """Wait until every one of twenty calls in a row, so every worker, answers so."""
    deadline = time.monotonic() + 20
    while {call(url, token) for _ in range(20)} != {status}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def _our_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ours")


def test_keys_are_made_and_ended_while_two_workers_serve(tmp_path: Path) -> None:
    """Without a restart: the first is asked for from then on, new ones hold at once."""
    with (
        Upstream(lambda _: CHAT) as upstream,
        serving(tmp_path, upstream.url, "--workers", "2") as (url, printed, process),
    ):
        assert "no keys: loopback only" in printed
        assert call(url, None) == 200
        first = keys(tmp_path, "create", "--name", "Ann")
        assert {call(url, first) for _ in range(20)} == {200}
        until(url, None, 401)
        again = keys(tmp_path, "rotate", first[:19])
        assert {call(url, again) for _ in range(20)} == {200}
        until(url, first, 401)
        keys(tmp_path, "revoke", first[:19])
        until(url, again, 401)
        assert call(url, None) == 401
        process.send_signal(signal.SIGTERM)
        process.wait(15)
    assert {row.key for row in rows(tmp_path)} == {None, first[:19]}
    assert all(seen.header("authorization") == ["Bearer sk-ours"] for seen in upstream.seen)


def test_keys_outlive_a_crash(tmp_path: Path) -> None:
    """Killed amid its work, the proxy asks for the same keys when it is back, and says so."""
    token = keys(tmp_path, "create", "--name", "Ann")
    other = keys(tmp_path, "create", "--name", "Bob")
    with Upstream(lambda _: CHAT) as upstream:
        with serving(tmp_path, upstream.url) as (url, printed, process):
            assert "2 in force: every caller needs one" in printed
            assert (call(url, token), call(url, None)) == (200, 401)
            keys(tmp_path, "revoke", other[:19])
            process.kill()
            process.wait(5)
        with serving(tmp_path, upstream.url) as (url, printed, process):
            assert "1 in force" in printed
            assert "loopback only" not in printed
            assert [call(url, one) for one in (token, other, None)] == [200, 401, 401]
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert process.stdout is not None
            assert process.stdout.read() == ""


def test_beyond_loopback_a_key_in_force_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is over does not do; with one the command goes on to listen."""

    def listen(host: str, port: int) -> None:
        raise ConfigError(f"would listen on {host}:{port}")

    monkeypatch.setattr("budget_proxy.cli.serve._listen", listen)
    url = history(tmp_path / "h.db")
    monkeypatch.setenv("BUDGET_PROXY_STORE", url)

    def said() -> str:
        result = CliRunner().invoke(app, ["serve", "--host", "0.0.0.0"])  # noqa: S104 (nobody listens)
        assert result.exit_code == 2
        return result.output

    assert "no virtual key is in force" in said()
    token = run("keys", "create", "--name", "Ann").stdout.strip()
    assert "would listen on 0.0.0.0:4141" in said()
    run("keys", "revoke", token[:19])
    assert "no virtual key is in force" in said()
