from __future__ import annotations

import inspect
import json
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from budget_proxy.local import LocalModel
from budget_proxy.settings import (
    AgentSettings,
    AlertSettings,
    ModelSettings,
    RunSettings,
    Settings,
    TierSettings,
)
from tests.examples import ENVIRONMENTS, FOLDER, MAIN, ROOT, examples_of, run


def python_blocks(document: Path) -> list[str]:
    """The Python in a document."""
    return re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL)


def shown(default: object) -> str:
    """A default as docs/settings.md writes it."""
    if default is None or default == ():
        return "none"
    if isinstance(default, str | bool):
        return f"`{str(default).lower() if default is True else default}`"
    return f"{default:g}"


README = (ROOT / "README.md").read_text()
BLOCKS = python_blocks(ROOT / "README.md")
SETTINGS = ROOT / "docs" / "settings.md"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.local
@pytest.mark.xdist_group("local")
@pytest.mark.parametrize("example", examples_of(MAIN))
def test_every_example_runs_and_prints(
    example: str, local_model: LocalModel, tmp_path: Path
) -> None:
    """In a fresh interpreter, against a real model."""
    assert run(FOLDER / f"{example}.py", local_model.base_url, home=tmp_path, strict=True).strip()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_headings_and_code_of_a_document_are_shown_as_such(document: Path) -> None:
    """Every block of code ends, and an empty line stands before every heading."""
    outside = re.sub(r"^```.*?^```$", "```", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^```.+$", outside, re.MULTILINE) == []
    assert re.findall(r"^[^\n<][^\n]*\n(#+ .+)$", outside, re.MULTILINE) == []


def test_every_example_is_run_somewhere() -> None:
    """Here, or by the tests of the environment that the table names."""
    assert {path.stem for path in FOLDER.glob("*.py")} == set(ENVIRONMENTS)
    for environment in set(ENVIRONMENTS.values()) - {MAIN}:
        tests = ROOT / "tests" / "frameworks" / f"test_{environment.replace('-', '_')}.py"
        assert f'examples_of("{environment}")' in tests.read_text()
        assert (ROOT / "tests" / "environments" / f"{environment}.txt").is_file()


@pytest.mark.local
@pytest.mark.xdist_group("local")
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_python_block_of_the_readme_runs(
    number: int, local_model: LocalModel, tmp_path: Path
) -> None:
    """As it stands, against a real model."""
    script = tmp_path / "block.py"
    script.write_text(BLOCKS[number])
    run(script, local_model.base_url, home=tmp_path)


def test_every_python_block_about_frameworks_is_of_an_example() -> None:
    """Word for word, so that it runs where the example runs."""
    examples = [path.read_text() for path in FOLDER.glob("*.py")]
    blocks = python_blocks(ROOT / "docs" / "frameworks.md")
    assert blocks
    assert [block for block in blocks if not any(block in text for text in examples)] == []


def test_the_python_about_runs_runs(tmp_path: Path) -> None:
    """As it stands; it needs no model."""
    (block,) = python_blocks(ROOT / "docs" / "runs.md")
    script = tmp_path / "block.py"
    script.write_text(block)
    assert runpy.run_path(str(script))["forecast"].used.turns == 1


def test_the_settings_in_the_readme_are_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The TOML block loads as it stands."""
    from budget_proxy.settings import FILE, load

    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    (tmp_path / FILE).write_text(block)
    monkeypatch.chdir(tmp_path)
    settings = load()
    assert settings.tiers[0].max_complexity == 40
    assert settings.agents["reviewer"].effort == "auto"


def test_every_setting_is_documented_with_its_default() -> None:
    """docs/settings.md has them all, one a row, and none besides."""
    text = SETTINGS.read_text().partition("## What a call may say")[0]
    said = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", text, re.MULTILINE))
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    sections = set(re.findall(r"^\| `\[+(\w+)", text, re.MULTILINE))
    secrets = {name for name in defaults if name.endswith(("_key", "_secret"))}
    assert {*said, *sections, *secrets} == set(defaults)
    assert [name for name in secrets if f"{name.upper()}`" not in text] == []
    assert said == {name: shown(defaults[name]) for name in said}


def test_every_setting_of_a_section_is_documented() -> None:
    """In the section's own row of docs/settings.md."""
    text = SETTINGS.read_text()
    for field, section in (
        ("agents", AgentSettings), ("runs", RunSettings), ("alerts", AlertSettings),
        ("tiers", TierSettings), ("models", ModelSettings),
    ):  # fmt: skip
        (row,) = re.findall(rf"^\| `\[+{field}\b.*$", text, re.MULTILINE)
        assert field in Settings.model_fields
        assert [name for name in section.model_fields if f"`{name}`" not in row] == []


def test_everything_that_a_call_may_say_is_documented() -> None:
    """docs/settings.md has the names that an error about an unknown one lists."""
    from budget_proxy.errors import InvalidInput
    from budget_proxy.scope import parse

    with pytest.raises(InvalidInput) as error:
        parse({"budgt": 1})
    known = set(str(error.value).partition("it knows ")[2].split(", "))
    text = SETTINGS.read_text().partition("## What a call may say")[2]
    rows = re.findall(r"^\| (`[a-z`, ]+`) \| ([^|]*) \|", text, re.MULTILINE)
    said = {name for names, _ in rows for name in re.findall(r"\w+", names)}
    headers = {name for _, cell in rows for name in re.findall(r"`x-budget-(\w+)`", cell)}
    assert said - {"descriptor"} == known == headers


def test_the_coding_agents_are_pointed_at_the_proxy() -> None:
    """Their files can be read and name the port that it listens on; ours names its agents."""
    from budget_proxy.cli.serve import serve

    port = inspect.signature(serve).parameters["port"].default
    text = (ROOT / "docs" / "coding-agents.md").read_text()
    ours, codex = map(tomllib.loads, re.findall(r"```toml\n(.*?)```", text, re.DOTALL))
    (claude,) = map(json.loads, re.findall(r"```json\n(.*?)```", text, re.DOTALL))
    provider = codex["model_providers"][codex["model_provider"]]
    agents = Settings(**ours).agents
    assert provider["base_url"] == f"http://127.0.0.1:{port}/v1"
    assert claude["env"]["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{port}"
    assert provider["http_headers"]["x-budget-agent"] in agents
    assert claude["env"]["ANTHROPIC_CUSTOM_HEADERS"].removeprefix("x-budget-agent: ") in agents
    assert set(re.findall(r"http://127.0.0.1:(\d+)", text)) == {str(port)}


def test_every_module_stands_in_architecture_md() -> None:
    """One line of ownership a module: a new file without one fails here."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    package = ROOT / "budget_proxy"
    missing = [
        str(path.relative_to(package))
        for path in sorted(package.rglob("*.py"))
        if path.name != "__init__.py" and f"`{path.relative_to(package)}`" not in text
    ]
    assert missing == []


def test_no_file_or_function_has_outgrown_a_screen_or_its_noun() -> None:
    """At most 400 lines a file; the nouns of calls are one file by design."""
    long = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in sorted((ROOT / "budget_proxy").rglob("*.py"))
        if len(path.read_text().splitlines()) > 400 and path.name != "types.py"
    }
    assert long == {}


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Light to import: heavy libraries come when they are used."""
    code = (
        "import sys, budget_proxy; "
        "print([m for m in ('numpy', 'pydantic_settings', 'genai_prices', 'openai', 'anthropic', "
        "'sqlite_utils', 'starlette', 'litellm') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_the_task_example_needs_no_network(capsys: pytest.CaptureFixture[str]) -> None:
    """Predicting is all local."""
    runpy.run_path(str(ROOT / "examples" / "predict_a_task.py"))
    assert "later:" in capsys.readouterr().out
