from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from budget_proxy.cli.app import app
from tests.run_steps import made_up


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Forty runs, two rows that belong to none, and one that cannot be read."""
    rows = [
        {
            "ts": step.ts, "model": step.model, "agent": step.agent, "session": step.run,
            "messages": [{"role": "user", "content": f"output {step.digest}"}],
            "input_tokens": step.input_tokens, "output_tokens": step.output_tokens,
            "cost_usd": step.cost,
        }
        for step in made_up(40)
    ]  # fmt: skip
    rows += [{**rows[-1], "session": None}, {**rows[-1], "output_tokens": None}]
    file = tmp_path / "calls.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    return file


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["backtest", *map(str, arguments), "--runs"])


def test_runs_are_scored_for_people(recording: Path) -> None:
    """Tables by calls seen, what they mean, the alarms, and what was left out."""
    result = _run(recording)
    assert result.exit_code == 0, result.output
    calls = len(made_up(40))
    assert f"calls.jsonl: 40 runs forecast before each of {calls} calls" in result.stdout
    for text in ("All runs", "Last 40 % of the runs", "p90/p10", "skill", "1 rows left out",
                 "no valid JSON", "runs that raised an alarm: runaway"):  # fmt: skip
        assert text in result.stdout
    lines = [line for line in result.stdout.splitlines() if "no valid JSON" not in line]
    assert max(map(len, lines)) <= 80
    assert result.stderr == ""  # no terminal, no progress bar


def test_runs_are_scored_as_json_and_nothing_else(recording: Path) -> None:
    """--json gives the same stages, with the cost where it is known."""
    result = _run(recording, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["runs"], found["malformed"]) == (40, 1)
    assert [stage["seen"] for stage in found["all"]][:4] == [0, 1, 2, 4]
    first = found["last_40_percent"][0]
    assert first["runs"] == 16
    assert 0.0 <= first["cost"] <= 1.0
    assert set(found["alarms"]) == {"runaway", "loop"}


def test_a_recording_without_runs_is_told(tmp_path: Path) -> None:
    """Rows that name no session: nothing to score, and no error."""
    file = tmp_path / "calls.jsonl"
    file.write_text(json.dumps({"ts": 1.7e9, "model": "m", "output_tokens": 5}) + "\n")
    result = _run(file)
    assert result.exit_code == 0
    assert "Too few calls name their run" in result.stdout


@pytest.mark.parametrize(
    "option", [["--strategy", "quantile"], ["--compare"], ["--groups"], ["--out", "x.jsonl"]]
)
def test_what_is_of_calls_alone_is_refused(recording: Path, option: list[str]) -> None:
    """Options of the backtest of calls do not go with --runs."""
    result = _run(recording, *option)
    assert result.exit_code != 0
    assert "only --json goes with it" in result.output
