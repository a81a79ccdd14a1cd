from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from budget_proxy.cli.app import app

LEVEL_NAMES = ("q50", "q75", "q90", "q95", "q99")


def _call(number: int, tokens: int | None = 100, **more: Any) -> dict[str, Any]:
    row = {
        "ts": 1.7e9 + number,
        "model": "gpt-x",
        "messages": [{"role": "user", "content": f"What is the capital of country {number}?"}],
        "input_tokens": 12,
        "output_tokens": tokens,
        "agent": "facts",
    }
    return {name: value for name, value in {**row, **more}.items() if value is not None}


def _write(path: Path, rows: list[Any]) -> Path:
    path.write_text(
        "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
    )
    return path


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Thirty calls of one agent that return 81 to 110 tokens."""
    return _write(tmp_path / "calls.jsonl", [_call(n, 81 + n * 7 % 30) for n in range(30)])


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["backtest", *map(str, arguments)])


def _json(*arguments: str | Path) -> Any:
    result = _run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def _predictions(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_summary_is_printed_for_people(recording: Path) -> None:
    """Without options: the default strategy, its quantiles and its budgets, as a table."""
    result = _run(recording)
    assert result.exit_code == 0
    assert "calls.jsonl, strategy learned: 30 rows predicted" in result.stdout
    for text in ("q95", "skill", "accurate: 50-95 % used", "calls scored", "attainable"):
        assert text in result.stdout
    assert result.stderr == ""  # no terminal, no progress bar


def test_the_summary_is_json_and_nothing_else(recording: Path) -> None:
    """--json gives the scores of all rows and of the last 40 %, by level."""
    found = _json(recording, "--strategy", "fixed:100")
    assert (found["strategy"], found["rows"], found["malformed"]) == ("fixed:100", 30, 0)
    assert (found["all"]["n"], found["last_40_percent"]["n"]) == (30, 12)
    # 81 + 7 n mod 30 takes every value from 81 to 110 once; 20 of them are at most 100, and
    # with a budget of 100 those above 95, which are 15, count as under-allocated.
    assert found["all"]["coverage"] == dict.fromkeys(LEVEL_NAMES, pytest.approx(20 / 30))
    assert found["all"]["under"] == pytest.approx(15 / 30)
    assert found["all"]["skill"] is None
    assert set(found["last_40_percent"]["skill"]) == set(LEVEL_NAMES)


def test_baselines_and_the_control_stand_beside(recording: Path) -> None:
    """--compare prints one table of all of them on the same rows; JSON has the same."""
    result = _run(recording, "--strategy", "rolling", "--compare")
    table = result.stdout.partition("Compared on the last 40 %")[2]
    names = [line.split()[0] for line in table.splitlines()[3:10]]
    expected = [
        "rolling", "heuristic", "similarity", "quantile", "fixed:4096", "fixed:15000", "shuffled",
    ]  # fmt: skip
    assert names == expected
    found = _json(recording, "--strategy", "rolling", "--compare")
    assert [one["strategy"] for one in found["comparison"]] == expected
    by_name = {one["strategy"]: one["last_40_percent"] for one in found["comparison"]}
    assert {scores["n"] for scores in by_name.values()} == {12}
    alone = _json(recording, "--strategy", "quantile")
    del alone["last_40_percent"]["seconds"], by_name["quantile"]["seconds"]
    assert by_name["quantile"] == alone["last_40_percent"]
    assert "comparison" not in alone


def test_the_control_has_the_outcomes_of_other_calls(tmp_path: Path) -> None:
    """A strategy that tells three agents apart cannot once their lengths are permuted."""
    rows = [_call(n, (40, 400, 4000)[n % 3], agent=f"a{n % 3}") for n in range(402)]
    found = _json(_write(tmp_path / "calls.jsonl", rows), "--compare")["comparison"]
    skill = {one["strategy"]: one["last_40_percent"]["skill"]["q50"] for one in found}
    assert skill["rolling"] > 0.95
    assert skill["shuffled"] < 0.10


def test_groups_of_two_hundred_calls_are_told_apart(tmp_path: Path) -> None:
    """--groups shows coverage by model and agent, with a star where it is too far off."""
    rows = [_call(n, 50 if n % 2 else 500, agent=f"a{n % 2}") for n in range(1000)]
    file = _write(tmp_path / "calls.jsonl", rows)
    found = _json(file, "--strategy", "fixed:100")
    assert [(one["by"], one["name"], one["n"]) for one in found["groups"]] == [
        ("model", "gpt-x", 400), ("agent", "a0", 200), ("agent", "a1", 200),
    ]  # fmt: skip
    assert found["groups"][0]["holds"] == dict.fromkeys(LEVEL_NAMES, False) | {"q50": True}
    assert found["groups"][1]["coverage"]["q95"] == 0.0
    assert found["groups"][2]["allowed"]["q95"] == pytest.approx(0.05)
    shown = _run(file, "--strategy", "fixed:100", "--groups").stdout
    assert "100.0 %*" in shown
    assert "a0" in shown
    assert "a0" not in _run(file, "--strategy", "fixed:100").stdout


def test_confidence_is_told_by_decile(recording: Path) -> None:
    """Ten parts of the scored calls, with the confidence promised and the share that held."""
    parts = _json(recording, "--strategy", "fixed:100")["confidence_by_decile"]
    assert [part["n"] for part in parts] == [2, 2, 1, 1, 1, 1, 1, 1, 1, 1]
    assert {part["promised"] for part in parts} == {0.0}
    assert sum(part["n"] * part["held"] for part in parts) == 6  # 81 to 95 among the last twelve
    assert "decile" in _run(recording, "--groups").stdout


def test_predictions_are_written_one_line_a_row(recording: Path, tmp_path: Path) -> None:
    """--out gets every row in order, with five ascending quantiles and what made them."""
    out = tmp_path / "predictions.jsonl"
    assert _run(recording, "--out", out).exit_code == 0
    lines = _predictions(out)
    assert [line["i"] for line in lines] == list(range(30))
    for line in lines:
        assert list(line) == ["i", *LEVEL_NAMES, "recommended", "strategy", "seconds"]
        values = [line[name] for name in LEVEL_NAMES]
        assert values == sorted(values)
        assert line["strategy"] == "learned"
        assert line["seconds"] > 0
    # After thirty calls of about 95 tokens the forecast is near them; before, it is the prior.
    assert lines[0]["q50"] == pytest.approx(260, rel=0.01)
    assert lines[-1]["q50"] == pytest.approx(95, rel=0.10)


@pytest.mark.parametrize(
    "strategy", ["auto", "quantile", "rolling", "similarity", "heuristic", "fixed:4096"]
)
def test_a_prediction_knows_only_the_rows_before_it(tmp_path: Path, strategy: str) -> None:
    """Changing everything that came back from row 20 on leaves predictions 0 to 20 alike."""

    def predictions(name: str, *, changed: bool) -> list[dict[str, Any]]:
        after = {
            "output_tokens": 9000, "input_tokens": 9000, "cached_tokens": 5, "quality": 0.0,
            "finish_reason": "length", "reasoning_tokens": 8000, "cost_usd": 9.0,
        }  # fmt: skip
        rows = [_call(n, 80 + n, **(after if changed and n >= 20 else {})) for n in range(25)]
        out = tmp_path / f"{name}.out"
        assert _run(
            _write(tmp_path / name, rows), "--strategy", strategy, "--out", out
        ).exit_code == 0  # fmt: skip
        lines = _predictions(out)
        for line in lines:
            del line["seconds"]
        return lines

    first, second = predictions("one", changed=False), predictions("two", changed=True)
    assert first[:21] == second[:21]
    if strategy in {"auto", "quantile", "rolling", "similarity"}:
        assert first[21:] != second[21:]


def test_a_packed_recording_is_read_alike(recording: Path, tmp_path: Path) -> None:
    """A .jsonl.gz gives the scores of the .jsonl."""
    packed = tmp_path / "calls.jsonl.gz"
    packed.write_bytes(gzip.compress(recording.read_bytes()))
    one, other = _json(recording)["all"], _json(packed)["all"]
    del one["seconds"], other["seconds"]
    assert one == other


def test_malformed_rows_are_named_and_left_out(tmp_path: Path) -> None:
    """Each is reported with its line and reason; ``i`` counts them all the same."""
    file = _write(
        tmp_path / "calls.jsonl",
        [_call(0), "{broken\n", "\n", _call(2, -5), {"model": "m"}, _call(4), "[]\n"],
    )
    out = tmp_path / "out.jsonl"
    result = _run(file, "--out", out)
    assert result.exit_code == 0
    assert [line["i"] for line in _predictions(out)] == [0, 4]
    assert "4 rows left out" in result.stdout
    for text in ("line 2: no valid JSON", "line 4: output_tokens", "line 5: ts", "line 7:"):
        assert text in result.stdout
    found = _json(file)
    assert found["malformed"] == 4
    assert [reason["line"] for reason in found["reasons"]] == [2, 4, 5, 7]


def test_a_long_list_of_malformed_rows_is_cut(tmp_path: Path) -> None:
    """Twenty reasons are enough; the rest is counted."""
    result = _run(_write(tmp_path / "calls.jsonl", [_call(0), *["{\n"] * 23]))
    assert result.stdout.count("no valid JSON") == 20
    assert "and 3 more" in result.stdout


def test_rows_without_a_length_are_predicted_but_neither_learned_nor_scored(
    tmp_path: Path,
) -> None:
    """Unknown, zero and failed outcomes leave the forecast that follows as it was."""
    rows = [
        _call(0), _call(1, None), _call(2, 0), _call(3, 9000, finish_reason="error"), _call(4),
    ]  # fmt: skip
    out = tmp_path / "out.jsonl"
    found = _json(_write(tmp_path / "calls.jsonl", rows), "--out", out)
    assert (found["rows"], found["all"]["n"]) == (5, 2)
    medians = [line["q50"] for line in _predictions(out)]
    assert medians[0] != medians[1]
    assert medians[1:] == [medians[1]] * 4


def test_nothing_to_score_is_said(tmp_path: Path) -> None:
    """A recording without a single length ends in that sentence, or in nulls."""
    file = _write(tmp_path / "calls.jsonl", [_call(0, None)])
    assert "nothing to score" in _run(file).stdout
    assert _json(file)["all"] is None


def test_answers_at_their_cap_are_learned_as_lower_bounds(tmp_path: Path) -> None:
    """Where half of the answers end at the cap, the upper quantiles exceed it."""
    rows = [_call(n, 500 if n % 2 else 100, max_tokens=500) for n in range(60)]
    out = tmp_path / "out.jsonl"
    assert _run(_write(tmp_path / "calls.jsonl", rows), "--out", out).exit_code == 0
    assert _predictions(out)[-1]["q90"] > 600


def test_rows_without_text_or_model_are_predicted_by_their_service(tmp_path: Path) -> None:
    """A load trace has only a service and token counts; the service is the agent."""
    rows = [
        {"ts": n, "service": "code" if n % 2 else "conv", "input_tokens": 9, "output_tokens": size}
        for n, size in enumerate([400, 20] * 30)
    ]
    out = tmp_path / "out.jsonl"
    assert _run(_write(tmp_path / "trace.jsonl", rows), "--out", out).exit_code == 0
    conversation, code = _predictions(out)[-2:]
    assert conversation["q50"] == pytest.approx(400, rel=0.1)
    assert code["q50"] == pytest.approx(20, abs=1)


def test_odd_messages_do_not_stop_it(tmp_path: Path) -> None:
    """Nulls, images, other scripts and unknown roles are predicted like anything else."""
    oddities: list[Any] = [
        [], [{}], [{"role": "user", "content": None}], [{"role": 7, "content": "?"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
        [{"role": "user", "content": "これは何ですか\u0000"}],
    ]  # fmt: skip
    rows = [_call(n, messages=messages) for n, messages in enumerate(oddities)]
    found = _json(_write(tmp_path / "calls.jsonl", rows))
    assert (found["rows"], found["malformed"]) == (len(oddities), 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl cannot be read"),
        (
            ["{file}", "--strategy", "best"],
            "known are auto, learned, heuristic, similarity",
        ),
        (["{file}", "--strategy", "fixed:0"], ">= 1"),
        (["{file}", "--out", "{file}"], "is the recording itself"),
        (["{file}", "--out", "/nowhere/out.jsonl"], "cannot be written"),
    ],
)
def test_what_the_user_got_wrong_is_one_line_and_exit_code_2(
    recording: Path, arguments: list[str], says: str
) -> None:
    """The message says what is wrong; nothing is printed on stdout, nothing overwritten."""
    before = recording.read_bytes()
    result = _run(*(text.replace("{file}", str(recording)) for text in arguments))
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert recording.read_bytes() == before


def test_a_terminal_gets_a_progress_bar(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where someone watches, stderr shows how far it is; with --json it stays silent."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes that for a terminal
    assert "Backtesting" in _run(recording).stderr
    assert "Backtesting" in _run(recording, "--compare").stderr
    assert _json(recording)["rows"] == 30


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy", ["quantile", "rolling", "similarity", "heuristic", "fixed:4096"]
)
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("chat", 9468), ("reasoning", 2348), ("agent_steps", 9675), ("coding_agent_steps", 2645),
    ],
)  # fmt: skip
def test_every_recording_runs_through_every_strategy(
    recorded: Path, name: str, rows: int, strategy: str
) -> None:
    """All recorded files with text are predicted whole, row by row, by every strategy."""
    found = _json(recorded / f"{name}.jsonl.gz", "--strategy", strategy)
    assert (found["rows"], found["malformed"]) == (rows, 0)
    assert found["all"]["n"] == rows


@pytest.mark.slow
def test_quantile_beats_static_quantiles_by_model_on_chat(recorded: Path) -> None:
    """On the last 40 % of chat it has skill at every level, and q95 covers 95 %."""
    last = _json(recorded / "chat.jsonl.gz", "--strategy", "quantile")["last_40_percent"]
    assert last["skill"]["q50"] > 0.10
    assert all(skill > 0 for skill in last["skill"].values())
    assert last["coverage"]["q95"] == pytest.approx(0.95, abs=0.015)
    assert last["accuracy"] == pytest.approx(last["attainable"], abs=0.03)
