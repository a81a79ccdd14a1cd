from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from budget_proxy.analytics.noticeboard import Noticeboard
from budget_proxy.analytics.rendering import alerts as rendering
from budget_proxy.analytics.rendering.blocks import Note
from budget_proxy.cli import alerts as command
from tests.command_line import history, run, run_json
from tests.makers import NOW
from tests.receiver import receiving
from tests.watched import GROUP, calls, cut, numbered


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A history with two alerts: answers that are cut, and a model without a price."""
    rows = numbered(
        calls(600),
        cut(calls(200, seed=1), 0.2),
        calls(10, cost=None, groups=[("b", "review", "own-model")]),
    )
    return history(tmp_path / "history.db", *rows)


def test_json_has_the_alerts_and_where_the_watch_has_got(url: str) -> None:
    """The first look takes the rows in, the second finds the same without."""
    found = run_json("alerts", "--store", url)
    assert [one["cause"] for one in found["alerts"]] == ["truncation", "unpriced"]
    first = found["alerts"][0]
    assert (first["agent"], first["task_type"], first["model"]) == GROUP
    assert first["figures"]["share"] > 0.1
    assert (found["rows"], found["waiting"], found["skipped"], found["delivered"]) == (
        810, 0, 0, None,
    )  # fmt: skip
    again = run_json("alerts", "--store", url)
    assert again["rows"] == 0
    assert again["alerts"] == found["alerts"]


def test_people_are_told_what_happened_since_when_and_what_to_do(url: str) -> None:
    """A table of 80 columns, and each alert in words, with a command."""
    result = run("alerts", "--store", url)
    assert result.exit_code == 0
    _where, *lines = result.stdout.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "\x1b" not in result.stdout
    assert "2027-01-15 10:" in run("alerts", "--store", url, "--zone", "Europe/Berlin").stdout
    for text in ("truncation", "unpriced", "own-model", "2027-01-15 09:", "budget-proxy predict"):
        assert text in result.stdout


def test_every_row_is_looked_at_however_long_that_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command whose time is over after the first thousand rows goes on to the last."""
    monkeypatch.setattr(command, "_SILENT", 0.0)
    monkeypatch.setattr(command, "_STEP", 0.0)
    rows = numbered(calls(2_100), cut(calls(200, seed=1), 0.2))
    found = run_json("alerts", "--store", history(tmp_path / "h.db", *rows))
    assert (found["rows"], found["waiting"]) == (2_300, 0)
    assert [one["cause"] for one in found["alerts"]] == ["truncation"]


def test_rows_that_wait_are_told_of() -> None:
    """That there is no alert is said of what was looked at alone."""
    board = Noticeboard("", (), 0, (), rows=3_000, skipped=0, waiting=17_000, unwatched=0)
    told = rendering.alerts(board, ZoneInfo("UTC"), NOW, "sqlite:///h.db")
    first, second = (block.text for block in told.blocks if isinstance(block, Note))
    assert first == "No alerts so far."
    assert second.startswith("Looked at 3,000 of 20,000 rows:")


def test_a_history_without_alerts_says_so(tmp_path: Path) -> None:
    """An empty list is an answer."""
    result = run("alerts", "--store", history(tmp_path / "h.db", *numbered(calls(50))))
    assert "No alerts." in result.stdout


def test_a_limit_that_is_passed_is_told_without_a_server(url: str) -> None:
    """Once, however often one looks; it is over when the limit is gone."""
    made = run_json("limits", "add", "--output-tokens", "1", "--window", "lifetime", "--store", url)
    for _ in range(2):
        told = [
            one for one in run_json("alerts", "--store", url)["alerts"] if one["cause"] == "limit"
        ]
        assert [one["figures"]["size"] for one in told] == [1.0]
    run("limits", "remove", str(made["limit"]["id"]), "--store", url)
    left = run_json("alerts", "--store", url)["alerts"]
    assert [one for one in left if one["cause"] == "limit"] == []


def test_an_acknowledged_alert_stays_and_is_marked(url: str) -> None:
    """It is open still, and somebody knows."""
    run("alerts", "--store", url)
    found = run_json("alerts", "--store", url, "--ack", "1")
    assert found["alerts"][0]["acknowledged"] is not None
    assert "acknowledged" in run("alerts", "--store", url).stdout


@pytest.mark.parametrize(
    "mute",
    [
        ("1",),
        ("truncation",),
        ("truncation", "--agent", GROUP[0]),
        ("group", "--model", GROUP[2], "--task-type", GROUP[1]),
        ("group", "--agent", GROUP[0], "--for", "7d"),
    ],
)
def test_muted_alerts_are_left_out_until_they_are_asked_for_or_unmuted(
    url: str, mute: tuple[str, ...]
) -> None:
    """By number, by cause, by calls, or by both."""
    run("alerts", "--store", url)
    found = run_json("alerts", "--store", url, "--mute", *mute)
    assert [one["cause"] for one in found["alerts"]] == ["unpriced"]
    assert "1 of the alerts are muted" in run("alerts", "--store", url).stdout
    every = run_json("alerts", "--store", url, "--all")
    assert [one["muted"] for one in every["alerts"]] == [True, False]
    where = [part for part in mute if part not in {"--for", "7d"}]
    found = run_json("alerts", "--store", url, "--unmute", *where)
    assert [one["muted"] for one in found["alerts"]] == [False, False]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--ack", "9"), "there is no alert 9"),
        (("--mute", "9"), "there is no alert 9"),
        (("--mute", "noise"), "'noise' is no alert's number, and no cause"),
        (("--mute", "group"), "--agent, --task-type or --model"),
        (("--mute", "price", "--for", "long"), "a span of time"),
        (("--agent", "coder"), "what --mute and --unmute are about"),
        (("--for", "7d"), "what --mute and --unmute are about"),
        (("--deliver",), "BUDGET_PROXY_ALERTS__WEBHOOK"),
    ],
)
def test_wrong_input_is_one_line_that_says_what_to_do(
    url: str, arguments: tuple[str, ...], says: str
) -> None:
    """On stderr, with exit code 2."""
    result = run("alerts", "--store", url, *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_deliver_sends_what_is_due_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cron runs: the second time there is nothing to send."""
    with receiving() as receiver:
        monkeypatch.setenv("BUDGET_PROXY_ALERTS__WEBHOOK", receiver.url)
        monkeypatch.setenv("BUDGET_PROXY_ALERTS__FORMAT", "slack")
        monkeypatch.setenv("BUDGET_PROXY_ALERTS_SECRET", "s3cret")
        found = run_json("alerts", "--store", url, "--deliver")
        assert found["delivered"] == {"sent": 2, "failed": 0}
        assert "Delivered 0;" in run("alerts", "--store", url, "--deliver").stdout
    assert [headers["authorization"] for headers, _ in receiver.got] == ["Bearer s3cret"] * 2
    assert "*truncation* raised" in receiver.got[0][1]["text"]
