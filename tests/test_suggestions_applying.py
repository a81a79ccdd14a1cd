from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.suggestions.applying import applied, undone
from budget_proxy.analytics.suggestions.base import Setting, Suggestion, suggestion
from budget_proxy.analytics.suggestions.edits import diff, value_at, with_setting, without
from budget_proxy.errors import ConfigError, InvalidInput
from budget_proxy.settings import FILE, load
from budget_proxy.store.applied import Applied
from budget_proxy.store.memory import MemoryStore
from budget_proxy.store.sums import Sums
from tests.makers import NOW

COMMENTED = """\
# ours
mode = "guide"   # for now

[agents.reviewer] # the careful one
effort = "auto"

[[tiers]]
model = "gpt-5.4"
"""
ODD = [
    "", "\n\n\n", "# only a comment", 'mode = "guide"', COMMENTED,
    'agents = {reviewer = {effort = "auto"}}\n',
    'agents.reviewer.effort = "auto"\nmode = "guide"\n',
    '[agents]\nreviewer = {effort = "auto"}\n[agents.other]\n',
    "[agents]\n", "agents = {}\n", "[agents.reviewer]\n# nothing yet\n",
    '[agents.a]\nmode = "guide"\n[models.m]\nreasoning = true\n[agents.b]\nmode = "observe"\n',
    'mode = "guide"\r\n\r\n[agents.reviewer]\r\neffort = "auto"\r\n',
    'alias = """\n[agents.reviewer]\nguidance = "off"\n"""\n',
    '[agents.reviewer]\nguidance = "compact" # short\neffort = "auto"',
    '["agents"."reviewer"]\n"guidance" = \'compact\'\n',
]  # fmt: skip
SETTINGS = [
    Setting(("agents", "reviewer", "guidance"), "off"),
    Setting(("agents", 'we"ird.\n]\x01\x7f é', "effort"), "auto"),
    Setting(("agents", "", "mode"), "enforce"),
    Setting(("strategy",), "auto"),
]


def of(setting: Setting | None) -> Suggestion:
    """A suggestion of this setting."""
    return suggestion(
        "guidance", Sums(agent="reviewer"), n=100, text="t", action="do", worth="w", tokens=1,
        of="input", money=None, effort="one setting", setting=setting,
    )  # fmt: skip


def merged(values: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """What the file should say afterwards."""
    copy = json.loads(json.dumps(values))
    place = copy
    for name in setting.path[:-1]:
        place = place.setdefault(name, {})
    place[setting.path[-1]] = setting.value
    return dict(copy)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file of the working directory, which is not there yet."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / FILE


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("text", ODD)
def test_a_setting_goes_into_odd_files_and_out_again(
    file: Path, text: str, setting: Setting
) -> None:
    """The file says that one thing more, the settings hold, and undoing gives the same bytes."""
    file.write_bytes(text.encode())
    file.chmod(0o640)
    store = MemoryStore()
    made = applied(store, of(setting), file, NOW)
    assert tomllib.loads(file.read_text()) == merged(tomllib.loads(text), setting)
    assert value_at(json_free(file), setting.path) == setting.value
    load()
    assert made.number == 1
    undone(store, 1, NOW + 1)
    assert file.read_bytes() == text.encode()
    assert file.stat().st_mode & 0o777 == 0o640
    assert store.applied(1)[0].undone == NOW + 1
    assert [path.name for path in file.parent.iterdir()] == [FILE]


def json_free(file: Path) -> str:
    """The text of a file, line ends as they are."""
    return file.read_bytes().decode()


def test_comments_and_order_stay(file: Path) -> None:
    """The change is one line."""
    file.write_text(COMMENTED)
    made = applied(MemoryStore(), of(SETTINGS[0]), file, NOW)
    assert file.read_text() == COMMENTED.replace(
        'effort = "auto"\n', 'effort = "auto"\nguidance = "off"\n'
    )
    assert '+guidance = "off"' in diff(made.before or "", made.after or "", FILE)


def test_a_missing_file_is_made_and_taken_away_again(file: Path) -> None:
    """What was not there is not there afterwards."""
    store = MemoryStore()
    applied(store, of(SETTINGS[0]), file, NOW)
    assert load().agents["reviewer"].guidance == "off"
    undone(store, 1, NOW)
    assert not file.exists()


def test_a_dry_run_writes_nothing(file: Path) -> None:
    """Neither file nor history."""
    file.write_text(COMMENTED)
    store = MemoryStore()
    made = applied(store, of(SETTINGS[0]), file, NOW, dry_run=True)
    assert (made.number, store.applied(), file.read_text()) == (None, [], COMMENTED)
    assert made.after is not None
    assert 'guidance = "off"' in made.after
    applied(store, of(SETTINGS[0]), file, NOW)
    now = file.read_text()
    assert undone(store, 1, NOW, dry_run=True).after == COMMENTED
    assert file.read_text() == now


def test_undoing_keeps_what_else_was_changed_since(file: Path) -> None:
    """Only that part of the file goes back."""
    file.write_text(COMMENTED)
    store = MemoryStore()
    applied(store, of(SETTINGS[0]), file, NOW)
    file.write_text(file.read_text().replace('"guide"', '"observe"') + "# later\n")
    undone(store, 1, NOW)
    assert file.read_text() == COMMENTED.replace('"guide"', '"observe"') + "# later\n"


@pytest.mark.parametrize(
    ("was", "by_now", "says"),
    [
        ('guidance = "off"', 'guidance = "detailed"', "'detailed' by now"),
        ('guidance = "off"\n', "", "no longer set"),
        ('guidance = "off"', 'guidance = "off" # yes', "lines about"),
    ],
)
def test_undoing_refuses_where_that_part_was_changed(
    file: Path, was: str, by_now: str, says: str
) -> None:
    """It says what is there now, and leaves it."""
    file.write_text(COMMENTED)
    store = MemoryStore()
    applied(store, of(SETTINGS[0]), file, NOW)
    text = file.read_text().replace(was, by_now)
    file.write_text(text)
    with pytest.raises(ConfigError, match=says):
        undone(store, 1, NOW)
    assert file.read_text() == text
    assert store.applied(1)[0].undone is None


def test_two_changes_are_undone_in_any_order(file: Path) -> None:
    """Each takes back its own."""
    file.write_text(COMMENTED)
    store = MemoryStore()
    applied(store, of(SETTINGS[0]), file, NOW)
    applied(store, of(SETTINGS[3]), file, NOW)
    undone(store, 1, NOW)
    assert load().strategy == "auto"
    undone(store, 2, NOW)
    assert file.read_text() == COMMENTED
    with pytest.raises(InvalidInput, match="undone already"):
        undone(store, 2, NOW)
    with pytest.raises(InvalidInput, match="number 3"):
        undone(store, 3, NOW)


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    """What it points to is changed."""
    real = tmp_path / "elsewhere.toml"
    real.write_text(COMMENTED)
    file.symlink_to(real)
    applied(MemoryStore(), of(SETTINGS[0]), file, NOW)
    assert file.is_symlink()
    assert 'guidance = "off"' in real.read_text()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"mode = ", "valid TOML"),
        (b'mode = "strict"', "mode"),
        (b"\xff\xfe", "cannot be read"),
        (b"agents = 3", "by hand"),
    ],
)
def test_a_file_that_is_wrong_is_left_alone(file: Path, content: bytes, says: str) -> None:
    """With an error that says why; the history has no trace of it."""
    file.write_bytes(content)
    store = MemoryStore()
    with pytest.raises(ConfigError, match=says):
        applied(store, of(SETTINGS[0]), file, NOW)
    assert file.read_bytes() == content
    assert store.applied() == []


def test_a_setting_that_would_not_hold_is_not_written(file: Path) -> None:
    """The settings are checked before the file is replaced."""
    with pytest.raises(ConfigError, match="guidance"):
        applied(MemoryStore(), of(Setting(("guidance",), "loud")), file, NOW)
    assert not file.exists()


def test_a_name_that_no_file_can_hold_is_an_error(file: Path) -> None:
    """Half a surrogate pair is no text."""
    with pytest.raises(ConfigError, match="by hand"):
        applied(MemoryStore(), of(Setting(("agents", "\ud800", "mode"), "guide")), file, NOW)
    assert not file.exists()


def test_a_change_of_code_cannot_be_applied(file: Path) -> None:
    """What is to be done is said instead."""
    with pytest.raises(InvalidInput, match="do"):
        applied(MemoryStore(), of(None), file, NOW)


def test_nothing_else_of_the_file_is_kept_in_the_history(file: Path) -> None:
    """A key may stand in it."""
    file.write_text('OPENAI_API_KEY = "sk-secret"')
    store = MemoryStore()
    applied(store, of(SETTINGS[3]), file, NOW)
    assert "secret" not in repr(store.applied())
    undone(store, 1, NOW)
    assert file.read_text() == 'OPENAI_API_KEY = "sk-secret"'


NAMES = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from(".\"'\n\\#[]={}"), max_size=8
)


@given(
    st.lists(NAMES, max_size=4, unique=True), NAMES, st.booleans(), st.booleans(),
    st.sampled_from(["guide", "observe"]),
)  # fmt: skip
def test_any_names_survive_both_ways(
    others: list[str], name: str, inline: bool, top: bool, value: str
) -> None:
    """Whatever the agents are called, and whether tables are written out or in line."""
    document = tomlkit.document()
    if top:
        document.add("alias", "x")
        document.add(tomlkit.comment("said"))
    tables = tomlkit.inline_table() if inline else tomlkit.table()
    for other in others:
        tables.add(other, tomlkit.inline_table().append("caps", "never"))
    document.add("agents", tables)
    text = tomlkit.dumps(document)
    setting = Setting(("agents", name, "mode"), value)
    edit = with_setting(text, setting)
    assert tomllib.loads(edit.text) == merged(tomllib.loads(text), setting)
    made = Applied(NOW, "", "", setting.path, None, value, edit.removed, edit.added, None, "")
    assert without(edit.text, made, lambda before: before == text) == text
