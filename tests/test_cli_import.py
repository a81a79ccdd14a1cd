from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.assemble import Engine
from budget_proxy.policy.rollout import pseudonym
from budget_proxy.predict.recorded import features_of
from budget_proxy.predict.signals import decode
from budget_proxy.store import open_store
from tests.command_line import answered, history, rows, run, run_json
from tests.exported import FOLDER
from tests.makers import NOW, record


def _call(number: int, **more: Any) -> dict[str, Any]:
    row = {
        "ts": NOW + number,
        "model": "gpt-5.4",
        "messages": [{"role": "user", "content": f"Fix the login bug number {number} Zebulon"}],
        "input_tokens": 50,
        "output_tokens": 100 + number,
        "agent": "coder",
        "session": f"run-{number // 10}",
    }
    return {name: value for name, value in {**row, **more}.items() if value is not None}


def _write(path: Path, *lines: Any) -> Path:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    path.write_text(text)
    return path


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A history that does not exist yet."""
    return f"sqlite:///{tmp_path / 'history.db'}"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Thirty calls of one agent."""
    return _write(tmp_path / "calls.jsonl", *(_call(number) for number in range(30)))


def _imported(url: str, *arguments: str | Path) -> Any:
    return run_json("import", *arguments, "--store", url)


def _finding(found: Any, kind: str) -> tuple[int, list[str]]:
    """How many rows of a kind were found, and the examples."""
    (one,) = (one for one in found["findings"] if one["kind"] == kind)
    return one["rows"], one["examples"]


def test_rows_are_classified_and_written(url: str, tmp_path: Path) -> None:
    """With what the recording says, no forecast, and the text's kind but not the text."""
    call = _call(
        1, reasoning_tokens=20, cached_tokens=30, finish_reason="STOP", max_tokens=4096,
        task="T-1", cost_usd=0.5, quality=0.9,
    )  # fmt: skip
    found = _imported(url, _write(tmp_path / "calls.jsonl", call))
    assert (found["read"], found["written"], found["skipped"]) == (1, 1, 0)
    (row,) = rows(url)
    assert (row.ts, row.model, row.agent, row.task) == (NOW + 1, "gpt-5.4", "coder", "T-1")
    assert (row.input_tokens, row.output_tokens, row.reasoning_tokens) == (50, 101, 20)
    assert (row.cache_read_tokens, row.ceiling, row.score) == (30, 4096, 0.9)
    assert (row.cost, row.prices, row.finish_reason) == (0.5, "recorded", "stop")
    assert (row.strategy, row.mode, row.recommended, row.q95) == ("import", "observe", None, None)
    assert row.task_type == "bug-fix"
    assert "auth" in row.domains
    assert row.novelty == 1.0


def test_a_call_with_messages_is_kept_with_its_signals(url: str, tmp_path: Path) -> None:
    """What a forecast learns from; a call without messages tells none."""
    told = _call(1)
    silent = {**_call(2), "messages": []}
    assert _imported(url, _write(tmp_path / "calls.jsonl", told, silent))["written"] == 2
    opened = open_store(url)
    first, second = opened.recent(9)
    opened.close()
    assert decode(first.signals) is not None
    assert second.signals == b""


def test_no_text_and_no_session_name_is_stored(url: str, recording: Path, tmp_path: Path) -> None:
    """The file of the history holds neither."""
    _imported(url, recording)
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("history.db*"))
    assert b"coder" in stored
    assert b"Zebulon" not in stored
    assert b"run-1" not in stored
    assert len({row.session for row in rows(url)}) == 3


def test_an_engine_opened_later_has_evidence_at_once(url: str, recording: Path) -> None:
    """Thirty outcomes of the group: the gate is open."""
    _imported(url, recording)
    with Engine.open(url, holdout=0) as engine:
        kind = features_of(rows(url)[0])
        gate = engine.core.evidence.gate("coder", kind.task_type, "gpt-5.4")
        task = {"description": "Fix the login bug", "type": kind.task_type}
        found = engine.predict(task, "coder", "gpt-5.4")
    assert (gate.open, gate.support) == (True, 30)
    assert (found.forecast.support, found.forecast.source) == (30, "agent+task+model")


def test_novelty_falls_as_like_tasks_are_imported(url: str, recording: Path) -> None:
    """As it would have for live calls: the first is new, the next ones are not."""
    _imported(url, recording)
    first, *others = rows(url)
    assert first.novelty == 1.0
    assert all(row.novelty < 0.1 for row in others)


def test_importing_twice_changes_nothing(url: str, recording: Path) -> None:
    """Rows already there are skipped, also under another agent."""
    _imported(url, recording)
    before = rows(url)
    again = _imported(url, recording, "--agent", "other")
    assert (again["read"], again["written"], again["duplicates"]) == (30, 0, 30)
    assert rows(url) == before


def test_a_row_twice_in_one_file_is_one(url: str, tmp_path: Path) -> None:
    """The same time, model, tokens and prompt are the same call, whatever else is said of it."""
    lines = [
        _call(1), _call(1), _call(1, session="other"), _call(1, output_tokens=7),
        _call(1, messages=[]), _call(1, quality=1), _call(1, ts=NOW + 1.5), _call(1, model="m"),
    ]  # fmt: skip
    found = _imported(url, _write(tmp_path / "calls.jsonl", *lines))
    assert (found["written"], found["duplicates"]) == (5, 3)
    assert _finding(found, "repeated") == (3, ["line 2", "line 3", "line 6"])


def test_calls_with_an_id_are_told_by_it(url: str, tmp_path: Path) -> None:
    """Whether or not they are alike."""
    lines = [_call(1, id="a"), _call(1, id="b"), _call(2, id="a")]
    found = _imported(url, _write(tmp_path / "calls.jsonl", *lines))
    assert (found["written"], found["duplicates"]) == (2, 1)


def test_two_installations_do_not_give_a_row_the_same_id(tmp_path: Path, recording: Path) -> None:
    """Ids are keyed by the salt, so that nobody can test whether a text was there."""
    ids = []
    for name in ("a", "b"):
        url = f"sqlite:///{tmp_path / name}.db"
        _imported(url, recording)
        ids.append({row.call_id for row in rows(url)})
    assert len(ids[0]) == 30
    assert not ids[0] & ids[1]


def test_a_dry_run_writes_no_row(url: str, recording: Path) -> None:
    """It says what would be written."""
    found = _imported(url, recording, "--dry-run")
    assert (found["written"], found["dry_run"]) == (30, True)
    assert rows(url) == []
    assert "30 would be written" in run("import", recording, "--dry-run", "--store", url).stdout


def test_every_row_can_be_filed_under_one_agent(url: str, recording: Path) -> None:
    """In place of the file's own."""
    _imported(url, recording, "--agent", "reviewer")
    assert {row.agent for row in rows(url)} == {"reviewer"}


def test_rows_that_cannot_be_taken_are_told_with_their_place(url: str, tmp_path: Path) -> None:
    """The others are written."""
    file = _write(
        tmp_path / "calls.jsonl",
        _call(1), "{broken", _call(2, output_tokens=None), {"model": "m"}, _call(3),
    )  # fmt: skip
    found = _imported(url, file)
    assert (found["read"], found["written"], found["skipped"]) == (5, 2, 3)
    count, (broken, untimed) = _finding(found, "malformed")
    assert count == 2
    assert broken.startswith("line 2: no valid JSON")
    assert untimed.startswith("line 4: ts")
    assert _finding(found, "no-usage") == (1, ["line 3: no output_tokens"])
    output = run("import", file, "--store", f"{url}2").stdout
    assert "5 rows read, 2 written, 0 already there, 3 skipped" in output
    assert "Cannot be read:\n  line 2: no valid JSON" in output


def test_only_the_first_examples_are_listed(url: str, tmp_path: Path) -> None:
    """A broken file does not flood the terminal, and ends in an exit code of 1."""
    file = _write(tmp_path / "calls.jsonl", *("{" for _ in range(50)))
    wanted = ("import", file, "--format", "recorded", "--store", url)
    found = run_json(*wanted, exit_code=1)
    count, examples = _finding(found, "malformed")
    assert (count, len(examples)) == (50, 5)
    result = run(*wanted)
    assert "and 45 more" in result.stdout
    assert result.exit_code == 1


def test_what_contradicts_itself_counts_as_absent(url: str, tmp_path: Path) -> None:
    """Some providers do not count reasoning into the output."""
    call = _call(1, reasoning_tokens=9999, cached_tokens=9999)
    _imported(url, _write(tmp_path / "calls.jsonl", call))
    (row,) = rows(url)
    assert (row.reasoning_tokens, row.cache_read_tokens) == (None, None)


def test_a_length_at_the_cap_is_censored(url: str, tmp_path: Path) -> None:
    """Whatever the finish reason says."""
    _imported(url, _write(tmp_path / "calls.jsonl", _call(1, output_tokens=500, max_tokens=500)))
    (row,) = rows(url)
    assert (row.truncated, row.finish_reason, row.ceiling) == (True, "length", 500)


def test_known_models_are_priced_others_are_unknown(url: str, tmp_path: Path) -> None:
    """By whichever provider lists the model."""
    lines = [
        _call(1, model="gpt-4o"),
        _call(2, model="claude-3-5-haiku-latest"),
        _call(3, model="own"),
    ]
    _imported(url, _write(tmp_path / "calls.jsonl", *lines))
    costs = [row.cost for row in rows(url)]
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[2] is None


def test_gzip_is_read_too_and_a_broken_end_keeps_what_came_before(url: str, tmp_path: Path) -> None:
    """Exit code 2 and one line; a repeated import takes only the rest."""
    whole = gzip.compress("".join(json.dumps(_call(n)) + "\n" for n in range(1200)).encode())
    file = tmp_path / "calls.jsonl.gz"
    file.write_bytes(whole[: len(whole) // 2])
    result = run("import", file, "--store", url)
    assert result.exit_code == 2
    assert "breaks off" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    kept = len(rows(url))
    assert 100 < kept < 1200
    assert result.stderr.endswith(f"; rows before it: {kept} written\n")
    file.write_bytes(whole)
    assert _imported(url, file)["duplicates"] == kept
    assert len(rows(url)) == 1200


def test_history_that_is_there_counts_for_novelty(tmp_path: Path) -> None:
    """The memory begins with what the history holds."""
    row = answered(1, complexity=32.0, domains=("auth",), task_type="bug-fix", uncertainty=0.3)
    url = history(tmp_path / "history.db", row)
    file = _write(tmp_path / "calls.jsonl", _call(5))
    _imported(url, file)
    assert rows(url)[1].novelty < 0.5


def test_several_files_are_one_import_in_order_of_time(url: str, tmp_path: Path) -> None:
    """Exports begin with the newest; forecasts learn in the order that the history has."""
    late = _write(tmp_path / "late.jsonl", *(_call(number) for number in range(39, 19, -1)))
    early = _write(tmp_path / "early.jsonl", *(_call(number) for number in range(25)))
    found = _imported(url, late, early)
    assert found["files"] == {str(late): "recorded", str(early): "recorded"}
    assert (found["read"], found["written"], found["duplicates"]) == (45, 40, 5)
    assert [row.ts for row in rows(url)] == [NOW + number for number in range(40)]
    assert _finding(found, "repeated")[1][0] == "early.jsonl, line 21"
    assert _finding(found, "clock")[0] > 10


def test_a_file_may_have_any_name(url: str, tmp_path: Path) -> None:
    """Braces too: of several files each row is told with its file's name as it is."""
    odd = _write(tmp_path / "calls{1}.jsonl", _call(1), "{broken")
    found = _imported(url, odd, _write(tmp_path / "other.jsonl", _call(2)))
    assert found["written"] == 2
    assert _finding(found, "malformed")[1][0].startswith("calls{1}.jsonl, line 2: ")


def test_files_of_several_formats_and_a_directory(url: str, tmp_path: Path) -> None:
    """Each file's format is its own; of a directory every JSON lines file beneath it."""
    projects = tmp_path / "projects" / "a"
    projects.mkdir(parents=True)
    (projects / "s.jsonl").write_bytes((FOLDER / "claude_code.jsonl").read_bytes())
    (projects / "notes.txt").write_text("no transcript")
    found = _imported(url, tmp_path / "projects", FOLDER / "litellm.csv")
    assert sorted(found["files"].values()) == ["claude-code", "litellm"]
    assert found["written"] == 5
    agents = {row.agent for row in rows(url)}
    assert agents == {"claude-code", "claude-code-subagent", "billing-bot"}


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_no_export_leaves_text_or_names_in_the_history(url: str, tmp_path: Path, name: str) -> None:
    """Prompts, answers, sessions and users of every format; imported twice, it adds nothing."""
    found = _imported(url, FOLDER / name)
    assert found["written"] > 0
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("history.db*"))
    for text in (b"Zebulon", b"Xylophone", b"river", b"login", b"sess-", b"customer-7", b"u-x"):
        assert text not in stored
    before = rows(url)
    again = _imported(url, FOLDER / name)
    assert (again["written"], again["duplicates"]) == (0, found["written"])
    assert rows(url) == before


def test_what_an_export_says_is_in_the_row(url: str) -> None:
    """Cost, cache, cap, choices, tags, time taken, and that an unfinished answer is an estimate."""
    _imported(url, FOLDER / "litellm.jsonl", FOLDER / "claude_code.jsonl")
    found = {row.model: row for row in rows(url) if row.reason == "imported (litellm)"}
    row = found["claude-sonnet-4-5"]
    assert (row.cost, row.prices, row.seconds, row.ceiling) == (0.02, "recorded", 7.5, 300)
    assert (row.cache_read_tokens, row.cache_write_tokens) == (4000, 500)
    assert (row.truncated, row.finish_reason, row.exact) == (True, "length", True)
    assert found["gpt-5.4"].n == 2
    cut = [row for row in rows(url) if not row.exact]
    assert [(row.agent, row.output_tokens) for row in cut] == [("claude-code", 2)]


def test_a_call_that_went_through_the_proxy_is_not_taken_again(url: str) -> None:
    """The provider's id of the answer tells it, whatever else the two say of it."""
    store = open_store(url)
    salt = bytes.fromhex(store.meta("salt", "ab" * 32))
    store.append([record(response_id=pseudonym(salt, "response", "msg_1"))])
    store.close()
    found = _imported(url, FOLDER / "claude_code.jsonl")
    assert (found["written"], found["duplicates"]) == (2, 1)
    assert _finding(found, "known") == (1, ["line 4"])


def test_a_call_that_the_proxy_saw_is_known_by_its_time_and_tokens(
    url: str, tmp_path: Path
) -> None:
    """Other systems' ids tell nothing of ours; calls that were imported are not taken for it."""
    seen = {"model": "gpt-5.4", "input_tokens": 50, "output_tokens": 100}
    store = open_store(url)
    store.append([record(ts=NOW + 0.7, **seen), record(ts=NOW + 50, api="import", **seen)])
    store.close()
    lines = [
        _call(0), _call(0, output_tokens=101), _call(0, model="m"), _call(4, output_tokens=100),
        _call(50, output_tokens=100),
    ]  # fmt: skip
    found = _imported(url, _write(tmp_path / "calls.jsonl", *lines))
    assert _finding(found, "known") == (1, ["line 1"])
    assert found["written"] == 4


def test_two_exports_of_one_call_are_one(url: str, tmp_path: Path) -> None:
    """LiteLLM and Claude Code both know the provider's id of an answer."""
    spent = {
        "request_id": "msg_1", "call_type": "anthropic_messages", "spend": 0.1,
        "startTime": "2026-09-01T10:00:01Z", "model": "claude-sonnet-4-5",
        "prompt_tokens": 11004, "completion_tokens": 350,
    }  # fmt: skip
    file = _write(tmp_path / "spend.jsonl", spent)
    found = _imported(url, file, FOLDER / "claude_code.jsonl")
    assert (found["written"], found["duplicates"]) == (3, 1)
    assert _finding(found, "repeated") == (1, ["claude_code.jsonl, line 4"])


def test_calls_of_a_day_that_was_folded_are_left_out(url: str, tmp_path: Path) -> None:
    """A sum cannot tell whether they are in it; other agents' and days' calls are taken."""
    file = _write(tmp_path / "calls.jsonl", *(_call(number) for number in range(30)))
    _imported(url, file)
    store = open_store(url)
    store.fold(store.horizon(0), NOW + 99)
    store.close()
    more = [_call(1), _call(2, agent="other"), _call(3 * 86_400, output_tokens=100)]
    found = _imported(url, _write(tmp_path / "more.jsonl", *more))
    assert (found["written"], found["duplicates"]) == (2, 1)
    assert _finding(found, "folded") == (1, ["line 1"])
    assert _imported(url, file)["written"] == 0


def test_a_dry_run_tells_repeated_rows_too(url: str, tmp_path: Path) -> None:
    """Its figures are those of the import itself."""
    lines = [_call(number % 700) for number in range(1500)]
    file = _write(tmp_path / "calls.jsonl", *lines, _call(1, output_tokens=-5))
    dry, wet = _imported(url, file, "--dry-run"), _imported(url, file)
    assert (dry["written"], dry["duplicates"]) == (700, 800)
    assert _finding(wet, "impossible")[0] == 1
    assert {**dry, "dry_run": False} == wet


def test_the_user_s_word_on_a_model_counts(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More output than a model can make is impossible, until the settings say that it can."""
    file = _write(
        tmp_path / "calls.jsonl", _call(1), _call(2, model="gpt-4o", output_tokens=50_000)
    )
    found = _imported(url, file)
    count, (example,) = _finding(found, "impossible")
    assert (count, found["written"]) == (1, 1)
    assert example == "line 2: 50000 output tokens, where 16384 are the most"
    monkeypatch.setenv("BUDGET_PROXY_MODELS", '{"gpt-4o": {"max_output": 64000}}')
    assert _imported(url, file)["written"] == 1


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ('{"prompt": "secret", "tokens": 5}\n', "its rows have the fields prompt, tokens"),
        ("when,who,what\n1,2,3\n", "its rows have the fields what, when, who"),
        ("just some words\n", "no row of it can be read (the first: no valid JSON"),
        ('[{"x": 1}]', "its rows have the fields x"),
    ],
)
def test_an_unknown_format_is_told_by_what_was_seen(
    url: str, tmp_path: Path, text: str, seen: str
) -> None:
    """The names of its fields, not what is in them; nothing is read, not even of other files."""
    good = _write(tmp_path / "good.jsonl", _call(1))
    odd = tmp_path / "odd.txt"
    odd.write_text(text)
    result = run("import", good, odd, "--store", url)
    assert result.exit_code == 2
    assert seen in result.stderr
    assert "--format" in result.stderr
    assert "secret" not in result.stderr
    assert rows(url) == []


def test_an_unknown_name_of_a_format(url: str, recording: Path) -> None:
    """The error lists those there are."""
    result = run("import", recording, "--format", "lightllm", "--store", url)
    assert result.exit_code == 2
    assert "auto, recorded, litellm, langfuse, openai-usage, claude-code" in result.stderr


def test_sums_alone_are_refused_with_what_they_are(url: str, tmp_path: Path) -> None:
    """A usage export of many calls a bucket teaches nothing, and says so."""
    bucket = {"num_model_requests": 12, "model": "gpt-5.4", "start_time": NOW, "output_tokens": 99}
    found = run_json(
        "import", _write(tmp_path / "usage.jsonl", bucket), "--store", url, exit_code=1
    )
    assert found["passed"] == 1
    assert "several calls in one sum" in _finding(found, "no-call")[1][0]


@pytest.mark.parametrize("moment", ["reading", "writing"])
def test_a_killed_import_can_be_repeated(
    url: str, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any moment: the history can be read, holds whole calls, and ends complete."""
    monkeypatch.setenv("BUDGET_PROXY_STRATEGY", "quantile")  # which has no fit to wait for
    file = _write(tmp_path / "calls.jsonl", *(_call(number) for number in range(3000)))
    open_store(url).close()
    script = """
import os, signal, sys
from budget_proxy.cli import import_ as module
from budget_proxy.cli.app import app
place, after = {"reading": ("_take", 1000), "writing": ("_append", 3)}[sys.argv.pop()]
real, calls = getattr(module._Import, place), []
def counted(self, *given):
    calls.append(1)
    if len(calls) > after:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *given)
setattr(module._Import, place, counted)
app()
"""
    done = subprocess.run(
        [sys.executable, "-c", script, "import", str(file), "--store", url, moment], check=False
    )
    assert done.returncode == -9
    kept = len(rows(url))
    assert kept == {"reading": 0, "writing": 1500}[moment]
    found = _imported(url, file)
    assert (found["written"], found["duplicates"]) == (3000 - kept, kept)
    assert [row.ts for row in rows(url)] == [NOW + number for number in range(3000)]


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_cannot_be_read(url: str, tmp_path: Path, name: str) -> None:
    """Exit code 2, one line with its name."""
    result = run("import", tmp_path / name, "--store", url)
    assert result.exit_code == 2
    assert "cannot be read" in result.stderr


def test_a_history_that_cannot_be_written_is_one_line(tmp_path: Path, recording: Path) -> None:
    """Exit code 1: nothing is wrong with the input."""
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no database at all, but it is long enough to look like one")
    result = run("import", recording, "--store", f"sqlite:///{broken}")
    assert result.exit_code == 1
    assert "damaged" in result.stderr
    assert broken.read_bytes().startswith(b"this is no database")


@pytest.mark.slow
def test_the_recorded_files_can_be_imported(tmp_path: Path, recorded: Path) -> None:
    """Real calls of coding agents: every row with a length is taken, and an engine learns them."""
    url = f"sqlite:///{tmp_path / 'history.db'}"
    found = _imported(url, recorded / "coding_agent_steps.jsonl.gz")
    assert found["read"] == 2645
    assert found["written"] + found["duplicates"] + found["skipped"] == 2645
    assert found["written"] > 2000
    store = open_store(url)
    assert store.counts()["calls"] == found["written"]
    store.close()


def test_what_was_imported_is_fitted(url: str, tmp_path: Path) -> None:
    """The next start forecasts from all of it; a second import of it fits nothing."""
    calls = [_call(number) for number in range(60)]
    file = _write(tmp_path / "calls.jsonl", *calls)
    _imported(url, file)
    opened = open_store(url)
    fits = opened.fits("learned")
    _imported(url, file)
    assert opened.fits("learned") == fits
    opened.close()
    (fit,) = fits
    assert fit.taken == fit.effective == (rows(url)[-1].call_id, 1)
