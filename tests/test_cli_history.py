from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.store import migrations, open_store
from budget_proxy.store.rows import WRITTEN_COLUMNS, write_call
from budget_proxy.store.sqlite import SQLiteStore
from tests.command_line import history, rows, run, run_json
from tests.makers import record
from tests.test_store_contract import DAY, alike, many, reported

NOW = time.time()


def old(count: int) -> list[Any]:
    """Calls of the last ``count`` days, a hundred a day, the oldest first."""
    return [
        record(ts=NOW - DAY * (count - number / 100), call_id=f"c{number}", cost=0.01)
        for number in range(100 * count)
    ]


@pytest.fixture(autouse=True)
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forecasts start from the newest hundred calls alone."""
    monkeypatch.setenv("BUDGET_PROXY_WINDOW", "100")


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A history of twenty days."""
    return history(tmp_path / "history.db", *old(20))


def compacted(url: str, *arguments: str, exit_code: int = 0) -> Any:
    """What compacting a history did."""
    return run_json("history", "compact", "--store", url, *arguments, exit_code=exit_code)


def counts(url: str) -> dict[str, int]:
    """How many rows each table has."""
    store = open_store(url)
    found = dict(store.counts())
    store.close()
    return found


def report(url: str) -> Any:
    """What a report tells."""
    return run_json("report", "--store", url)


def test_calls_older_than_a_span_become_sums(url: str) -> None:
    """The others stay, and the report tells the same."""
    before = report(url)
    found = compacted(url, "--older-than", "5d")
    assert 1495 <= found["folded"] <= 1505
    assert found["kept"] == 2000 - found["folded"] == len(rows(url))
    assert 2450 > found["sums"] > 2400  # 96 quarters and 24 hours a day, and days
    assert min(row.ts for row in rows(url)) >= found["before"]
    after = report(url)
    assert after["overall"]["calls"] == before["overall"]["calls"] == 2000
    assert after["overall"].pop("cost") == pytest.approx(before["overall"].pop("cost"))
    assert (after["start"], after["end"]) == (before["start"], before["end"])
    assert after["overall"]["output_tokens"] == before["overall"]["output_tokens"]
    assert after["by_model"][0]["calls"] == 2000
    assert compacted(url, "--older-than", "5d")["folded"] == 0


def test_a_dry_run_changes_nothing(url: str) -> None:
    """And tells what would be done."""
    before = counts(url)
    dry = compacted(url, "--older-than", "5d", "--dry-run")
    assert counts(url) == before
    assert before["calls"] == 2000
    assert (dry["sums"], dry["dry_run"]) == (before["sums"], True)
    assert dry["folded"] == compacted(url, "--older-than", "5d")["folded"]


def test_what_forecasts_start_from_stays(tmp_path: Path) -> None:
    """However old it is."""
    url = history(tmp_path / "h.db", *(record(ts=NOW - 99 * DAY + n) for n in range(150)))
    assert compacted(url, "--older-than", "90d")["folded"] == 50
    assert len(rows(url)) == 100


@pytest.mark.parametrize(
    ("settings", "folded"),
    [
        ({"KEEP_CALLS": "700"}, 1300),
        ({"KEEP_CALLS": "5"}, 1900),
        ({"KEEP_DAYS": "10"}, 1000),
        ({"KEEP_DAYS": "10", "KEEP_CALLS": "700"}, 1300),
        ({"KEEP_DAYS": "5", "KEEP_CALLS": "1000"}, 1500),
    ],
)
def test_the_settings_say_what_is_kept(
    url: str, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], folded: int
) -> None:
    """By age, by number, and whichever of both folds more."""
    for name, value in settings.items():
        monkeypatch.setenv(f"BUDGET_PROXY_{name}", value)
    dry = compacted(url, "--dry-run")["folded"]
    assert dry == pytest.approx(folded, abs=5)
    assert compacted(url)["folded"] == pytest.approx(dry, abs=1)  # some time has passed


def test_nothing_is_folded_that_was_not_asked_for(url: str) -> None:
    """Without a span and settings; sums are by day, so no span is shorter."""
    result = run("history", "compact", "--store", url)
    assert result.exit_code == 2
    assert "--older-than 90d" in result.stderr
    result = run("history", "compact", "--store", url, "--older-than", "5h")
    assert result.exit_code == 2
    assert "at least 1d" in result.stderr
    assert len(rows(url)) == 2000


def test_people_read_what_was_done(url: str) -> None:
    """In three lines."""
    output = run("history", "compact", "--store", url, "--older-than", "5d").stdout
    assert "calls before" in output
    assert "stay as they are" in output
    assert "Sums: " in output


def test_the_file_becomes_smaller(url: str, tmp_path: Path) -> None:
    """The room of calls that went is given back without writing the file anew, and but once."""
    path = tmp_path / "history.db"
    report(url)  # makes the sums, which stay
    before = path.stat().st_size
    with closing(sqlite3.connect(path)) as connection:
        (of_calls,) = connection.execute(
            "SELECT sum(s.pgsize) FROM dbstat s JOIN sqlite_master m ON m.name = s.name "
            "WHERE m.tbl_name = 'calls'"
        ).fetchone()
    freed = compacted(url, "--older-than", "2d")["bytes_freed"]
    assert freed > 0.75 * of_calls
    assert path.stat().st_size <= before - freed + 4096 * 8
    assert compacted(url, "--older-than", "2d")["bytes_freed"] == 0


def test_a_file_of_an_older_version_needs_a_vacuum_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows fold like others; from the vacuum on it gives room back piece by piece."""
    path = tmp_path / "old.db"
    plain = sqlite3.connect(path)
    plain.execute("PRAGMA journal_mode = WAL")
    plain.close()
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "STEPS", migrations.STEPS[:3])
        store = SQLiteStore(path)
        store.migrate()
        store.close()
    with closing(sqlite3.connect(path)) as connection:  # as that version wrote rows
        names = [row[1] for row in connection.execute("PRAGMA table_info(calls)")][1:]
        written = [dict(zip(WRITTEN_COLUMNS, write_call(row), strict=True)) for row in old(20)]
        connection.executemany(
            f"INSERT INTO calls ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608 (our own names)
            [[row[name] for name in names] for row in written],
        )
        connection.commit()
    url = f"sqlite:///{path}"
    assert compacted(url, "--older-than", "10d")["bytes_freed"] == 0
    assert compacted(url, "--older-than", "10d", "--vacuum")["bytes_freed"] > 100_000
    assert compacted(url, "--older-than", "2d")["bytes_freed"] > 100_000
    assert report(url)["overall"]["calls"] == 2000


def test_others_write_while_rows_are_folded(url: str) -> None:
    """No writer waits long, none fails, and no row of theirs is lost or counted twice."""
    stop, waits = threading.Event(), []

    def write() -> None:
        store = open_store(url)
        while not stop.is_set():
            start = time.perf_counter()
            store.append([record(ts=NOW)])
            waits.append(time.perf_counter() - start)
        store.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        command = [sys.executable, "-m", "budget_proxy", "history", "compact", "--store", url]
        subprocess.run([*command, "--older-than", "2d"], check=True, capture_output=True)
    finally:
        stop.set()
        writer.join()
    assert len(waits) > 20
    assert max(waits) < 2.0, "a writer gives up after five seconds"
    assert report(url)["overall"]["calls"] == 2000 + len(waits)


def test_a_killed_compaction_loses_nothing(tmp_path: Path) -> None:
    """Reports tell the same at any moment, and it goes on where it was."""
    url = history(tmp_path / "h.db", *many(2000))
    store = open_store(url)
    before = reported(store)
    script = """
import os, signal, sys
from budget_proxy.cli import history
from budget_proxy.cli.app import app
from budget_proxy.store import summing
real, calls = summing.let_go, []
def killed(connection, ids):
    real(connection, ids)
    calls.append(1)
    if len(calls) > 2:
        os.kill(os.getpid(), signal.SIGKILL)
summing.let_go = killed
import time; time.time = lambda: 2e9
app()
"""
    arguments = ["history", "compact", "--store", url, "--older-than", "1d"]
    done = subprocess.run([sys.executable, "-c", script, *arguments], check=False)
    assert done.returncode == -9
    counts = store.counts()
    assert 0 < counts["calls"] < len(many(2000))
    assert counts["sums"] > 0
    assert alike(reported(store), before)
    store.close()


def test_a_history_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Looking after a history makes none."""
    result = run(
        "history", "compact", "--store", f"sqlite:///{tmp_path / 'no.db'}", "--older-than", "9d"
    )
    assert result.exit_code == 2
    assert not (tmp_path / "no.db").exists()
