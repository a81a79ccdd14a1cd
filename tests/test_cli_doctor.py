from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.cli import checks
from tests.command_line import answered, history, run, run_json


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sound history of two calls, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    return history(tmp_path / "history.db", *(answered(number, ts=1e9) for number in range(2)))


def _checks(url: str, *, exit_code: int = 0) -> dict[str, Any]:
    found = run_json("doctor", "--store", url, exit_code=exit_code)
    assert found["ok"] is (exit_code == 0)
    return {check["name"]: check for check in found["checks"]}


def test_all_is_well(url: str) -> None:
    """Every check has a line, none fails, and nothing needs doing."""
    found = _checks(url)
    assert list(found) == [
        "python", "settings", "store", "schema", "rows", "clock", "retention", "salt", "prices",
        "virtual keys", "openai upstream", "openai key", "anthropic upstream", "anthropic key",
        "webhook", "openai SDK", "anthropic SDK", "engine",
    ]  # fmt: skip
    assert {check["state"] for check in found.values()} == {"ok"}
    assert found["rows"]["message"] == "2 calls, 0 sessions"
    output = run("doctor", "--store", url).stdout
    assert "ok    store: " in output


def test_looking_leaves_the_history_as_it_is(url: str, tmp_path: Path) -> None:
    """But for the salt, which the first engine makes: no row, no session."""
    _checks(url)
    with sqlite3.connect(tmp_path / "history.db") as connection:
        tables = ("calls", "sessions", "guidance", "meta")
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 (our own names)
            for table in tables
        ]
    connection.close()
    assert counts == [2, 0, 0, 1]


def test_an_empty_history_is_worth_a_word(tmp_path: Path) -> None:
    """A warning with what to do, and no failure."""
    found = _checks(f"sqlite:///{tmp_path / 'new.db'}")
    assert found["rows"]["state"] == "warn"
    assert "import" in found["rows"]["advice"]
    assert found["engine"]["state"] == "ok"


def test_what_the_settings_do_not_keep_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that folds it; a history of many calls without bound is told too."""
    url = history(tmp_path / "history.db", *(answered(number, ts=1e9) for number in range(150)))
    assert _checks(url)["retention"]["state"] == "ok"
    monkeypatch.setenv("BUDGET_PROXY_WINDOW", "100")
    monkeypatch.setenv("BUDGET_PROXY_KEEP_DAYS", "30")
    found = _checks(url)["retention"]
    assert (found["state"], found["message"]) == ("warn", "50 calls more than the settings keep")
    assert "history compact" in found["advice"]
    monkeypatch.delenv("BUDGET_PROXY_KEEP_DAYS")
    monkeypatch.setattr(checks, "_MANY", 149)
    assert "Set keep_days or keep_calls" in _checks(url)["retention"]["advice"]


@pytest.mark.parametrize(
    ("statement", "state", "message", "advice"),
    [
        ("DROP TABLE alerts", "fail", "lacks alerts", "a copy of the file from before"),
        ("DROP TABLE calls", "fail", "lacks calls", "move it away"),
        ("ALTER TABLE sums DROP COLUMN risk", "fail", "lacks sums.risk", "Put back a copy"),
        ("CREATE TABLE mine (x)", "warn", "does not know mine", "may stay"),
        (
            "ALTER TABLE calls ADD COLUMN shade TEXT", "warn", "does not know calls.shade",
            "a newer version",
        ),
    ],
)  # fmt: skip
def test_tables_and_columns_that_differ_are_named(
    url: str, tmp_path: Path, statement: str, state: str, message: str, advice: str
) -> None:
    """What is missing fails, what nobody knows is worth a word; both with what to do."""
    connection = sqlite3.connect(tmp_path / "history.db")
    connection.execute(statement)
    connection.commit()
    connection.close()
    found = _checks(url, exit_code=int(state == "fail"))["schema"]
    assert (found["state"], found["message"]) == (state, message)
    assert advice in found["advice"]


def test_a_file_that_is_no_history_fails(tmp_path: Path) -> None:
    """Exit code 1, what to do, and the checks that need it are left out."""
    file = tmp_path / "broken.db"
    file.write_bytes(b"certainly not a database, though long enough to be looked at by SQLite")
    found = _checks(f"sqlite:///{file}", exit_code=1)
    assert found["store"]["state"] == "fail"
    assert "damaged" in found["store"]["message"]
    assert "salt" not in found
    assert "engine" not in found


def test_a_damaged_page_is_found(url: str, tmp_path: Path) -> None:
    """The file opens and reads, yet an index is not what it should be."""
    path = tmp_path / "history.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE name = 'calls_call_id'")
    connection.close()
    found = _checks(url, exit_code=1)["store"]
    assert "damaged" in found["message"]
    assert ".recover" in found["advice"]


@pytest.mark.usefixtures("url")
def test_a_history_that_another_process_holds_locked_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be read, but not written."""
    monkeypatch.setattr(checks, "_PATIENCE", 0.05)
    holder = sqlite3.connect(tmp_path / "history.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        fault = checks.fault_of(tmp_path / "history.db")
    finally:
        holder.close()
    assert fault is not None
    assert "locked" in fault
    assert checks.fault_of(tmp_path / "history.db") is None


def test_rows_of_the_future_are_told(tmp_path: Path) -> None:
    """Some machine's clock is wrong."""
    url = history(
        tmp_path / "history.db", answered(1, ts=time.time() + 86_400), answered(2, ts=1e9)
    )
    found = _checks(url)["clock"]
    assert (found["state"], found["message"]) == ("warn", "1 rows lie in the future")


def test_a_salt_that_is_none_fails(url: str, tmp_path: Path) -> None:
    """Pseudonyms and draws would break."""
    with sqlite3.connect(tmp_path / "history.db") as connection:
        connection.execute("INSERT INTO meta VALUES ('salt', 'pepper')")
    connection.close()
    found = _checks(url, exit_code=1)
    assert found["salt"]["state"] == "fail"
    assert "engine" not in found


def test_models_without_a_price_are_listed(tmp_path: Path) -> None:
    """Recorded tasks and failed attempts are no calls to price."""
    names = [f"model-{letter}" for letter in "abcdefg"]
    unpriced = [answered(n, ts=1e9, model=name, cost=None) for n, name in enumerate(names)]
    task = answered(8, ts=1e9, api="task", model="any", cost=None)
    failed = answered(9, ts=1e9, model="gone", cost=None, output_tokens=0)
    url = history(tmp_path / "history.db", *unpriced, task, failed)
    found = _checks(url)["prices"]
    assert found["state"] == "warn"
    assert "model-a, model-b, model-c, model-d, model-e and 2 more" in found["message"]


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ("https://gateway.example/v1", "ok"), ("http://127.0.0.1:8080", "ok"),
        ("http://localhost", "ok"), ("http://gateway.example", "warn"), ("gateway", "fail"),
        ("ftp://gateway.example", "fail"), ("https://host:port", "fail"), ("https://", "fail"),
    ],
)  # fmt: skip
def test_upstream_addresses(
    url: str, monkeypatch: pytest.MonkeyPatch, address: str, state: str
) -> None:
    """Well-formed, and not in the clear over a network."""
    monkeypatch.setenv("BUDGET_PROXY_OPENAI_BASE_URL", address)
    found = _checks(url, exit_code=int(state == "fail"))["openai upstream"]
    assert found["state"] == state


def test_keys_are_never_shown(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the key nor a password in an address."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-verysecret")
    monkeypatch.setenv("BUDGET_PROXY_OPENAI_BASE_URL", "https://user:hidden@gateway.example/v1")
    for arguments in ([], ["--json"]):
        output = run("doctor", "--store", url, *arguments).output
        assert "verysecret" not in output
        assert "hidden" not in output
    assert _checks(url)["openai key"]["message"] == "yes"


def test_callers_with_virtual_keys_need_a_key_of_the_proxys_own(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one they are answered by a 503; once no key is in force nobody may call."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert _checks(url)["virtual keys"]["message"].startswith("none: ")
    assert _checks(url)["openai key"]["state"] == "ok"
    key = run_json("keys", "create", "--name", "Ann", "--store", url)["key"]["id"]
    assert _checks(url)["virtual keys"]["message"] == "1 in force, of 1 ever made"
    missing = _checks(url)["openai key"]
    assert (missing["state"], "503" in missing["message"]) == ("warn", True)
    assert "OPENAI_API_KEY" in missing["advice"]
    run("keys", "revoke", key, "--store", url)
    assert _checks(url)["virtual keys"]["state"] == "warn"


def test_a_webhook_that_serve_would_not_start_with_fails(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that it would is not shown."""
    monkeypatch.setenv("BUDGET_PROXY_ALERTS__WEBHOOK", "hooks.example/secret")
    assert _checks(url, exit_code=1)["webhook"]["state"] == "fail"
    monkeypatch.setenv("BUDGET_PROXY_ALERTS__WEBHOOK", "https://hooks.example/secret")
    assert _checks(url)["webhook"]["message"] == "yes"


def test_wrong_settings_fail_with_their_name(url: str, tmp_path: Path) -> None:
    """The history is still looked at."""
    (tmp_path / "budget_proxy.toml").write_text("holdouts = 0.5\n")
    found = _checks(url, exit_code=1)
    assert "holdouts" in found["settings"]["message"]
    assert found["store"]["state"] == "ok"
    assert "engine" not in found
    (tmp_path / "budget_proxy.toml").write_text("holdout = 0.5\n")
    assert "budget_proxy.toml found" in _checks(url)["settings"]["message"]


@pytest.mark.parametrize(
    ("version", "state"), [(None, "warn"), ("1.9.0", "warn"), ("2.0.0", "ok"), ("4.0.0b1", "warn")]
)
def test_libraries_in_versions_that_are_wrapped(
    url: str, monkeypatch: pytest.MonkeyPatch, version: str | None, state: str
) -> None:
    """A missing or too new one is a warning: the proxy needs none."""
    monkeypatch.setattr(checks, "installed", lambda _name: version)
    found = _checks(url)["openai SDK"]
    assert found["state"] == state


def test_an_old_python_fails(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that is needed is named."""
    monkeypatch.setattr(checks, "_OLDEST", (sys.version_info.major + 1, 0))
    assert "3.11" in _checks(url, exit_code=1)["python"]["advice"]


def test_a_place_that_cannot_be_written_fails_with_advice(tmp_path: Path) -> None:
    """There is a file where a directory would have to be."""
    (tmp_path / "file").write_text("")
    found = _checks(f"sqlite:///{tmp_path / 'file' / 'history.db'}", exit_code=1)["store"]
    assert found["state"] == "fail"
    assert "BUDGET_PROXY_STORE" in found["message"]
