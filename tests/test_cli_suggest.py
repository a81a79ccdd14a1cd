from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.settings import FILE, load
from budget_proxy.store import open_store
from budget_proxy.types import CallRecord
from tests.command_line import history, run, run_json
from tests.scenes import calls

ESCAPE = 'we"ird.\n\x1b[31m'


def recent(count: int, **given: Any) -> list[CallRecord]:
    """Calls of the last days: one every minute, the newest now."""
    start = time.time() - 60 * count
    return calls(count, ts=lambda i: start + 60 * i, **given)


def arms(agent: str, sign: str) -> list[CallRecord]:
    """Notes that lengthen this agent's answers, against its holdout."""
    facts: dict[str, Any] = {
        "agent": agent, "model": "gpt-4.1", "call_id": lambda i: f"{sign}{i}",
    }  # fmt: skip
    return [
        *recent(100, output_tokens=lambda i: 240 + 20 * (i % 2), guidance="g", guidance_tokens=40,
                session=lambda i: f"{sign}{i}", **facts),
        *recent(100, output_tokens=lambda i: 190 + 20 * (i % 2), arm="holdout",
                session=lambda i: f"{sign}h{i}", **facts),
    ]  # fmt: skip


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Notes that do not pay, of two agents, and a cap that is far above what is used."""
    monkeypatch.chdir(tmp_path)
    far = recent(60, agent="writer", task_type="review", model="gpt-4.1", ceiling=8192)
    return history(tmp_path / "history.db", *arms("coder", "a"), *arms(ESCAPE, "b"), *far)


def test_json_has_each_suggestion_with_the_command_that_applies_it(url: str) -> None:
    """Most money first; nothing else is printed."""
    found = run_json("suggest", "--store", url, "--by", "agent")
    kinds = [one["kind"] for one in found["suggestions"]]
    assert kinds == ["guidance", "guidance", "over-allocated"]
    first, _, last = found["suggestions"]
    assert last["setting"] is None
    assert last["command"] is None
    # A day at least, so that 60 calls of an hour are 60 a day: 8,192 - 192 of each.
    assert (found["days"], last["tokens"]) == (1.0, 30 * 60 * 8000)
    assert shlex.split(first["command"])[2:] == ["--apply", first["id"], "--store", url]
    assert {one["group"] for one in found["by"]} == {"coder", ESCAPE, "writer"}
    writer = next(one for one in found["by"] if one["group"] == "writer")
    assert (writer["reserved"], writer["tokens"]) == (30 * 60 * 8000, 0)


def test_people_see_what_to_do_what_it_is_worth_and_what_it_is_not(url: str) -> None:
    """And nothing that an agent's name could do to their terminal."""
    result = run("suggest", "--store", url, "--by", "task")
    assert result.exit_code == 0
    for text in (
        "3 suggestions",
        "Worth: 14,400,000 reserved tokens; $0.00. Room in reservations",
        "saves no money by itself.",
        'Do:    guidance = "off" for agent coder',
        "budget-proxy suggest --apply ",
        "Sure:  medium (n = 100); one setting",
        "Calls: a99, a98",
        "writer / review / gpt-4.1",
        "overlap",
        r"\x1b[31m",
    ):
        assert text in result.stdout
    lines = [line for line in result.stdout.splitlines()[1:] if "--apply" not in line]
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "\x1b" not in result.stdout


def test_a_suggestion_is_applied_by_its_command_and_undone_by_what_that_says(url: str) -> None:
    """The round trip of a person, in a directory with a settings file of theirs."""
    Path(FILE).write_text("# mine\nholdout = 0.1\n")
    first = run_json("suggest", "--store", url, "--kind", "guidance")["suggestions"][0]
    dry = run(*shlex.split(first["command"])[1:], "--dry-run")
    assert '+guidance = "off"' in dry.stdout
    assert "Nothing was written" in dry.stdout
    assert Path(FILE).read_text() == "# mine\nholdout = 0.1\n"
    made = run_json(*shlex.split(first["command"])[1:])
    assert (made["number"], made["in_force"], made["dry_run"]) == (1, True, False)
    assert load().agents[first["agent"]].guidance == "off"
    rest = run_json("suggest", "--store", url, "--kind", "guidance")["suggestions"]
    assert first["id"] not in {one["id"] for one in rest}
    assert "in force" in run("suggest", "--store", url, "--applied").stdout
    result = run(*shlex.split(made["undo"])[1:])
    assert result.exit_code == 0
    assert '-guidance = "off"' in result.stdout
    assert Path(FILE).read_text() == "# mine\nholdout = 0.1\n"
    listed = run_json("suggest", "--store", url, "--applied")["applied"]
    assert listed[0]["undone"] is not None


def test_suggestions_about_one_agent_or_model(url: str) -> None:
    """The command that applies asks for the same, whatever the agent is called."""
    (found,) = run_json("suggest", "--store", url, "--agent", ESCAPE)["suggestions"]
    assert found["agent"] == ESCAPE
    made = run_json(*shlex.split(found["command"])[1:])
    assert load().agents[ESCAPE].guidance == "off"
    assert run_json(*shlex.split(made["undo"])[1:])["setting"]["path"][1] == ESCAPE
    assert not Path(FILE).exists()
    assert run_json("suggest", "--store", url, "--model", "other")["suggestions"] == []


def test_ids_stay_the_same_as_the_history_grows(url: str) -> None:
    """They name what is suggested about whom, not a place in a list."""
    before = {one["id"] for one in run_json("suggest", "--store", url)["suggestions"]}
    store = open_store(url)
    store.append(recent(60, agent="third", task_type="analysis", model="gpt-4.1", ceiling=8192))
    store.close()
    after = {one["id"] for one in run_json("suggest", "--store", url)["suggestions"]}
    assert before < after


def test_a_variable_that_goes_before_the_file_is_told(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is written all the same."""
    found = run_json("suggest", "--store", url, "--kind", "guidance")["suggestions"]
    coder = next(one["id"] for one in found if one["agent"] == "coder")
    monkeypatch.setenv("BUDGET_PROXY_AGENTS", '{"coder": {"guidance": "compact"}}')
    result = run("suggest", "--store", url, "--apply", coder)
    assert "says otherwise" in result.stdout
    assert 'guidance = "off"' in Path(FILE).read_text()


def test_a_history_that_gives_no_reason_says_what_it_takes(tmp_path: Path) -> None:
    """Fifty calls, and a bound."""
    url = history(tmp_path / "history.db", *recent(49, ceiling=8192, model="gpt-4.1"))
    result = run("suggest", "--store", url)
    assert result.exit_code == 0
    assert "Nothing to suggest from 49 calls of the last 30d" in result.stdout
    assert run_json("suggest", "--store", url)["suggestions"] == []
    assert "Nothing was applied" in run("suggest", "--store", url, "--applied").stdout


def test_a_strategy_that_learns_already_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of budgets nothing is suggested then, and what was applied says how to undo it."""
    monkeypatch.chdir(tmp_path)
    ruled = recent(
        200, model="gpt-4.1", strategy="heuristic", recommended=2000, output_tokens=500,
    )  # fmt: skip
    url = history(tmp_path / "history.db", *ruled)
    output = run("suggest", "--store", url, "--kind", "budget").stdout
    assert "the strategy is auto already" in " ".join(output.split())
    Path(FILE).write_text('strategy = "heuristic"\n')
    (found,) = run_json("suggest", "--store", url, "--kind", "budget")["suggestions"]
    made = run_json(*shlex.split(found["command"])[1:])
    again = run(*shlex.split(found["command"])[1:])
    assert (again.exit_code, len(again.stderr.splitlines())) == (2, 1)
    assert f"suggest --undo {made['number']}`" in again.stderr
    unknown = run("suggest", "--store", url, "--apply", "abcdef")
    assert "there is no suggestion abcdef" in unknown.stderr


def test_older_calls_are_left_out(tmp_path: Path) -> None:
    """The last 30 days count, unless more is asked for."""
    old = time.time() - 40 * 86_400
    rows = calls(60, ts=lambda i: old + i, ceiling=8192, model="gpt-4.1")
    url = history(tmp_path / "history.db", *rows)
    assert run_json("suggest", "--store", url)["suggestions"] == []
    (found,) = run_json("suggest", "--store", url, "--since", "60d")["suggestions"]
    assert found["tokens"] == pytest.approx(60 * 8000 * 30 / 40, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--kind", "magic"], "over-allocated"),
        (["--by", "day"], "agent"),
        (["--since", "soon"], "7d"),
        (["--apply", "zzz"], "can be applied"),
        (["--apply", "zzz", "--undo", "1"], "one of"),
        (["--dry-run"], "--apply or --undo"),
        (["--undo", "7"], "number 7"),
    ],
)
def test_wrong_values_are_one_line_on_stderr(url: str, arguments: list[str], says: str) -> None:
    """Exit code 2, and what to write instead."""
    result = run("suggest", "--store", url, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr


def test_a_change_of_code_says_that_no_setting_does_it(url: str) -> None:
    """What is to be done stands in the error."""
    (found,) = run_json("suggest", "--store", url, "--kind", "over-allocated")["suggestions"]
    result = run("suggest", "--store", url, "--apply", found["id"])
    assert result.exit_code == 2
    assert "in the calling code" in result.stderr
