from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import answered, history, rows, run, run_json

TASK = "Fix the login bug in production"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Forty answers by coder."""
    return history(tmp_path / "history.db", *(answered(number) for number in range(40)))


def test_json_is_the_whole_prediction(url: str) -> None:
    """Recommended, confidence, phases that add up, alternatives with risks, similar, reasons."""
    found = run_json("predict", TASK, "--agent", "coder", "--model", "gpt-5.4", "--store", url)
    # Lengths are 100..139: the budget that most use to 50-95 % lies above 139 / .95 = 146.3.
    assert 147 <= found["recommended"] <= 200
    assert found["confidence"] > 0.8
    assert sum(found["breakdown"].values()) == found["recommended"]
    lower, higher = found["alternatives"]
    assert lower["tokens"] < found["recommended"] < higher["tokens"]
    assert lower["risk"] > higher["risk"]
    assert found["characteristics"]["task_type"] == "bug-fix"
    assert found["forecast"]["support"] == 40
    assert found["reasons"]


def test_people_get_the_same_in_words(url: str) -> None:
    """Within 80 columns, with similar tasks and their similarity."""
    output = run("predict", TASK, "--agent", "coder", "--model", "gpt-5.4", "--store", url).stdout
    assert max(len(line.rstrip()) for line in output.splitlines()) <= 80
    for text in (
        "Recommended:",
        "thinking",
        "would not suffice",
        "lower",
        "bug-fix",
        "40 outcomes",
    ):
        assert text in output


def test_predicting_records_nothing(url: str) -> None:
    """The history is as it was."""
    before = rows(url)
    run("predict", TASK, "--store", url)
    assert rows(url) == before


def test_another_strategy_on_request(url: str) -> None:
    """``fixed:N`` is N; the heuristic knows the mission's range."""
    fixed = run_json("predict", TASK, "--strategy", "fixed:777", "--store", url)
    assert (fixed["recommended"], fixed["strategy"]) == (777, "fixed:777")
    heuristic = run_json("predict", TASK, "--strategy", "heuristic", "--store", url)
    assert 1000 <= heuristic["recommended"] <= 32_000


def test_a_descriptor_by_value_and_from_a_file(url: str, tmp_path: Path) -> None:
    """Its values win over the text's cues; TEXT may describe what the descriptor leaves out."""
    task = {"type": "review", "complexity": 90, "priority": "High"}
    given = run_json("predict", "--descriptor", json.dumps(task), "--store", url)
    assert given["characteristics"]["task_type"] == "review"
    assert given["characteristics"]["complexity"] == 90
    file = tmp_path / "task.json"
    file.write_text(json.dumps(task))
    read = run_json("predict", TASK, "--descriptor", f"@{file}", "--store", url)
    assert read["characteristics"]["task_type"] == "review"
    assert read["characteristics"]["domains"] == ["auth"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "say what the task is"),
        (["--descriptor", "{"], "no valid JSON"),
        (["--descriptor", "[1]"], "object"),
        (["--descriptor", "@/no/such/file"], "cannot be read"),
        ([TASK, "--descriptor", '{"description": "x"}'], "described twice"),
        (["--descriptor", '{"story_points": "many"}'], "story"),
        ([TASK, "--strategy", "oracle"], "unknown strategy"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(url: str, arguments: list[str], hint: str) -> None:
    """The line says what is wrong."""
    result = run("predict", *arguments, "--store", url)
    assert (result.exit_code, result.stdout) == (2, "")
    assert hint in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_without_history_it_still_answers(tmp_path: Path) -> None:
    """From the prior, and it says so."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    found = run_json("predict", TASK, "--store", url)
    assert found["recommended"] > 0
    assert found["similar"] == []
    assert "No similar tasks" in run("predict", TASK, "--store", url).stdout
