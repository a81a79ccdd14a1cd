"""Limits of one file that several processes share: whole processes, killed ones among them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from budget_proxy.errors import StoreError
from budget_proxy.ledger.accounts import Account
from budget_proxy.ledger.limits import EACH, Limit
from budget_proxy.store.connections import BUSY
from budget_proxy.store.sqlite import SQLiteStore
from tests.makers import record

WORKER = """
import sys, time, random
from budget_proxy.ledger.accounts import Account
from budget_proxy.store.sqlite import SQLiteStore
from tests.makers import record

path, owner, account, rounds = sys.argv[1], sys.argv[2], Account(1, "", 0.0), int(sys.argv[3])
store, draw, free = SQLiteStore(path), random.Random(owner), 0
print("up", flush=True)
sys.stdin.readline()
refused = 0
for _ in range(rounds):
    need = draw.randrange(1, 100)
    if free < need:
        grant = store.lease(owner, {account: need - free}, time.time(), 600.0)[account]
        free += grant.amount
        assert grant.used + grant.held <= 40_000, grant
    if free >= need:
        free -= need
        used = {"output_tokens": need, "user": owner, "ts": time.time()}
        store.append([record(instance=owner, limits=2, **used)])
    else:
        refused += 1
print(refused, flush=True)
sys.stdin.readline()
store.give_back(owner, {account: free})
"""


def started(path: Path, owner: str, rounds: int) -> subprocess.Popen[str]:
    """A process that leases and writes rows once it is told to."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(path), owner, str(rounds)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip


def heard(process: subprocess.Popen[str]) -> str:
    """The next line of a process; an empty one if it has ended."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def told(process: subprocess.Popen[str]) -> None:
    """Let a process go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.fixture
def ended() -> Iterator[ExitStack]:
    """A stack whose processes are over when the test is."""
    with ExitStack() as stack:
        yield stack


def test_four_processes_share_a_limit(tmp_path: Path, ended: ExitStack) -> None:
    """Each leases and uses what it was granted: together all of the limit, and no token more."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    store.save_limit(Limit("output_tokens", 40_000, "lifetime"))
    store.save_limit(Limit("output_tokens", 10**9, "lifetime", (("user", EACH),)))
    four = [ended.enter_context(started(store.path, f"p{n}", 400)) for n in range(4)]
    assert [heard(process) for process in four] == ["up"] * 4
    for process in four:
        told(process)
    refused = [int(heard(process)) for process in four]
    now = time.time()
    whole = next(balance for balance in store.balances(now) if balance.account.limit == 1)
    assert store.miscounted(now) == {}
    assert whole.used + whole.held <= 40_000
    assert whole.used >= 38_000  # 1,600 calls of 50 tokens would need twice of what there is
    assert sum(refused) > 0
    for process in four:
        told(process)
        assert process.wait(30) == 0
    (whole, *users) = store.balances(time.time())
    assert (whole.held, sum(user.used for user in users)) == (0, whole.used)
    store.close()


def test_what_a_killed_process_held_counts_until_its_time_is_over(
    tmp_path: Path, ended: ExitStack
) -> None:
    """Its rows stay counted; what it held besides comes back, and not before."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    account = Account(store.save_limit(Limit("output_tokens", 40_000, "lifetime")), "", 0.0)
    process = ended.enter_context(started(store.path, "killed", 100_000))
    heard(process)
    told(process)
    while not store.balances(time.time())[0].used:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(30)
    now = time.time()
    assert store.miscounted(now) == {}
    (balance,) = store.balances(now)
    assert balance.held > 0
    left = 40_000 - balance.used
    assert store.lease("b", {account: left}, now, 60.0)[account].amount == 0
    assert store.lease("b", {account: left}, now + 600, 60.0)[account].amount == left
    store.close()


def test_rows_of_a_process_that_knows_no_limits_are_found_missing(tmp_path: Path) -> None:
    """An older version counts nothing; that is told to the token, and a recount mends it."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    account = Account(store.save_limit(Limit("output_tokens", 1_000, "lifetime")), "", 0.0)
    store.append([record()])
    with store._transaction("written") as connection:
        connection.execute("CREATE TEMP TABLE copy AS SELECT * FROM calls")
        connection.execute("UPDATE temp.copy SET id = NULL, output_tokens = 7")
        connection.execute("INSERT INTO calls SELECT * FROM temp.copy")
    now = time.time()
    assert store.miscounted(now) == {account: (100, 107)}
    assert (store.recount(now), store.miscounted(now)) == (1, {})
    assert store.balances(now)[0].used == 107
    store.close()


def test_a_full_disk_leaves_nothing_half_done(tmp_path: Path) -> None:
    """Where a row cannot be written, it is not counted either, nor taken off a lease."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    account = Account(store.save_limit(Limit("output_tokens", 10**9, "lifetime")), "", 0.0)
    store.lease("a", {account: 1_000}, 0.0, 1e9)
    before = store.balances(1.0)
    with store._connection("read") as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    rows = [record(instance="a", limits=1, reason="x" * 2_000)] * 50
    with pytest.raises(StoreError, match="disk is full"):
        store.append(rows)
    assert store.balances(1.0) == before
    assert (store.counts()["calls"], store.miscounted(1.0)) == (0, {})
    store.append(rows)  # there is room again: the failed connection was closed
    assert store.balances(1.0)[0].used == 5_000
    store.close()


def test_a_refusal_writes_nothing(tmp_path: Path) -> None:
    """Where nothing is left nobody waits for another process's write, nor has it wait."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    account = Account(store.save_limit(Limit("output_tokens", 1_000, "lifetime")), "", 0.0)
    assert store.lease("a", {account: 1_000}, 0.0, 60.0)[account].amount == 1_000
    other = SQLiteStore(store.path)
    with other._transaction("written"):
        begun = time.monotonic()
        refused = store.lease("a", {account: 1}, 1.0, 60.0)[account]
        assert time.monotonic() - begun < BUSY / 2
        with pytest.raises(StoreError, match="locked"):  # its lease is over: that is written
            store.lease("a", {account: 1}, 60.0, 60.0)
    assert (refused.amount, refused.used, refused.held) == (0, 0, 1_000)
    other.close()
    store.close()


def test_threads_that_write_wait_in_line(tmp_path: Path) -> None:
    """Of many that ask SQLite again and again some would never have their turn."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    account = Account(store.save_limit(Limit("output_tokens", 1_000, "lifetime")), "", 0.0)
    granted: list[int] = []

    def lease(number: int) -> None:
        grants = store.lease(f"p{number}", {account: 100}, 0.0, 60.0)
        granted.append(grants[account].amount)

    threads = [threading.Thread(target=lease, args=(number,)) for number in range(3)]
    with store._transaction("written"):
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        assert store._connections._used == 1
        assert granted == []
    for thread in threads:
        thread.join()
    assert min(granted) >= 100
    store.close()
