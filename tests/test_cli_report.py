from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from budget_proxy.assemble import Engine
from budget_proxy.store import open_store
from budget_proxy.types import Outcome, Plan, Scope, Usage
from budget_proxy.wire import DIALECTS, Context
from budget_proxy.wire.single import single_message
from tests.command_line import answered, history, run, run_json


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Eighty answers: sixty by coder, twenty by a writer whose prices are unknown."""
    return history(
        tmp_path / "history.db",
        *(answered(number) for number in range(60)),
        *(answered(n, agent="writer", model="own-model", cost=None) for n in range(60, 80)),
    )


def test_json_has_the_figures_and_nothing_else_is_printed(url: str) -> None:
    """Every way of grouping, calibration with its intervals, and where it comes from."""
    found = run_json("report", "--store", url)
    assert (found["store"], found["since"]) == (url, None)
    assert (found["overall"]["calls"], found["overall"]["measured"]) == (80, 80)
    assert [one["group"] for one in found["by_agent"]] == [["coder"], ["writer"]]
    assert found["by_group"][0]["group"] == ["coder", "bug-fix", "gpt-5.4"]
    # Lengths 100..139, each twice: 21 of 40 are <= 120, so .525 within q50 = 120.
    median = found["overall"]["calibration"][0]
    assert (median["level"], median["n"], median["realised"]) == (0.5, 80, 0.525)
    assert median["low"] < 0.5 < median["high"]
    # Uses 100/150 = .67 to 139/150 = .93: all within the band.
    assert found["overall"]["accuracy"] == 1.0
    assert found["overall"]["cost"] is None
    assert found["overall"]["priced_cost"] == pytest.approx(0.06)


def test_people_get_tables_of_80_columns_without_colour(url: str) -> None:
    """Figures, groups, the distribution of use and calibration beside its promise."""
    result = run("report", "--store", url)
    assert result.exit_code == 0
    _where, *lines = result.stdout.splitlines()  # a path is never broken
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert "\x1b" not in result.stdout
    for text in ("80 (80 attempts, 0 failed)", "$0.060 for 75 %", "writer", "promised", "q99", "█"):
        assert text in result.stdout
    assert "attainable 80 %" in result.stdout


@pytest.mark.parametrize(
    ("by", "name"),
    [("task", "bug-fix"), ("model", "own-model"), ("group", "coder / bug-fix / gpt-5.4")],
)
def test_groups_may_be_task_types_models_or_all_three(url: str, by: str, name: str) -> None:
    """As asked with --by."""
    assert name in run("report", "--store", url, "--by", by).stdout


def test_since_leaves_older_calls_out(tmp_path: Path) -> None:
    """Two calls of an hour ago and one of ten days ago: --since 7d has two."""
    now = time.time()
    ages = (3600, 3601, 864_000)
    rows = [answered(number, ts=now - age) for number, age in enumerate(ages)]
    url = history(tmp_path / "history.db", *rows)
    found = run_json("report", "--store", url, "--since", "7d")
    assert found["overall"]["calls"] == 2
    assert now - 7 * 86_400 - 60 < found["since"] < time.time() - 7 * 86_400 + 1
    assert "3 rows in all" in run("report", "--store", url, "--since", "60s").stdout


def test_an_empty_history_says_what_to_do_next(tmp_path: Path) -> None:
    """And is no error; in JSON nothing measured is null."""
    url = f"sqlite:///{tmp_path / 'new.db'}"
    open_store(url).close()
    result = run("report", "--store", url)
    assert result.exit_code == 0
    for way in ("budget-proxy import", "wrap(", "budget-proxy serve"):
        assert way in result.stdout
    overall = run_json("report", "--store", url)["overall"]
    assert (overall["calls"], overall["accuracy"], overall["cost"]) == (0, None, None)


def test_reading_makes_no_history(tmp_path: Path) -> None:
    """A typo in the name is told, and leaves no file behind."""
    path = tmp_path / "typo.db"
    result = run("report", "--store", f"sqlite:///{path}")
    assert result.exit_code == 2
    assert "there is no history" in result.stderr
    assert not path.exists()


def test_a_history_without_forecasts_says_so(tmp_path: Path) -> None:
    """Imported rows have no budget: nothing is measured, and no plot is drawn."""
    row = answered(1, recommended=None, strategy="import", q50=None, q75=None, q90=None,
                   q95=None, q99=None)  # fmt: skip
    output = run("report", "--store", history(tmp_path / "history.db", row)).stdout
    assert "not measured" in output
    assert "promised" not in output
    assert "█" not in output


def test_calls_that_cannot_be_measured_are_named(tmp_path: Path) -> None:
    """The cap in force lay below the budget."""
    url = history(tmp_path / "history.db", answered(1), answered(2, ceiling=120))
    assert "1 calls whose cap lay below their budget" in run("report", "--store", url).stdout


@pytest.mark.parametrize(
    "arguments", [["--by", "day"], ["--since", "yesterday"], ["--since", "-1d"], ["--since", ""]]
)
def test_wrong_values_are_one_line_on_stderr(url: str, arguments: list[str]) -> None:
    """Exit code 2, and what to write instead."""
    result = run("report", "--store", url, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert "agent" in result.stderr or "7d" in result.stderr


def test_json_has_all_of_the_report(url: str) -> None:
    """Beside the figures: success, reliability, spenders, truncations, what changed, the course."""
    found = run_json("report", "--store", url, "--zone", "Europe/Berlin")
    assert found["zone"] == "Europe/Berlin"
    accuracy = found["success"][0]
    assert (accuracy["name"], accuracy["value"], accuracy["reached"]) == (
        "budget accuracy", 1.0, "stretch",
    )  # fmt: skip
    (tenth,) = [one for one in found["reliability"] if one["n"]]
    assert (tenth["start"], tenth["n"], tenth["held"]) == (0.8, 80, 1.0)
    assert [one["group"] for one in found["spenders"]["agent"]] == [["coder"], ["writer"]]
    assert found["truncations"] == {"groups": [], "newest": []}
    assert (found["previous"], found["since_last"]) == (None, None)
    assert sum(one["calls"] for one in found["course"]) == 80


@pytest.mark.parametrize(
    ("name", "begins"), [("r.html", "<!doctype html>"), ("r.md", "# Token"), ("r.json", "{")]
)
def test_a_file_is_written_in_the_form_that_its_name_tells(
    url: str, tmp_path: Path, name: str, begins: str
) -> None:
    """Nothing is printed then."""
    result = run("report", "--store", url, "--out", tmp_path / name)
    assert (result.exit_code, result.stdout) == (0, "")
    assert (tmp_path / name).read_text().startswith(begins)


def test_attainable_says_of_how_many_calls_it_is_known(tmp_path: Path) -> None:
    """Budgets that were no forecast's promise nothing."""
    rows = [answered(n, strategy="heuristic" if n < 20 else "quantile") for n in range(60)]
    output = run("report", "--store", history(tmp_path / "history.db", *rows)).stdout
    assert "attainable of 40" in " ".join(output.split())


def test_other_forms_may_be_printed(url: str) -> None:
    """The same text as in a file."""
    assert run("report", "--store", url, "--format", "markdown").stdout.startswith("# Token")
    assert run("report", "--store", url, "--format", "html").stdout.endswith("</html>\n")
    assert json.loads(run("report", "--store", url, "--format", "json").stdout)["store"] == url


def test_a_report_that_was_written_is_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a day later on what has changed since is told; one that was only shown counts not."""
    now = time.time()
    url = history(tmp_path / "history.db", *(answered(n, ts=now - 86_400 * n) for n in range(1, 6)))
    assert run_json("report", "--store", url)["since_last"] is None
    assert run_json("report", "--store", url)["since_last"] is None
    run("report", "--store", url, "--out", tmp_path / "r.html")
    written = time.time()
    assert run_json("report", "--store", url)["since_last"] is None
    monkeypatch.setattr(time, "time", lambda: written + 2 * 86_400)
    found = run_json("report", "--store", url)["since_last"]
    assert now < found["before"]["end"] < written
    assert found["changes"][0]["after"] == 0.0
    assert "Since the last report" in run("report", "--store", url).stdout


def test_only_the_calls_that_were_asked_for(url: str) -> None:
    """Of an agent, a kind and a model; people are told so, also where there are none."""
    found = run_json("report", "--store", url, "--agent", "writer", "--model", "own-model")
    assert (found["overall"]["calls"], found["by_agent"][0]["group"]) == (20, ["writer"])
    assert run_json("report", "--store", url, "--task-type", "testing")["overall"]["calls"] == 0
    shown = run("report", "--store", url, "--agent", "writer", "--model", "own-model").stdout
    assert "UTC; only agent writer, model own-model\n" in shown
    assert "coder" not in shown
    none = run("report", "--store", url, "--task-type", "testing").stdout
    assert "No calls in this span; only task type testing; the history" in none


def test_a_report_on_some_calls_is_no_last_report(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has changed since is counted from the last one on all calls."""
    run("report", "--store", url, "--agent", "coder", "--out", tmp_path / "coder.html")
    assert "only agent coder" in (tmp_path / "coder.html").read_text()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * 86_400)
    assert run_json("report", "--store", url)["since_last"] is None


def test_truncations_and_changes_are_shown_to_people(tmp_path: Path) -> None:
    """Two weeks, the second with half of its answers cut."""
    now = time.time()
    cut = {"truncated": True, "cut_by_us": True, "ceiling": 150, "output_tokens": 150}
    rows = [
        answered(n, ts=now - 3600 - n * 6048, **(cut if n < 100 and n % 2 else {}))
        for n in range(200)
    ]
    shown = run("report", "--store", history(tmp_path / "history.db", *rows)).stdout
    lines = {line.split("  ")[0]: line for line in shown.splitlines()}
    assert "*+50.0 %" in lines["truncated"]
    assert "coder / bug-fix / gpt-5.4" in shown
    assert lines["c1"].split()[3:] == ["us", "150", "150", "150"]
    assert max(len(line.rstrip()) for line in shown.splitlines()[1:]) <= 80


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--format", "pdf"], "table, json, markdown, html"),
        (["--out", "report.pdf"], "ends in .html, .md or .json"),
        (["--json", "--format", "html"], "two things"),
        (["--out", "nowhere/report.html"], "cannot be written"),
        (["--zone", "Mars/Olympus"], "Europe/Berlin"),
    ],
)
def test_wrong_forms_are_one_line_on_stderr(url: str, arguments: list[str], told: str) -> None:
    """With what to write instead."""
    result = run("report", "--store", url, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_what_the_engine_records_is_what_the_report_counts(tmp_path: Path) -> None:
    """Twenty-five observed answers, then one that our cap cut and that was sent again."""
    url = f"sqlite:///{tmp_path / 'history.db'}"
    body = single_message("openai.chat", "Fix the login bug", model="gpt-5.4")
    with Engine.open(url, holdout=0, caps="always", floor=64) as engine:
        for number in range(25):
            plan = engine.plan(api="openai.chat", body=body, scope=Scope(agent="coder"))
            engine.settle(plan, Outcome(Usage(input_tokens=9, output_tokens=100 + number)))
        call = DIALECTS["openai.chat"].read(
            body, Context("cut", engine.now(), scope=Scope(agent="coder"))
        )
        running = engine.run(call, body)
        step = next(running)
        capped = step if isinstance(step, Plan) else running.send(None)
        assert isinstance(capped, Plan)
        cap = capped.allocation.cap
        assert cap is not None
        again = running.send(Outcome(Usage(9, cap), finish_reason="length"))
        assert isinstance(again, Plan)
        with pytest.raises(StopIteration):
            running.send(Outcome(Usage(9, 700)))
    found = run_json("report", "--store", url)["overall"]
    assert (found["calls"], found["attempts"], found["measured"]) == (26, 27, 26)
    assert (found["truncated"], found["truncated_by_us"], found["resent"]) == (1, 1, 1)
    assert found["promised"] == 26
    assert found["output_tokens"] == sum(range(100, 125)) + cap + 700
    assert found["cost"] > 0
    assert found["calibration"][-1]["n"] == 26
