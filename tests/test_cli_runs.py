"""`budget-proxy runs`, and the same over HTTP."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from budget_proxy.ledger.limits import EACH, Limit
from budget_proxy.store import open_store
from tests.command_line import answered, history, run, run_json
from tests.proxied import Answer, running


@pytest.fixture
def now() -> float:
    """This second: whether a run goes on is told by how long it has been silent."""
    return float(int(time.time()))


@pytest.fixture
def url(tmp_path: Path, now: float) -> str:
    """Twelve runs that ended an hour ago, and one with a part that goes on; a hard stop of each."""
    ended = [
        answered(10 * number + step, run=f"old-{number}", ts=now - 7_200 + 20 * number + step)
        for number in range(12)
        for step in range(3)
    ]
    made = history(
        tmp_path / "history.db",
        *ended,
        answered(500, run="ticket-12", ts=now - 9, alarms=("loop ticket-12",)),
        answered(501, run="ticket-12/fix", ts=now - 5, output_tokens=190),
    )
    store = open_store(made)
    store.save_limit(Limit("tokens", 1_000, "lifetime", (("run", EACH),), created=now - 9_000))
    store.close()
    return made


def test_runs_are_listed_with_their_parts_the_newest_first(url: str, now: float) -> None:
    """What the whole used holds what its part did."""
    found = run_json("runs", "--store", url, "--limit", "2")
    names = [(one["run"], one["parent"], one["state"]) for one in found["runs"]]
    assert names == [
        ("ticket-12", None, "open"), ("ticket-12/fix", "ticket-12", "open"),
        ("old-11", None, "ended"),
    ]  # fmt: skip
    whole, part, _ = found["runs"]
    assert (whole["turns"], whole["tokens"], part["tokens"]) == (2, 330, 200)
    assert whole["alarms"] == [{"kind": "loop", "ts": now - 9}]
    facts = {"limit": 1, "unit": "tokens", "size": 1000}
    assert part["hard"] == [
        {**facts, "run": "ticket-12/fix", "used": 200, "left": 800},
        {**facts, "run": "ticket-12", "used": 330, "left": 670},
    ]
    assert whole["forecast"]["p10"] <= whole["forecast"]["p50"] <= whole["forecast"]["p90"]
    rest = run_json("runs", "--store", url, "--after", found["next"])
    assert [one["run"] for one in rest["runs"]] == [f"old-{n}" for n in range(10, -1, -1)]
    assert rest["next"] is None


def test_people_see_a_table(url: str) -> None:
    """Parts are indented under their whole; alarms stand beside the state."""
    lines = run("runs", "--store", url, "--limit", "1").stdout.splitlines()
    whole = next(line for line in lines if line.startswith("ticket-12"))
    part = next(line for line in lines if line.lstrip().startswith("fix"))
    assert part.startswith("  fix")
    assert "open !loop" in whole
    assert ".." in whole
    assert max(map(len, lines)) <= 100


def test_an_extension_is_recorded_and_raises_the_hard_stop(url: str) -> None:
    """Who, when, why and how much are shown; the run has a limit of its own then."""
    found = run_json(
        "runs", "extend", "ticket-12", "--tokens", "500", "--reason", "two tests fail",
        "--store", url,
    )  # fmt: skip
    (given,) = found["granted"]
    assert (given["tokens"], given["who"], given["reason"]) == (
        500, "command line", "two tests fail",
    )  # fmt: skip
    assert abs(given["ts"] - time.time()) < 60
    assert [stop["size"] for stop in found["hard"]] == [1500]
    shown = run("runs", "show", "ticket-12", "--store", url).stdout
    assert "two tests fail" in shown
    assert "1,500 tokens for ticket-12 by limit 2" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nobody"], "no run 'nobody' is known"),
        (
            ["extend", "ticket-21", "--tokens", "5", "--reason", "x"],
            "no run 'ticket-21' is known",
        ),
        (["extend", "ticket-12", "--reason", "why"], "more than 0"),
        (["extend", "ticket-12", "--tokens", "5", "--reason", " "], "needs a reason"),
        (
            ["extend", "ticket-12", "--tokens", "5000000", "--reason", "x"],
            "1,000,000 tokens in all",
        ),
    ],
)
def test_what_cannot_be_is_said(url: str, arguments: list[str], said: str) -> None:
    """In one line on stderr, with exit code 2."""
    result = run("runs", *arguments, "--store", url)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_history_without_runs_says_how_to_name_one(tmp_path: Path) -> None:
    """Nothing to list is no error."""
    made = history(tmp_path / "history.db", answered(1))
    assert "x-budget-run" in run("runs", "--store", made).stdout
    assert run_json("runs", "--store", made) == {"runs": [], "next": None}


def test_http_tells_the_same_and_extends(tmp_path: Path, url: str) -> None:
    """Names with slashes may stand in the path, escaped or not."""
    with running(tmp_path, Answer()) as proxy:
        base = f"{proxy.url}/v1/budget/runs"
        listed = httpx.get(base, params={"limit": 1}).json()
        assert [one["run"] for one in listed["runs"]] == ["ticket-12", "ticket-12/fix"]
        part = httpx.get(f"{base}/ticket-12/fix").json()
        assert part == httpx.get(f"{base}/ticket-12%2Ffix").json()
        printed = run_json("runs", "show", "ticket-12/fix", "--store", url)
        assert {**part, "grounds": 0, "state": 0} == {**printed, "grounds": 0, "state": 0}
        assert httpx.get(f"{base}/nobody").status_code == 404
        more = {"run": "ticket-12/fix", "tokens": 50, "reason": "it grew"}
        extended = httpx.post(f"{base}/extend", json=more).json()
        assert [(one["who"], one["tokens"]) for one in extended["granted"]] == [("http", 50)]
        wrong = httpx.post(f"{base}/extend", json={**more, "tokens": 2_000_000})
        assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "invalid_request_error")
        typo = httpx.post(f"{base}/extend", json={**more, "run": "ticket-21"})
        assert (typo.status_code, "is known" in typo.json()["error"]["message"]) == (400, True)
        assert httpx.get(f"{base}/ticket-21").status_code == 404
        assert httpx.get(base, params={"after": "x"}).status_code == 400


def test_a_name_that_would_steer_a_terminal_is_shown_and_not_sent(
    tmp_path: Path, now: float
) -> None:
    """Whoever calls chooses a run's name; an operator's terminal obeys none."""
    name = "r\x1b]0;owned\x07\x1b[31m\u202ex\r\ny"
    rows = [answered(n, run=f"{name}{n}", agent=f"a{name}", ts=now - n) for n in range(2)]
    made = history(tmp_path / "odd.db", *rows)
    for words in (["--limit", "1"], ["show", f"{name}0"], ["show", f"{name}0/part"]):
        told = run("runs", *words, "--store", made).output
        assert "\\x1b" in told
        assert not set(told) & set("\x1b\x07\u202e\r")
