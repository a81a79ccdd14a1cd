from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.errors import StoreError
from budget_proxy.store import migrations
from budget_proxy.store.measures import sums_of
from budget_proxy.store.rows import CALL_COLUMNS, SESSION_COLUMNS, WRITTEN_COLUMNS, write_call
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.store.sums import KEYS, total
from tests.makers import NOW, record
from tests.test_store_contract import many


def columns(path: Path, table: str) -> list[str]:
    """The columns of a table, as SQLite has them."""
    connection = sqlite3.connect(path)
    found = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    connection.close()
    return found


def by_half_hours(connection: sqlite3.Connection) -> None:
    """Put half hours in place of quarters and hours, as an earlier version kept them."""
    names = [row[1] for row in connection.execute("PRAGMA table_info(sums)")][8:]
    connection.execute(
        f"INSERT INTO sums (span, start, {', '.join(KEYS)}, first, last, {', '.join(names)}) "  # noqa: S608 (our own names)
        f"SELECT 1800, start / 1800 * 1800 AS half, {', '.join(KEYS)}, min(first), max(last), "
        f"{', '.join(f'sum({name})' for name in names)} FROM sums WHERE span = 900 "
        f"GROUP BY half, {', '.join(KEYS)}"
    )
    connection.execute("DELETE FROM sums WHERE span IN (900, 3600)")
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm016_quarters'")


def m999_shade(db: Any) -> None:
    """Add a column, as a later version may."""
    db.execute("ALTER TABLE calls ADD COLUMN shade TEXT NOT NULL DEFAULT 'grey'")


def m999_broken(db: Any) -> None:
    """Begin, and fail half-way."""
    db.execute("ALTER TABLE calls ADD COLUMN shade TEXT NOT NULL DEFAULT 'grey'")
    db.execute("ALTER TABLE nowhere ADD COLUMN shade TEXT")


def test_a_new_file_has_every_column(tmp_path: Path) -> None:
    """All steps together make the tables that rows are written to."""
    store = SQLiteStore(tmp_path / "history.db")
    assert store.migrate() == [step.__name__ for step in migrations.STEPS]
    store.close()
    assert sorted(columns(store.path, "calls")) == sorted(CALL_COLUMNS)
    assert columns(store.path, "sessions") == list(SESSION_COLUMNS)


def test_an_old_file_is_upgraded_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Data of the first version is there after later steps, and each step runs once."""
    path = tmp_path / "history.db"
    old = SQLiteStore(path)
    old.migrate()
    old.append([record(call_id="kept")])
    old.close()
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, m999_shade))
    new = SQLiteStore(path)
    assert new.migrate() == ["m999_shade"]
    assert new.migrate() == []
    new.close()
    assert columns(path, "calls")[-1] == "shade"
    again = SQLiteStore(path)
    assert again.migrate() == []
    again.append([record(call_id="added")])
    assert [row.call_id for row in again.recent(9)] == ["kept", "added"]
    again.close()


def test_each_released_step_upgrades_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of a file that an earlier version made have the defaults of the columns it lacked."""
    path = tmp_path / "history.db"
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "STEPS", migrations.STEPS[:1])
        first = SQLiteStore(path)
        first.migrate()
        first.close()
    connection = sqlite3.connect(path)
    names = columns(path, "calls")[1:]
    row = dict(zip(WRITTEN_COLUMNS, write_call(record(call_id="kept")), strict=True))
    connection.execute(
        f"INSERT INTO calls ({', '.join(names)}) "  # noqa: S608 (our own names)
        f"VALUES ({', '.join('?' * len(names))})",
        [row[name] for name in names],
    )
    connection.commit()
    connection.close()
    store = SQLiteStore(path)
    assert store.migrate() == [step.__name__ for step in migrations.STEPS[1:]]
    assert store.recent(9) == [record(call_id="kept", id=1)]
    store.close()


def test_days_of_an_earlier_version_become_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was folded by day goes on counting, beside the rows that are there."""
    path = tmp_path / "history.db"
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "STEPS", migrations.STEPS[:4])
        old = SQLiteStore(path)
        old.migrate()
        old.close()
    connection = sqlite3.connect(path)
    for reason, arm, count in (("stop", "treatment", 5), ("length", "treatment", 2)):
        connection.execute(
            "INSERT INTO days (day, agent, task_type, model, arm, finish_reason, first, last, "
            "calls, attempts, output_tokens, output_reported, cache_read_tokens) "
            "VALUES ('2027-01-15', 'a', 't', 'm', ?, ?, ?, ?, ?, ?, 100, ?, 9)",
            (arm, reason, NOW, NOW + count, count, count, count),
        )
    connection.commit()
    connection.close()
    store = SQLiteStore(path)
    store.migrate()
    store.append([record(ts=NOW + 2 * 86_400)])
    sums, new = store.sums()
    assert (sums.group, sums.calls, sums.attempts) == (("a", "t", "m", ""), 7, 7)
    assert (sums.folded, sums.output_tokens, sums.cache_read_reported) == (7, 200, 7)
    assert (sums.first, sums.last, new.calls) == (NOW, NOW + 5, 1)
    assert [found.calls for found in store.sums(start=NOW + 86_400)] == [1]
    assert store.folded() == [(1_799_971_200, "a", "m")]
    store.close()


def test_calls_that_are_there_have_an_attainable_efficiency(tmp_path: Path) -> None:
    """An upgrade adds it up for every row that sums were made of, and for no other."""
    path = tmp_path / "history.db"
    store = SQLiteStore(path)
    store.migrate()
    store.append(many(300))
    assert store.fold(store.horizon(0), NOW + 3 * 86_400, limit=80)
    store.sums()
    store.append([replace(row, call_id=f"later {row.call_id}") for row in many(40)])
    expected = total(sums_of(store.calls()))
    assert expected.expected > 100
    store.close()
    connection = sqlite3.connect(path)
    by_half_hours(connection)
    for name in ("expected", "expected_efficiency"):
        connection.execute(f"ALTER TABLE sums DROP COLUMN {name}")
    connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm010_attainable_efficiency'")
    connection.commit()
    connection.close()
    store = SQLiteStore(path)
    assert store.migrate() == ["m010_attainable_efficiency", "m016_quarters"]
    found = total(store.sums(by=KEYS))
    assert found.expected == expected.expected < found.promised
    assert found.expected_efficiency == pytest.approx(expected.expected_efficiency)
    halves = [
        store.sums(start=NOW + 3 * 86_400 + 1800 * i, end=NOW + 3 * 86_400 + 1800 * (i + 1))
        for i in range(4)
    ]
    rows = [row for row in store.calls() if 0 <= row.ts - NOW - 3 * 86_400 < 7200]
    assert sum(one.expected for half in halves for one in half) == total(sums_of(rows)).expected
    store.close()


def kept(path: Path) -> list[tuple[Any, ...]]:
    """All sums that a file keeps."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT * FROM sums ORDER BY 1, 2, 3, 4, 5, 6").fetchall()
    connection.close()
    return rows


@pytest.mark.parametrize("gone", [0, 60])
def test_half_hours_become_quarters_and_hours(tmp_path: Path, gone: int) -> None:
    """As if they had always been; days of which calls are gone are told as days from then on."""
    path = tmp_path / "history.db"
    store = SQLiteStore(path)
    store.migrate()
    rows = [replace(row, ts=NOW + 1_080 * int(row.call_id[1:])) for row in many(400)]  # five days
    store.append([*rows, record(pending=True, call_id="pending", ts=NOW + 5)])
    if gone:
        assert store.fold(store.horizon(0), NOW + 3 * 86_400, limit=gone)
    store.sums()
    store.append([record(call_id="in no sum yet", ts=NOW + 5)])
    store.close()
    before = kept(path)
    connection = sqlite3.connect(path)
    by_half_hours(connection)
    connection.commit()
    connection.close()
    store = SQLiteStore(path)
    assert store.migrate() == ["m016_quarters"]
    fine = 0
    if gone:
        partial = [day for day, *_ in store.folded()]
        fine = partial[-1] + 86_400
    whole = [row for row in before if row[0] == 86_400 or row[1] >= fine]
    assert len(whole) > 500
    assert [row[:8] for row in kept(path)] == [row[:8] for row in whole]
    assert [row[8:] for row in kept(path)] == [pytest.approx(row[8:]) for row in whole]
    assert total(store.sums(by=KEYS)).attempts == len(rows) + 2
    assert store.migrate() == []
    store.close()


def test_an_older_version_still_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that a newer version has upgraded can be used by one that does not know the step."""
    path = tmp_path / "history.db"
    with monkeypatch.context() as newer:
        newer.setattr(migrations, "STEPS", (*migrations.STEPS, m999_shade))
        store = SQLiteStore(path)
        store.migrate()
        store.close()
    older = SQLiteStore(path)
    assert older.migrate() == []
    older.append([record()])
    assert len(older.recent(9)) == 1
    older.close()


def test_a_step_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration is all or nothing, and is tried again the next time."""
    path = tmp_path / "history.db"
    store = SQLiteStore(path)
    store.migrate()
    store.append([record(call_id="kept")])
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, m999_broken))
    with pytest.raises(StoreError, match="cannot be brought up to date: no such table: nowhere"):
        store.migrate()
    assert "shade" not in columns(path, "calls")
    assert [row.call_id for row in store.recent(9)] == ["kept"]
    store.close()


def test_an_up_to_date_file_opens_without_sqlite_utils(tmp_path: Path) -> None:
    """The library (and what it brings along) is imported only where a table is to be made."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    store.close()
    script = """
import sys
from budget_proxy.store import open_store
open_store(sys.argv[1]).close()
print("sqlite_utils" in sys.modules, "numpy" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, store.url], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False False\n"


def test_who_comes_amid_a_migration_waits_and_finds_it_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second to open a file does not look at it before the first has upgraded it."""
    begun = threading.Event()

    def m998_slow(db: Any) -> None:
        begun.set()
        time.sleep(0.2)
        m999_shade(db)

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, m998_slow))
    first, second = (SQLiteStore(tmp_path / "history.db") for _ in range(2))
    applied: list[list[str]] = []
    thread = threading.Thread(target=lambda: applied.append(first.migrate()))
    thread.start()
    begun.wait(5)
    assert second.migrate() == []
    thread.join()
    assert applied == [[step.__name__ for step in migrations.STEPS]]
    first.close()
    second.close()


def test_processes_that_open_a_fresh_file_at_once_all_succeed(tmp_path: Path) -> None:
    """One makes the tables, the others find them made; each then writes its row."""
    script = """
import sys
import sqlite_utils.migrations  # so that all come to the point together
from budget_proxy.store import open_store
from budget_proxy.types import CallRecord
print("ready", flush=True)
sys.stdin.readline()
for n in range(5):
    store = open_store(f"{sys.argv[1]}-{n}.db")
    store.append([CallRecord(ts=1.0, api="a", model="m", call_id="c")])
    store.close()
"""
    url = f"sqlite:///{tmp_path}/fresh"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    for process in running:
        process.communicate("go\n", timeout=30)
    assert [process.returncode for process in running] == [0] * 3
    for n in range(5):
        store = SQLiteStore(f"{url}-{n}.db")
        assert store.counts()["calls"] == 3
        store.close()
