from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from budget_proxy.errors import InvalidInput, StoreError
from budget_proxy.store import connections
from budget_proxy.store.faults import UnwritableError
from budget_proxy.store.migrations import STEPS
from budget_proxy.store.sqlite import SQLiteStore
from tests.makers import record, session


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    """An empty history in a file."""
    opened = SQLiteStore(tmp_path / "history.db")
    opened.migrate()
    yield opened
    opened.close()


def integrity(path: Path) -> str:
    """SQLite's own word on a file."""
    with sqlite3.connect(path) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchone()[0]
    connection.close()
    return str(found)


def test_a_history_outlives_its_store(tmp_path: Path) -> None:
    """What one store wrote, the next one on the file reads, and nothing is migrated twice."""
    first = SQLiteStore(tmp_path / "a" / "b" / "history.db")
    assert first.migrate() == [step.__name__ for step in STEPS]
    first.append([record(call_id="kept")])
    first.close()
    second = SQLiteStore(first.url)
    assert second.migrate() == []
    assert [row.call_id for row in second.recent(9)] == ["kept"]
    second.close()


def test_the_file_is_in_wal_mode_and_has_no_foreign_keys(store: SQLiteStore) -> None:
    """Readers do not wait for the writer; a commit does not wait for the disk."""
    with store._connections.use() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert found == ["wal", 1, 0, 5000]


def test_a_closed_history_says_so(tmp_path: Path) -> None:
    """Every use after close is a StoreError that names the file."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    store.close()
    with pytest.raises(StoreError, match=r"history\.db has been closed"):
        store.append([record()])
    with pytest.raises(StoreError, match="has been closed"):
        store.recent(1)


def test_a_history_without_its_tables_says_so(tmp_path: Path) -> None:
    """A store that was never migrated fails by a StoreError, not by one of sqlite3."""
    store = SQLiteStore(tmp_path / "history.db")
    with pytest.raises(StoreError, match="cannot be written: no such table"):
        store.append([record()])
    store.close()


@pytest.mark.parametrize(
    "odd",
    [
        record(agent="\ud800"),
        record(complexity=float("nan")),
        record(output_tokens=2**63),
        record(agent=b"x", host=object()),
        record(tags=(object(),)),
    ],
    ids=["surrogate", "nan", "huge", "object", "list"],
)
def test_a_row_that_cannot_be_stored_spoils_nothing(store: SQLiteStore, odd: object) -> None:
    """The error is the caller's, and the good rows of its batch are not half-written."""
    store.append([record(call_id="before")])
    with pytest.raises(InvalidInput, match="a call cannot be stored"):
        store.append([record(), odd])  # type: ignore[list-item]
    store.append([record(call_id="after")])
    assert [(row.id, row.call_id) for row in store.recent(9)] == [(1, "before"), (2, "after")]


def test_a_session_that_cannot_be_stored_spoils_nothing(store: SQLiteStore) -> None:
    """Neither the odd session nor the good one of its batch is there afterwards."""
    with pytest.raises(InvalidInput, match="a session cannot be stored"):
        store.save_sessions([session(), session(id="\ud800")])
    assert store.counts()["sessions"] == 0


def test_a_full_disk_leaves_nothing_half_written(store: SQLiteStore) -> None:
    """A batch that no longer fits is a StoreError; when there is room again all goes on."""
    store.append([record()])
    with store._connections.use() as connection:  # the next writer gets the same one
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="the disk is full"):
        store.append([record(reason="x" * 100)] * 500)
    assert store.counts()["calls"] == 1
    assert store.append([record()] * 500)[-1] == 501
    assert integrity(store.path) == "ok"


def test_a_file_that_may_not_grow_leaves_nothing_half_written(tmp_path: Path) -> None:
    """The same where the operating system refuses to write: the old rows stay readable."""
    path = tmp_path / "history.db"
    store = SQLiteStore(path)
    store.migrate()
    store.append([record()] * 10)
    store.close()
    script = """
import sys
from budget_proxy.errors import StoreError
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord
store = SQLiteStore(sys.argv[1])
rows = [CallRecord(ts=1.0, api="a", model="m", call_id="c", reason="x" * 500)] * 2000
try:
    store.append(rows)
except StoreError as error:
    print("refused:", len(store.recent(99)), error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)),
    )
    assert done.stdout.startswith("refused: 10 the history")
    assert integrity(path) == "ok"


@pytest.mark.parametrize("place", ["/proc/nope/history.db", "{}/file/history.db", "{}"])
def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path, place: str) -> None:
    """The error names the place and another way."""
    (tmp_path / "file").write_text("in the way")
    path = place.format(tmp_path)
    with pytest.raises(UnwritableError, match="cannot be opened") as caught:
        SQLiteStore(path)
    assert path in str(caught.value)
    assert "BUDGET_PROXY_STORE" in str(caught.value)


@pytest.mark.parametrize(("start", "end"), [(0, 4096), (4096, None)], ids=["header", "tables"])
def test_a_damaged_file_is_left_as_it_is(tmp_path: Path, start: int, end: int | None) -> None:
    """The error names the file and says what to do; not a byte of it is changed."""
    path = tmp_path / "history.db"
    store = SQLiteStore(path)
    store.migrate()
    store.append([record()] * 50)
    store.close()
    content = bytearray(path.read_bytes())
    content[start:end] = os.urandom(len(content[start:end]))
    path.write_bytes(content)
    with pytest.raises(StoreError, match="move it away") as caught:
        SQLiteStore(path).migrate()
    assert str(path) in str(caught.value)
    assert path.read_bytes() == content


def test_a_locked_file_is_a_clear_error(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another process keeps the write lock too long the write fails, and only the write."""
    monkeypatch.setattr(connections, "BUSY", 0.05)
    store.append([record()])
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    slow = SQLiteStore(store.path)
    with pytest.raises(StoreError, match="another process has held it locked"):
        slow.append([record()])
    assert len(slow.recent(9)) == 1
    other.execute("ROLLBACK")
    other.close()
    assert slow.append([record()]) == [2]
    slow.close()


def test_a_relative_path_stays_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of directory does not move the history."""
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("sqlite:///history.db")
    store.migrate()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with store._connections.use():  # the idle one is taken, so that the next must be opened
        store.append([record()])
    assert store.url == f"sqlite:///{tmp_path}/history.db"
    assert store.url.startswith("sqlite:////")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    store.close()


def test_several_processes_lose_nothing(store: SQLiteStore) -> None:
    """Four processes that write 500 rows each to one file: all rows are there, each once."""
    script = """
import sys
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord
path, name = sys.argv[1:]
store = SQLiteStore(path)
for n in range(100):
    store.append([CallRecord(ts=1.0, api="a", model="m", call_id=f"{name}-{5 * n + k}")
                  for k in range(5)])
store.close()
"""
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(store.path), str(n)]) for n in range(4)
    ]
    assert [process.wait(30) for process in running] == [0] * 4
    rows = store.recent(9999)
    assert [row.id for row in rows] == list(range(1, 2001))
    assert {row.call_id for row in rows} == {f"{n}-{k}" for n in range(4) for k in range(500)}
    assert integrity(store.path) == "ok"


def test_a_setting_is_the_same_for_all_processes(store: SQLiteStore) -> None:
    """Of several processes that set the salt at once all get the one that stood first."""
    script = """
import sys
from budget_proxy.store.sqlite import SQLiteStore
print(SQLiteStore(sys.argv[1]).meta("salt", sys.argv[2]))
"""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(store.path), str(n)], stdout=subprocess.PIPE
        )
        for n in range(3)
    ]
    answers = {process.communicate(timeout=30)[0] for process in running}
    assert answers == {store.meta("salt", "late").encode() + b"\n"}


def test_a_call_takes_at_most_1000_bytes(store: SQLiteStore) -> None:
    """Row and indexes together, with every usual field given."""
    hashed = "0123456789abcdef" * 2
    rows = [
        record(
            ts=1_800_000_000.123 + n, call_id=uuid.uuid4().hex, host="https://api.openai.com",
            agent=f"agent-{n % 7}", session=f"{n // 5:032x}", run="run-1", user=hashed,
            key="team-a", tags=("prod", "eu"), task_type="code_generation", complexity=41.7,
            domains=("backend", "security"), novelty=0.37, uncertainty=0.21, criticality=0.5,
            stream=True, input_chars=4321, input_estimate=1102, input_tokens=1134 + n,
            output_tokens=512 + n, reasoning_tokens=256, cache_read_tokens=896,
            cache_write_tokens=0, ceiling=4096, seconds=7.318, q50=411.9, q75=633.1, q90=1020.4,
            q95=1377.7, q99=2893.2, target=512, recommended=724, reserve=1378, cap=4340,
            thinking="enabled", effort="medium", mode="enforce", propensity=0.9,
            strategy="quantile", confidence=0.63, support=240, guidance=hashed,
            guidance_tokens=31, cost=0.00712, prices="genai-prices 0.2.3", tier="default",
            response_id=uuid.uuid4().hex,
            reason="enforce: 240 outcomes of (agent-1, code_generation, gpt-5.4); cap 4340: "
            "caps = quota at q99 2893, floor 1024", instance="0123456789ab",
        )
        for n in range(2000)
    ]  # fmt: skip
    connection = sqlite3.connect(store.path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # or tables that calls do not fill count
    connection.close()
    empty = store.path.stat().st_size
    store.append(rows)
    store.close()  # folds the log into the file
    assert (store.path.stat().st_size - empty) / len(rows) <= 1000


def test_a_window_of_time_is_read_by_index(store: SQLiteStore) -> None:
    """Asking for a few recent rows does not read the whole history."""
    with store._connections.use() as connection:
        plan = " ".join(
            str(row)
            for row in connection.execute(
                "EXPLAIN QUERY PLAN SELECT id FROM calls WHERE ts >= ? AND ts < ? ORDER BY id",
                (1, 2),
            )
        )
    assert "calls_ts" in plan
