"""What commands tell, as Markdown and as one HTML file, printed and written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.analytics.rendering.blocks import named, visible
from budget_proxy.analytics.rendering.markdown import escaped
from budget_proxy.assemble import Engine
from tests.command_line import answered, history, run, run_json
from tests.scenes import calls as scene
from tests.test_rendering import HOSTILE, Reader
from tests.watched import calls, cut, numbered

DAY = 86_400.0
FORMS = {"markdown": ".md", "html": ".html"}
ELSEWHERE = (("--format", "markdown"), ("--format", "html"), ("--out", "x.md"))
TITLES = {
    "trends": "Trends", "project": "Projection", "suggest": "Suggestions", "alerts": "Alerts",
    "predict": "Prediction",
}  # fmt: skip


def daily(path: Path, name: str) -> str:
    """Two calls on each of the last twenty days, by this agent and by another."""
    now = time.time()
    rows = [
        answered(number, ts=now - DAY * (number // 2), agent=(name, "other")[number % 2],
                 cost=2.0 + number % 3)
        for number in range(40)
    ]  # fmt: skip
    return history(path, *rows)


def noted(path: Path, name: str) -> str:
    """Notes that lengthen this agent's answers, against its holdout."""
    start = time.time() - 6000
    facts: dict[str, Any] = {"agent": name, "model": "gpt-4.1", "ts": lambda i: start + 60 * i}
    guided = scene(
        100, output_tokens=lambda i: 240 + 20 * (i % 2), guidance="g", guidance_tokens=40,
        session=lambda i: f"s{i}", call_id=lambda i: f"{name}{i}", **facts,
    )  # fmt: skip
    held = scene(
        100, output_tokens=lambda i: 190 + 20 * (i % 2), arm="holdout",
        session=lambda i: f"h{i}", **facts,
    )  # fmt: skip
    return history(path, *guided, *held)


def cutting(path: Path, name: str) -> str:
    """This agent's answers are cut more often than before."""
    group = [(name, "bug-fix", "model-1")]
    rows = (calls(600, groups=group), cut(calls(200, seed=1, groups=group), 0.2))
    return history(path, *numbered(*rows))


def tasks(path: Path, name: str) -> str:
    """Three tasks of this type that have used 500 tokens each."""
    url = f"sqlite:///{path}"
    with Engine.open(url) as engine:
        for _ in range(3):
            found = engine.predict({"type": name, "description": "Fix the login bug"})
            engine.record(found, 500)
    return url


COMMANDS: dict[str, tuple[Callable[[Path, str], str], tuple[str, ...]]] = {
    "trends": (daily, ("trends", "--by", "agent", "--measure", "calls")),
    "project": (daily, ("project", "--by", "agent", "--limit-usd", "50")),
    "suggest": (noted, ("suggest", "--by", "agent")),
    "alerts": (cutting, ("alerts",)),
    "predict": (tasks, ("predict", "Fix the login bug", "--strategy", "quantile")),
}


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> str:
    """Each of the commands."""
    return str(request.param)


def told(command: str, path: Path, form: str, name: str = "coder") -> str:
    """What it prints in a format, of a history where somebody has this name."""
    make, words = COMMANDS[command]
    url = make(path / f"{len(list(path.iterdir()))}.db", name)
    result = run(*words, "--store", url, "--format", form)
    assert (result.exit_code, result.stderr) == (0, "")
    return str(result.stdout)


def shown_as(command: str, name: str) -> tuple[str, str]:
    """How a name may be shown: a task's type is cleaned, and cut, where it is read."""
    if command == "predict":
        name = "".join(char for char in name if char.isprintable())[:40].rstrip()
    return named(name), visible(name)


def figures(command: str, found: Any) -> list[str]:
    """Some of what the command's JSON says, as people are to read it."""
    match command:
        case "trends":
            return [" / ".join(one["group"]) for one in found["groups"]] + ["20", "a period"]
        case "project":
            return [f"${found['whole']['total']['expected']:,.2f}", "other", "$50.00 a month"]
        case "suggest":
            first = found["suggestions"][0]
            return [first["id"], first["action"], first["text"], first["calls"][0], "overlap"]
        case "alerts":
            return [found["alerts"][0]["text"], "truncation", "critical"]
        case _:
            return [f"{found['recommended']} tokens", found["reasons"][0], "would not suffice"]


@pytest.mark.parametrize("form", FORMS)
def test_each_command_tells_the_same_in_each_form_and_in_a_file(
    command: str, form: str, tmp_path: Path
) -> None:
    """What JSON says is in it; a file whose name tells the format has what is printed else."""
    make, words = COMMANDS[command]
    url = make(tmp_path / "history.db", "coder")
    arguments = (*words, "--store", url)
    if command == "alerts":
        run(*arguments)  # the first look, which says how many rows it took in
    printed = run(*arguments, "--format", form).stdout
    text = " ".join(Reader(printed).texts) if form == "html" else printed
    for figure in figures(command, run_json(*arguments)):
        assert (figure if form == "html" else escaped(figure)) in text
    assert printed.startswith(
        f"# {TITLES[command]}\n" if form == "markdown" else "<!doctype html>\n"
    )
    file = tmp_path / f"told{FORMS[form]}"
    written = run(*arguments, "--out", file)
    assert (written.exit_code, written.stdout, written.stderr) == (0, "", "")
    assert re.sub(r"\d\d:\d\d", "", file.read_text()) == re.sub(r"\d\d:\d\d", "", printed)
    assert [one.name for one in tmp_path.glob(".*")] == []


def test_json_may_be_asked_for_in_three_ways(command: str, tmp_path: Path) -> None:
    """``--json``, ``--format json`` and a file's name."""
    make, words = COMMANDS[command]
    arguments = (*words, "--store", make(tmp_path / "history.db", "coder"))
    run(*arguments)
    shown = set(run_json(*arguments))
    file = tmp_path / "told.json"
    assert run(*arguments, "--out", file).stdout == ""
    printed = run(*arguments, "--format", "json").stdout
    assert set(json.loads(printed)) == set(json.loads(file.read_text())) == shown


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names_in_a_page(command: str, name: str, tmp_path: Path) -> None:
    """The page has the tags that it has with a harmless name, and shows the name."""
    plain, hostile = (Reader(told(command, tmp_path, "html", one)) for one in ("coder", name))
    assert hostile.open == []
    assert {tag for tag, _ in hostile.tags} == {tag for tag, _ in plain.tags}
    assert not {attr for _, attrs in hostile.tags for attr in attrs} & {"src", "onerror", "href"}
    text = " ".join(hostile.texts)
    assert any(shown in text for shown in shown_as(command, name))


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names_in_markdown(command: str, name: str, tmp_path: Path) -> None:
    """Every row keeps its cells, and outside of commands no character of the name is markup."""
    text = told(command, tmp_path, "markdown", name)
    prose = re.sub(r"^(`{3,})sh\n.*?\n\1\n", "", text, flags=re.DOTALL | re.MULTILINE)
    for table in prose.split("\n\n"):
        rows = [line for line in table.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1
    assert any(escaped(shown) in prose for shown in shown_as(command, name))
    assert not re.search(r"(?<!\\)[<`\[@]", prose)
    assert "\x1b" not in text


def test_names_cannot_steer_a_terminal(command: str, tmp_path: Path) -> None:
    """Nothing that is not printable comes out but the ends of our own lines."""
    name = "line\nbreak\x1b[31m\u202egnp"
    printed = told(command, tmp_path, "table", name)
    assert all(char.isprintable() for line in printed.split("\n") for char in line)
    assert "gnp" in printed


def test_a_page_of_trends_has_the_plot_that_a_terminal_shows(tmp_path: Path) -> None:
    """A point a period that has a value, with its number; in Markdown a row a period."""
    url = daily(tmp_path / "history.db", "coder")
    arguments = ("trends", "--store", url, "--last", "8", "--measure", "calls")
    (group,) = run_json(*arguments)["groups"]
    values = group["trends"][0]["values"]
    reader = Reader(run(*arguments, "--format", "html").stdout)
    points = [attrs for tag, attrs in reader.tags if tag == "circle"]
    assert len(points) == sum(value is not None for value in values) == 8
    assert "calls by day, UTC" in reader.texts
    text = run(*arguments, "--format", "markdown").stdout
    _, _, plotted = text.partition("### calls by day, UTC\n\n| day | calls |\n|---|--:|\n")
    rows = plotted.partition("\n\n")[0].splitlines()
    assert [row.split("|")[2].strip() for row in rows] == [f"{value:.0f}" for value in values]


def test_a_page_of_trends_has_a_plot_for_each_group(tmp_path: Path) -> None:
    """Under the table that tells of all of them."""
    reader = Reader(told("trends", tmp_path, "html"))
    assert sum(tag == "svg" for tag, _ in reader.tags) == 2
    assert sum(tag == "table" for tag, _ in reader.tags) == 1


def test_a_page_of_a_projection_has_the_past_and_the_days_ahead(tmp_path: Path) -> None:
    """A bar a day that was, a point within its interval for each that comes."""
    url = daily(tmp_path / "history.db", "coder")
    found = run_json("project", "--store", url, "--days", "10")
    reader = Reader(run("project", "--store", url, "--days", "10", "--format", "html").stdout)
    kinds = [attrs.get("class") for _, attrs in reader.tags]
    assert kinds.count("bar") == len(found["past"]) > 0
    assert kinds.count("band") == kinds.count("ahead") == 10
    last = found["whole"]["days"][-1]["amount"]
    assert any(
        f": ${last['expected']:,.2f} (${last['low']:,.2f} to ${last['high']:,.2f})" in text
        for text in reader.texts
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("trends", "--agent", "nobody"), "No calls from"),
        (("trends", "--measure", "cache_share"), "nothing was measured"),
        (("project", "--at", "2001-01-01"), "too few to project from"),
        (("suggest", "--agent", "nobody"), "Nothing to suggest from 0 calls"),
        (("alerts",), "No alerts."),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_nothing_to_tell_is_told(words: tuple[str, ...], told: str, form: str, url: str) -> None:
    """In a sentence, as in a terminal."""
    result = run(*words, "--store", url, "--format", form)
    assert result.exit_code == 0
    assert told in result.stdout.replace("\\", "")


@pytest.mark.parametrize("form", FORMS)
def test_a_prediction_without_similar_tasks_says_so(form: str, tmp_path: Path) -> None:
    """Of an empty history."""
    url = history(tmp_path / "history.db")
    assert "No similar tasks" in run("predict", "Fix it", "--store", url, "--format", form).stdout


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Forty calls of the last days."""
    return daily(tmp_path / "history.db", "coder")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("--format", "pdf"), "table, json, markdown, html"),
        (("--out", "told.pdf"), "ends in .html, .md or .json"),
        (("--out", "told"), "ends in .html, .md or .json"),
        (("--format", "table", "--out", "told.md"), "ends in .html, .md or .json"),
        (("--json", "--format", "html"), "two things"),
        (("--out", "nowhere/told.html"), "cannot be written: No such file"),
    ],
)
def test_wrong_forms_are_one_line_on_stderr(
    command: str, arguments: tuple[str, ...], hint: str, url: str
) -> None:
    """Exit code 2, and what to write instead."""
    result = run(*COMMANDS[command][1], "--store", url, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert hint in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("option", ["--ack", "--mute", "--unmute", "--deliver"])
def test_alerts_are_not_changed_on_the_way_to_a_file(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error before anything is done."""
    monkeypatch.chdir(tmp_path)
    url = cutting(tmp_path / "history.db", "coder")
    before = run_json("alerts", "--store", url)
    words = (option,) if option == "--deliver" else (option, "1")
    for more in ELSEWHERE:
        result = run("alerts", "--store", url, *words, *more)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{option} goes " in result.stderr
    after = run_json("alerts", "--store", url)
    assert (after["alerts"], after["mutes"]) == (before["alerts"], before["mutes"])
    assert not Path("x.md").exists()


@pytest.mark.parametrize("option", ["--apply", "--undo", "--applied"])
def test_settings_are_not_changed_on_the_way_to_a_file(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error before anything is done."""
    monkeypatch.chdir(tmp_path)
    url = noted(tmp_path / "history.db", "coder")
    found = run_json("suggest", "--store", url)["suggestions"][0]["id"]
    words = {"--apply": (option, found), "--undo": (option, "1"), "--applied": (option,)}[option]
    for more in ELSEWHERE:
        result = run("suggest", "--store", url, *words, *more)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{option} goes " in result.stderr
    assert not Path("budget_proxy.toml").exists()
    assert not Path("x.md").exists()


@pytest.mark.parametrize("form", FORMS)
def test_a_stream_without_utf_gets_utf_all_the_same(form: str, tmp_path: Path) -> None:
    """A page says that it is UTF-8, and it is, wherever its bytes go."""
    url = daily(tmp_path / "history.db", "écrivain \N{HEAVY BLACK HEART}")
    done = subprocess.run(
        [sys.executable, "-m", "budget_proxy", *COMMANDS["trends"][1], "--store", url,
         "--format", form],
        env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert "écrivain \N{HEAVY BLACK HEART}" in done.stdout.decode("utf-8")
