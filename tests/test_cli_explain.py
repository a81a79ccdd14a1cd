from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.assemble import Engine
from budget_proxy.types import Scope
from budget_proxy.wire.single import single_message
from tests.command_line import answered, history, run, run_json

SECRET = "Fix the login bug that Zebulon reported in production"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Forty answers by coder, no holdout, and floors that let caps be seen."""
    monkeypatch.setenv("BUDGET_PROXY_HOLDOUT", "0")
    monkeypatch.setenv("BUDGET_PROXY_FLOOR", "64")
    monkeypatch.setenv("BUDGET_PROXY_REASONING_FLOOR", "64")
    return history(tmp_path / "history.db", *(answered(number) for number in range(40)))


def _explain(url: str, *arguments: str) -> Any:
    return run_json("explain", SECRET, "--store", url, *arguments)


def test_json_has_characteristics_forecast_allocation_and_diff(url: str) -> None:
    """With evidence by cue names, levels, all numbers, the reason, and every change."""
    found = _explain(url, "--agent", "coder", "--model", "gpt-5.4")
    assert found["characteristics"]["task_type"] == "bug-fix"
    assert any("fix" in cue for cue in found["characteristics"]["evidence"]["task_type"])
    assert found["forecast"]["support"] == 40
    assert list(found["forecast"]["quantiles"]) == ["q50", "q75", "q90", "q95", "q99"]
    assert len(found["forecast"]["levels"]) == len(found["forecast"]["values"])
    given = found["allocation"]
    assert given["mode"] == "enforce"
    assert "40 outcomes of coder + bug-fix + gpt-5.4" in given["reason"]
    assert given["cap"] == round(1.5 * found["forecast"]["quantiles"]["q99"])
    assert 150 <= given["cap"] <= 300  # lengths are 100..139
    diff = {one["path"]: one for one in found["diff"]}
    assert diff["$.max_completion_tokens"]["value"] == given["cap"]
    (note,) = [one for one in found["diff"] if isinstance(one["value"], str)]
    assert note["value"].startswith("<budget>")
    assert note["change"] == "added"


def test_the_text_is_never_repeated(url: str) -> None:
    """Neither for programs nor for people."""
    for arguments in ([], ["--json"]):
        result = run("explain", SECRET, "--agent", "coder", "--store", url, *arguments)
        assert result.exit_code == 0
        assert "Zebulon" not in result.stdout
        assert "login" not in result.stdout.replace("keyword:login", "")


def test_nothing_is_recorded(url: str, tmp_path: Path) -> None:
    """No row, no session, no guidance."""
    for _ in range(2):
        _explain(url, "--agent", "coder")
    with sqlite3.connect(tmp_path / "history.db") as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 (our own names)
            for table in ("calls", "sessions", "guidance")
        ]
    connection.close()
    assert counts == [40, 0, 0]


def test_a_dry_run_leaves_the_engine_as_it_was(url: str) -> None:
    """The session that it planned for is not held, so that a real call is given it anew."""
    body = single_message("openai.chat", SECRET, model="gpt-5.4")
    with Engine.open(url) as engine:
        scope = Scope(agent="coder", session="s1")
        assert engine.fitted()  # else a fit may come between the two
        looked = engine.plan(api="openai.chat", body=body, scope=scope, dry_run=True)
        assert looked.pending is None
        assert engine.store.counts()["sessions"] == 0
        real = engine.plan(api="openai.chat", body=body, scope=scope)
        assert real.pending is not None
        assert real.body == looked.body
        engine.flush()
        assert engine.store.counts()["sessions"] == 1


def test_without_evidence_the_call_is_observed_and_the_reason_says_so(url: str) -> None:
    """An agent that the history does not know: nothing is written."""
    found = _explain(url, "--agent", "stranger", "--model", "gpt-5.4")
    assert found["allocation"]["reason"].startswith("observed: 0 of 20 outcomes")
    assert found["diff"] == []
    output = run("explain", SECRET, "--agent", "stranger", "--store", url).stdout
    assert "Nothing would be written" in output


@pytest.mark.parametrize(
    ("api", "parameter"),
    [("openai.responses", "$.max_output_tokens"), ("anthropic.messages", "$.max_tokens")],
)
def test_every_api_in_its_own_spelling(
    url: str, monkeypatch: pytest.MonkeyPatch, api: str, parameter: str
) -> None:
    """Our cap lowers the caller's of 4,000."""
    monkeypatch.setenv("BUDGET_PROXY_CAPS", "always")
    found = _explain(
        url, "--api", api, "--agent", "coder", "--model", "gpt-5.4", "--max-tokens", "4000"
    )
    (change,) = [one for one in found["diff"] if one["path"] == parameter]
    assert (found["api"], change["change"]) == (api, "changed")
    assert change["value"] == found["allocation"]["cap"] < 4000


def test_a_stream_asks_for_usage_and_keeps_the_callers_cap(url: str) -> None:
    """Design: caps on plain calls only."""
    found = _explain(url, "--agent", "coder", "--model", "gpt-5.4", "--stream")
    assert found["allocation"]["cap"] is None
    paths = [one["path"] for one in found["diff"]]
    assert "$.stream_options.include_usage" in paths
    assert "$.max_completion_tokens" not in paths


def test_the_model_is_the_newest_of_the_history_where_none_is_named(tmp_path: Path) -> None:
    """Of that API and agent; a current one where there is none."""
    rows = (answered(1, model="old"), answered(2, model="new"), answered(3, model="x", agent="b"))
    url = history(tmp_path / "history.db", *rows)
    assert _explain(url, "--agent", "coder")["model"] == "new"
    assert _explain(url)["model"] == "x"
    other = _explain(url, "--api", "anthropic.messages", "--agent", "coder")["model"]
    assert other.startswith("claude-")


def test_people_see_the_numbers_and_our_text(url: str) -> None:
    """Four numbers, reason, evidence, and the note as it would be sent."""
    output = run("explain", SECRET, "--agent", "coder", "--store", url).stdout
    for text in (
        "Forecast",
        "reserve",
        "Reason",
        "keyword:fix",
        "$.messages[0].content",
        "<budget>",
    ):
        assert text in output


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(["--api", "gemini"], "openai.chat"), (["--max-tokens", "0"], "--max-tokens")],
)
def test_wrong_options(url: str, arguments: list[str], hint: str) -> None:
    """Exit code 2, and what is known."""
    result = run("explain", SECRET, "--store", url, *arguments)
    assert result.exit_code == 2
    assert hint in result.stderr
