from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import answered, history, run, run_json

FIRST = datetime(2026, 10, 5, 12, tzinfo=UTC)  # a Monday
AT = "2026-11-30"  # eight weeks later


def spent(day: int, cost: float | None, **given: Any) -> Any:
    """A call on that day after FIRST."""
    moment = FIRST + timedelta(days=day)
    return answered(day, ts=moment.timestamp(), cost=cost, input_tokens=900, **given)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is noon on that day."""
    now = datetime.fromisoformat(f"{AT}T12:00:00Z").timestamp()
    monkeypatch.setattr(time, "time", lambda: now)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Eight weeks: coder spends 10 on working days and 2 on weekends, writer 1 a day."""
    costs = [10.0 if day % 7 < 5 else 2.0 for day in range(56)]
    return history(
        tmp_path / "history.db",
        *(spent(day, cost) for day, cost in enumerate(costs)),
        *(spent(day, 1.0, agent="writer", call_id=f"w{day}") for day in range(56)),
    )


def test_unknown_prices_are_no_prices_of_zero(tmp_path: Path) -> None:
    """Nothing is projected of them, and no limit is safe; another measure is named."""
    url = history(tmp_path / "unpriced.db", *(spent(day, None) for day in range(56)))
    found = run_json("project", "--store", url, "--at", AT, "--limit-usd", "1")
    assert (found["whole"]["total"], found["whole"]["known"]) == (None, 0.0)
    assert found["limits"] == {}
    assert "--measure tokens" in run("project", "--store", url, "--at", AT).stdout


def test_only_the_calls_that_were_asked_for(url: str) -> None:
    """What one agent will cost, a dollar a day; people are told so."""
    asked = ("project", "--store", url, "--at", AT, "--agent", "writer", "--task-type", "bug-fix")
    assert run_json(*asked)["whole"]["total"]["expected"] == pytest.approx(30, rel=0.05)
    assert "; only agent writer, task type bug-fix" in run(*asked).stdout
    assert run_json(*asked, "--model", "other")["whole"]["total"] is None


def test_json_has_the_whole_projection(url: str) -> None:
    """Whole, groups, limits, the past, and where it comes from; days are dates."""
    found = run_json(
        "project", "--store", url, "--at", AT, "--by", "agent", "--limit-usd", "30", "--window",
        "week",
    )  # fmt: skip
    assert (found["store"], found["zone"], found["by"], found["window"]) == (
        url, "UTC", "agent", "week",
    )  # fmt: skip
    assert found["now"] == datetime(2026, 11, 30, tzinfo=UTC).timestamp()
    whole = found["whole"]
    assert (whole["since"], whole["history"], whole["recent_days"]) == ("2026-10-05", 56, 30)
    assert len(whole["days"]) == 30
    assert whole["days"][0]["start"] == AT
    # Four weeks of 61 and two days more, of which 30 November is the first: 11 + 11.
    assert whole["total"]["expected"] == pytest.approx(4 * 61 + 22, rel=0.02)
    assert whole["total"]["low"] < 266 < whole["total"]["high"]
    assert [one["group"] for one in found["groups"]] == [["coder"], ["writer"]]
    assert found["groups"][1]["total"]["expected"] == pytest.approx(30, rel=0.05)
    limit = found["limits"]["cost"]
    assert (limit["start"], limit["end"]) == ("2026-11-30", "2026-12-07")
    assert limit["expected"] == "2026-12-02"  # 11 + 11 + 11
    assert limit["probability"] == 1
    assert limit["saving"] == pytest.approx(1 - 30 / 61, abs=0.03)
    assert len(found["past"]) == 42
    assert found["past"][-1] == {"start": "2026-11-29", "amount": 3.0}
    assert any("weekend day" in sentence for sentence in found["advice"])


def test_people_get_a_plot_and_tables_of_80_columns(url: str) -> None:
    """The past as bars, the days ahead as points, weeks, groups, the limit, sentences."""
    result = run(
        "project", "--store", url, "--at", AT, "--by", "agent", "--limit-usd", "300",
        "--limit-tokens", "1e9",
    )  # fmt: skip
    assert result.exit_code == 0
    _where, *lines = result.stdout.splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "\x1b" not in result.stdout
    for text in ("█", "•", "Ahead", "Mon 30 Nov - Sun 06 Dec", "writer", "need not add up",
                 "56 days since 2026-10-05 (UTC), method seasonal", "$300.00 a month"):  # fmt: skip
        assert text in result.stdout
    words = " ".join(result.stdout.split())
    assert "Limit of tokens 1G tokens a month" in words
    assert "not reached by the end of it" in words


def test_few_days_are_listed_one_by_one(url: str) -> None:
    """Fourteen at most; the formula's are alike: 20 days of 11 and 10 of 3 are 8.33 a day."""
    output = run("project", "--store", url, "--at", AT, "--days", "14", "--method", "simple").stdout
    assert output.count("Sat ") == 2
    assert output.count("   $8.33") == 14
    assert "method simple" in output


def test_the_limit_is_told_as_a_date(url: str) -> None:
    """In November 3 were spent on the 1st, then 61 a week: 200 is passed on Tuesday, the 24th."""
    found = " ".join(
        run("project", "--store", url, "--at", AT, "--limit-usd", "200").stdout.split()
    )
    assert "$200.00 a month, $247.00 so far: reached on 2026-11-24" in found


def test_what_has_no_known_price_is_told(tmp_path: Path) -> None:
    """A third of the attempts: the amount is of the others, and it says so."""
    rows = [spent(day, 1.0 if day % 3 else None) for day in range(30)]
    url = history(tmp_path / "history.db", *rows)
    at = "2026-11-04"
    output = run("project", "--store", url, "--at", at).stdout
    assert "66.7 % of the attempts; the others are not counted" in " ".join(output.split())
    assert "33 % of the attempts have no known price" in " ".join(output.split())
    assert run_json("project", "--store", url, "--at", at)["whole"]["known"] == pytest.approx(2 / 3)


def test_tokens_and_calls_can_be_projected(url: str) -> None:
    """900 tokens in and some 120 out, twice a day; two calls a day."""
    tokens = run_json("project", "--store", url, "--at", AT, "--measure", "tokens")["whole"]
    assert tokens["total"]["expected"] == pytest.approx(30 * 2 * 1_020, rel=0.02)
    calls = run_json("project", "--store", url, "--at", AT, "--measure", "calls")["whole"]
    assert calls["total"]["expected"] == pytest.approx(60, rel=0.02)


def test_days_are_those_of_the_zone(url: str) -> None:
    """On Kiritimati, 14 hours ahead, the first calls were on the 6th, at 2 in the morning."""
    found = run_json("project", "--store", url, "--at", AT, "--zone", "Pacific/Kiritimati")
    assert (found["zone"], found["whole"]["since"]) == ("Pacific/Kiritimati", "2026-10-06")


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 whole days of history are too few to project from: it takes 2."), (5, "is wide")],
)
def test_too_little_history_says_so(tmp_path: Path, count: int, words: str) -> None:
    """And is no error; in JSON the total is null."""
    url = history(tmp_path / "history.db", *(spent(day, 1.0) for day in range(count)))
    arguments = ("project", "--store", url, "--at", "2026-10-10", "--limit-usd", "5")
    result = run(*arguments)
    assert result.exit_code == 0
    assert words in " ".join(result.stdout.split())
    found = run_json(*arguments)
    assert (found["whole"]["total"] is None) == (count == 0)
    assert ("cost" in found["limits"]) == (count > 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--days", "0"], ["--days", "1000"], ["--measure", "euros"], ["--method", "magic"],
        ["--by", "day"], ["--zone", "Mars/Olympus"], ["--window", "year"], ["--limit-usd", "0"],
        ["--limit-tokens", "-1"], ["--at", "yesterday"], ["--at", "2026-13-01"],
        ["--at", "2026-12-01"],
    ],
)  # fmt: skip
def test_wrong_values_are_one_line_on_stderr(url: str, arguments: list[str]) -> None:
    """Exit code 2, and nothing on stdout."""
    result = run("project", "--store", url, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1


def test_a_stream_without_utf_gets_plain_characters(url: str) -> None:
    """The plot is of ASCII alone there."""
    done = subprocess.run(
        [sys.executable, "-m", "budget_proxy", "project", "--store", url, "--at", "2026-11-01"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60,
        check=True,
    )  # fmt: skip
    printed = done.stdout.decode("ascii")
    assert "#" in printed
    assert "|" in printed
    assert "?" not in printed.partition("Ahead")[0]


def test_limits_in_force_are_projected(url: str) -> None:
    """Those of an agent by that agent's days alone, in their own zone; in words too."""
    for options in (
        ("--agent", "coder", "--usd", "40", "--window", "week"),
        ("--agent", "writer", "--tokens", "1000000", "--window", "month", "--zone", "Asia/Tokyo"),
        ("--usd", "500", "--window", "month", "--name", "all"),
        ("--agent", "nobody", "--usd", "1", "--window", "day"),
        ("--agent", "*", "--usd", "1", "--window", "day"),
        ("--usd", "1", "--window", "hour"),
        ("--user", "u", "--usd", "1", "--window", "day"),
    ):
        assert run("limits", "add", "--store", url, *options).exit_code == 0
    found = run_json("project", "--store", url, "--at", AT)["in_force"]
    assert [(one["limit"], one["agent"], one["measure"], one["window"]) for one in found] == [
        (1, "coder", "cost", "week"), (2, "writer", "tokens", "month"), (3, None, "cost", "month"),
        (4, "nobody", "cost", "day"),
    ]  # fmt: skip
    assert found[0]["reach"]["expected"] == "2026-12-03"  # 10 each on four working days
    assert found[0]["reach"]["probability"] > 0.9
    assert found[1]["reach"]["probability"] < 0.05
    assert found[3]["reach"] is None
    assert "Limit 1 of coder" in run("project", "--store", url, "--at", AT).stdout


def test_a_day_that_is_still_to_come_is_refused(url: str) -> None:
    """Nothing is known of it: that would be a projection of nothing. Today is as good as any."""
    result = run("project", "--store", url, "--at", "2026-12-01")
    assert "still to come" in result.stderr
    assert run("project", "--store", url, "--at", AT).exit_code == 0
