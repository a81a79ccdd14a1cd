from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.command_line import answered, history, run, run_json

DAY = 86_400.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Four calls on each of the last ten days, of two agents; uses get better day by day."""
    now = time.time()
    rows = [
        answered(
            number,
            ts=now - DAY * (number // 4),
            agent="ab"[number % 2],
            output_tokens=max(150 - 12 * (number // 4), 10),
        )
        for number in range(40)
    ]
    return history(tmp_path / "history.db", *rows)


def test_people_see_a_plot_the_periods_and_the_slopes(url: str) -> None:
    """In 80 columns, without colour."""
    result = run("trends", "--store", url, "--last", "8", "--measure", "calls")
    assert result.exit_code == 0
    assert max(len(line.rstrip()) for line in result.stdout.splitlines()) <= 80
    assert "\x1b" not in result.stdout
    for text in ("calls by day, UTC", "•", "efficiency", "95 % interval", "certain"):
        assert text in result.stdout


def test_groups_have_a_line_each(url: str) -> None:
    """With what the measure did, and by how much."""
    output = run("trends", "--store", url, "--by", "agent", "--measure", "output_tokens").stdout
    lines = [line for line in output.splitlines() if line.startswith(("a ", "b "))]
    assert len(lines) == 2
    assert all("rising" in line for line in lines)


def test_json_has_periods_values_and_lines(url: str) -> None:
    """In the zone that was asked for; of one agent."""
    found = run_json(
        "trends", "--store", url, "--unit", "week", "--zone", "Asia/Tokyo", "--agent", "a"
    )
    assert (found["unit"], found["zone"], len(found["periods"])) == ("week", "Asia/Tokyo", 26)
    (whole,) = found["groups"]
    calls = next(trend for trend in whole["trends"] if trend["measure"] == "calls")
    assert sum(calls["values"]) == 20
    assert calls["direction"] in {"rising", "falling", "stable", "unknown"}


def test_the_zone_is_a_setting(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is given."""
    monkeypatch.setenv("BUDGET_PROXY_TIME_ZONE", "Europe/Berlin")
    assert run_json("trends", "--store", url)["zone"] == "Europe/Berlin"


def test_no_calls_in_the_span_is_said(url: str) -> None:
    """No plot of nothing."""
    result = run("trends", "--store", url, "--agent", "nobody")
    assert (result.exit_code, "No calls from" in result.stdout) == (0, True)


def test_only_the_calls_that_were_asked_for(url: str) -> None:
    """Of an agent and a kind; people are told so."""
    shown = run("trends", "--store", url, "--agent", "a", "--task-type", "bug-fix").stdout
    assert "; only agent a, task type bug-fix" in shown
    (whole,) = run_json("trends", "--store", url, "--task-type", "testing")["groups"]
    assert sum(figures["calls"] for figures in whole["figures"]) == 0


def test_a_measure_that_is_never_there_has_no_plot(url: str) -> None:
    """Nobody reported what the cache gave; the rest is shown."""
    output = run("trends", "--store", url, "--measure", "cache_share").stdout
    assert "cache share: nothing was measured" in output
    assert "efficiency" in output


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("--unit", "year", "hour, day, week, month"), ("--by", "colour", "agent, task"),
        ("--measure", "joy", "efficiency"), ("--zone", "Mars/Base", "Europe/Berlin"),
    ],
)  # fmt: skip
def test_wrong_options_say_what_is_right(url: str, option: str, value: str, hint: str) -> None:
    """One line, and exit code 2."""
    result = run("trends", "--store", url, option, value)
    assert result.exit_code == 2
    assert hint in result.stderr
    assert len(result.stderr.splitlines()) == 1
