from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from budget_proxy.store.connections import Connections, enable_wal
from budget_proxy.store.sqlite import SQLiteStore
from tests.makers import record
from tests.test_holding import until


def test_threads_share_few_connections(tmp_path: Path) -> None:
    """Threads that ended leave nothing open: what they used is used again."""
    pool = Connections(tmp_path / "x.db")
    seen = set()

    def use() -> None:
        with pool.use() as connection:
            seen.add(id(connection))
            connection.execute("SELECT 1")

    for _ in range(20):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert len(seen) == 1
    assert len(pool._idle) == 1
    pool.close()


def test_each_user_has_a_connection_of_its_own(tmp_path: Path) -> None:
    """Two at a time never share one, and at most four stay open afterwards."""
    pool = Connections(tmp_path / "x.db")
    held = [pool.use() for _ in range(6)]
    assert len({id(one.__enter__()) for one in held}) == 6
    for one in held:
        one.__exit__(None, None, None)
    assert len(pool._idle) == 4
    pool.close()
    assert pool._idle == []


def test_an_error_rolls_back(tmp_path: Path) -> None:
    """A transaction that an exception leaves open is undone, and its connection not used again."""
    pool = Connections(tmp_path / "x.db")
    with pool.use() as connection:
        connection.execute("CREATE TABLE t (n)")

    def interrupted() -> None:
        with pool.use() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO t VALUES (1)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pool.use() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    pool.close()


def test_what_is_in_use_at_close_is_closed_when_it_comes_back(tmp_path: Path) -> None:
    """Closing takes nothing away from a thread that is reading, and leaves nothing open."""
    pool = Connections(tmp_path / "x.db")
    with pool.use() as connection:
        pool.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert pool._idle == []


class Refusing:
    """A connection that cannot switch to WAL for a while."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)

    def execute(self, sql: str) -> Any:
        """Fail with the next code, if one is left."""
        assert sql == "PRAGMA journal_mode = WAL"
        if self.codes:
            error = sqlite3.OperationalError("refused")
            error.sqlite_errorcode = self.codes.pop(0)
            raise error
        return sqlite3.connect(":memory:").execute("SELECT 'wal'")


def test_two_that_switch_to_wal_at_once_do_not_fail() -> None:
    """SQLite refuses one of them without waiting: it tries again; other errors are raised."""
    busy = Refusing(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED | 1 << 8)
    enable_wal(cast("sqlite3.Connection", busy))
    assert busy.codes == []
    broken = Refusing(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_IOERR)
    with pytest.raises(sqlite3.OperationalError):
        enable_wal(cast("sqlite3.Connection", broken))
    assert broken.codes == [sqlite3.SQLITE_IOERR]


def test_a_fork_amid_writing_loses_nothing(tmp_path: Path) -> None:
    """Parent and children go on writing, in whatever order they end: all rows are there."""
    path = tmp_path / "history.db"
    store = SQLiteStore(path)
    store.migrate()
    script = """
import os, sys, threading
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord
store = SQLiteStore(sys.argv[1])
def write(name, count):
    for n in range(count):
        store.append([CallRecord(ts=1.0, api="a", model="m", call_id=f"{name}-{n}")])
threads = [threading.Thread(target=write, args=(f"thread{k}", 150)) for k in range(2)]
for thread in threads:
    thread.start()
children = []
for k in range(3):
    pid = os.fork()
    if pid == 0:
        assert store._connections._idle == []  # none of the parent's came along
        write(f"child{k}", 50)
        if k == 0:
            store.close()
        os._exit(0)
    children.append(pid)
    write(f"parent{k}", 20)
for thread in threads:
    thread.join()
store.close()  # before the children are done
sys.exit(sum(os.waitpid(pid, 0)[1] for pid in children))
"""
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=60)
    names = [row.call_id for row in store.recent(9999)]
    wanted = {f"thread{k}-{n}" for k in range(2) for n in range(150)}
    wanted |= {f"child{k}-{n}" for k in range(3) for n in range(50)}
    wanted |= {f"parent{k}-{n}" for k in range(3) for n in range(20)}
    assert sorted(names) == sorted(wanted)
    with store._connections.use() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.append([record()])
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_two_threads_may_fork_at_the_same_time(tmp_path: Path) -> None:
    """Each lets go of what it held, and others go on."""
    script = """
import os, sys, threading
from pathlib import Path
from budget_proxy.store.connections import Connections
pool = Connections(Path(sys.argv[1]))
together = threading.Barrier(3)
def fork():
    together.wait()
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
def use():
    with pool.use() as connection:
        together.wait()
        threading.Event().wait(0.2)
threads = [threading.Thread(target=work, daemon=True) for work in (fork, fork, use)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(10)
after = threading.Thread(target=lambda: pool.use().__enter__(), daemon=True)
after.start()
after.join(10)
os._exit(after.is_alive())
"""
    path = str(tmp_path / "history.db")
    subprocess.run([sys.executable, "-c", script, path], check=True, timeout=60)


def test_rows_are_written_before_others_who_wait_for_the_file(tmp_path: Path) -> None:
    """Behind one of them at most: answers must not be lost because many ask for leases."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    line, done = store._connections._turns, list[str]()

    def start(name: str, write: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            write()
            done.append(name)

        waiting = len(line._urgent) + len(line._others)
        thread = threading.Thread(target=run)
        thread.start()
        assert until(lambda: len(line._urgent) + len(line._others) == waiting + 1)
        return thread

    with store._connections.turn():
        threads = [start("other", lambda: store.renew("me", 1.0, 60.0)) for _ in range(5)]
        threads.append(start("rows", lambda: store.append([record()])))
    for thread in threads:
        thread.join()
    assert done.index("rows") <= 2
    store.close()
