from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import pytest

from budget_proxy.analytics import watcher
from budget_proxy.assemble import Engine
from budget_proxy.errors import ConfigError
from budget_proxy.proxy.app import create_app
from tests.proxied import Answer, running
from tests.receiver import receiving
from tests.watched import calls, cut, numbered


def test_serve_watches_its_history_and_tells_the_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that gather while the proxy runs become an alert and a POST; its end ends the thread."""
    monkeypatch.setattr(watcher, "EVERY", 0.05)
    with receiving() as receiver:
        alerts = {"webhook": receiver.url, "format": "generic"}
        with running(tmp_path, Answer(), alerts=alerts) as proxy:
            proxy.engine.store.append(numbered(calls(600), cut(calls(200, seed=1), 0.2)))
            end = time.monotonic() + 30
            while not receiver.got:
                assert time.monotonic() < end
                time.sleep(0.02)
        names = {thread.name for thread in threading.enumerate()}
    assert receiver.got[0][1]["alert"]["cause"] == "truncation"
    assert "budget-proxy-alerts" not in names


def test_a_webhook_that_is_no_url_is_refused_at_the_start(tmp_path: Path) -> None:
    """With the setting's name, before anything is served."""
    url = f"sqlite:///{tmp_path / 'history.db'}"
    with (
        Engine.open(url, alerts={"webhook": "hooks"}) as engine,
        pytest.raises(ConfigError, match=r"alerts\.webhook"),
    ):
        create_app(engine)


def test_a_limit_that_refuses_calls_becomes_an_alert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is made over HTTP holds within moments; what it refuses is told once."""
    monkeypatch.setattr(watcher, "EVERY", 0.05)
    with running(tmp_path, Answer()) as proxy:
        made = {"tokens": 0, "window": "day", "agent": "tester"}
        assert httpx.post(f"{proxy.url}/v1/budget/limits/add", json=made).status_code == 200
        body = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": "Bearer k", "x-budget-agent": "tester"}
        end = time.monotonic() + 30
        url = f"{proxy.url}/v1/chat/completions"
        while (reply := httpx.post(url, json=body, headers=headers)).status_code != 429:
            assert time.monotonic() < end, reply.text
            time.sleep(0.1)
        while not proxy.engine.store.alerts():
            assert time.monotonic() < end
            time.sleep(0.05)
        (alert,) = proxy.engine.store.alerts()
    assert (alert.cause, alert.severity) == ("limit", "critical")
    assert "are refused" in alert.text
    assert "agent tester" in alert.text
