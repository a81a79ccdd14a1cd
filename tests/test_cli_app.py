from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from budget_proxy.cli import app as application
from budget_proxy.cli.app import MODULES, app
from budget_proxy.errors import BudgetExceeded, ConfigError, InvalidInput, StoreError
from tests.command_line import answered, history, run

COMMANDS_MD = (Path(__file__).parent.parent / "docs" / "commands.md").read_text()


def _command(name: str) -> Any:
    group: Any = get_command(app)
    return group.get_command(None, name)


def _options(name: str) -> Iterator[str]:
    command = _command(name)
    for one in (command, *getattr(command, "commands", {}).values()):
        for parameter in one.params:
            yield from (option for option in parameter.opts if option.startswith("--"))


@pytest.mark.parametrize("name", MODULES)
def test_every_command_and_option_is_documented(name: str) -> None:
    """In docs/commands.md, under the command's own heading."""
    found = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", COMMANDS_MD, re.DOTALL | re.MULTILINE)
    assert found is not None
    missing = [option for option in _options(name) if f"`{option}" not in found[1]]
    assert missing == []


@pytest.mark.parametrize("name", MODULES)
def test_no_option_is_documented_that_does_not_exist(name: str) -> None:
    """A renamed option leaves no trace."""
    found = re.search(rf"^`budget-proxy {name}\b[^`]*`$", COMMANDS_MD, re.MULTILINE)
    assert found is not None
    assert set(re.findall(r"--[a-z-]+", found[0])) <= set(_options(name))


def test_the_table_of_commands_has_every_command() -> None:
    """Each once, with a link to its heading."""
    assert sorted(re.findall(r"^\| \[`(\w+)`\]\(#\1\)", COMMANDS_MD, re.MULTILINE)) == sorted(
        MODULES
    )


@pytest.mark.parametrize("name", MODULES)
def test_every_command_and_option_has_help(name: str) -> None:
    """One line at least."""
    command = _command(name)
    for one in (command, *getattr(command, "commands", {}).values()):
        assert one.help
        assert [parameter.name for parameter in one.params if not parameter.help] == []


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"serve"}))
def test_every_command_that_prints_has_json(name: str) -> None:
    """``serve`` alone prints no result."""
    assert "--json" in set(_options(name))


def test_help_lists_every_command_in_order() -> None:
    """With its first line."""
    lines = run("--help").stdout.partition("Commands:")[2].split("\n")
    assert [line.split()[0] for line in lines if line.strip()] == list(MODULES)


def test_without_a_command_the_help_is_shown() -> None:
    """As a wrong use, with exit code 2."""
    result = run()
    assert result.exit_code == 2
    assert "Commands:" in result.output


def test_an_unknown_command_is_named() -> None:
    """Exit code 2."""
    result = run("budgets")
    assert result.exit_code == 2
    assert "budgets" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("trends", "--last", "x"), "'--last'"),
        (("trends", "--last", "1.5"), "integer"),
        (("project", "--days", "soon"), "'--days'"),
        (("project", "--limit-usd", "much"), "'--limit-usd'"),
        (("alerts", "--ack", "first"), "'--ack'"),
        (("report", "--colour"), "--colour"),
        (("report", "extra"), "extra"),
        (("trends", "--last"), "--last"),
        (("budgets",), "budgets"),
        (("--loud",), "--loud"),
    ],
)
def test_wrong_use_is_one_line_too(arguments: tuple[str, ...], says: str) -> None:
    """It names the option, and where help is."""
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("budget-proxy: ")
    assert says in line
    assert " --help`" in line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("say what"), 2),
        (ConfigError("say\nwhat"), 2),
        (StoreError("say what"), 1),
        (BudgetExceeded("say what"), 1),
    ],
)
def test_our_errors_are_one_line_and_an_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2 where input or settings are wrong, else 1; stdout stays empty."""

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("budget_proxy.cli.report.open_history", fail)
    result = run("report", "--json")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == "budget-proxy: say what\n"


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """A programming error keeps its traceback: it has to be found."""

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("budget_proxy.cli.report.open_history", fail)
    result = CliRunner().invoke(app, ["report"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_wrong_settings_stop_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with the setting's name, exit code 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "budget_proxy.toml").write_text('mode = "cautious"\n')
    result = run("predict", "a task")
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "mode" in result.stderr


def _python(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_in_a_process_of_its_own(tmp_path: Path) -> None:
    """``python -m budget_proxy``: JSON on stdout, exit code 0; errors on stderr, exit code 2."""
    url = history(tmp_path / "history.db", *(answered(number) for number in range(30)))
    arguments = ("-W", "error", "-m", "budget_proxy", "explain", "--store", url)
    done = _python(*arguments, "Fix the login bug", "--agent", "coder", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["forecast"]["support"] == 30
    wrong = _python(*arguments, "x", "--api", "none", cwd=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("budget-proxy: --api must be one of")
    assert "Traceback" not in wrong.stderr


@pytest.mark.parametrize(("encoding", "columns"), [("ascii", "40"), ("cp1252", "200")])
def test_no_terminal_is_too_poor(tmp_path: Path, encoding: str, columns: str) -> None:
    """What its encoding lacks is replaced, and on a narrow one numbers are still whole."""
    url = history(tmp_path / "history.db", answered(1, agent="编码者", input_tokens=123_456))
    done = subprocess.run(
        [sys.executable, "-m", "budget_proxy", "report", "--store", url],
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": columns},
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    printed = done.stdout.decode(encoding)
    assert "???" in printed
    assert "123k input" in printed
    assert "100 %" in printed


def test_the_installed_script_is_the_same() -> None:
    """``budget-proxy`` lies beside the interpreter."""
    script = Path(sys.executable).with_name("budget-proxy")
    done = subprocess.run(
        [script, "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Commands:" in done.stdout


def test_the_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """So that it is there at once: no numpy, no settings, no SDK, no server."""
    heavy = (
        "numpy", "pydantic", "genai_prices", "openai", "anthropic", "uvicorn", "starlette",
        "sqlite_utils", "pyreqwest",
    )  # fmt: skip
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom budget_proxy.cli.app import app\n"
        f"CliRunner().invoke(app, ['--help'])\nprint([m for m in {heavy!r} if m in sys.modules])"
    )
    assert _python("-c", code, cwd=tmp_path).stdout.strip() == "[]"


def test_only_the_command_that_was_named_is_loaded(tmp_path: Path) -> None:
    """Another command's imports cost it nothing."""
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom budget_proxy.cli.app import app\n"
        "CliRunner().invoke(app, ['report', '--help'])\n"
        "print(sorted(m for m in sys.modules if m.startswith('budget_proxy.cli.')))"
    )
    loaded = _python("-c", code, cwd=tmp_path).stdout
    assert "budget_proxy.cli.report" in loaded
    for other in ("demo", "serve", "backtest", "import_"):
        assert f"budget_proxy.cli.{other}'" not in loaded


def test_main_runs_the_application(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The entry point of the script."""
    from budget_proxy.cli import main

    monkeypatch.setattr(sys, "argv", ["budget-proxy", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "Commands:" in capsys.readouterr().out
    assert application.EXIT_USER == 2
