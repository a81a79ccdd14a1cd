"""Limits under load: many threads and processes on one file, some of them killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from budget_proxy.ledger.limits import EACH, NANO, Limit, amount_of
from budget_proxy.store import open_store
from budget_proxy.store.base import Store

PROCESSES, THREADS = 4, 16

LIMITS = (
    Limit("tokens", 200_000, "lifetime", hold="worst"),
    Limit("tokens", 150_000, "lifetime", (("agent", "coder"),)),
    Limit("output_tokens", 40_000, "lifetime", (("user", EACH),)),
    Limit("usd", NANO * 3, "lifetime", (("model", "gpt-5.4"),)),
    Limit("usd", NANO * 200, "lifetime", hold="worst"),
    Limit("tokens", 90_000, "lifetime", (("run", EACH),)),
    Limit("output_tokens", 60_000, "flight"),
)


def test_limits_hold_under_load(tmp_path: Path) -> None:
    """2,000 calls of 64 threads in four processes, one of which is killed."""
    _under_load(tmp_path, 2_000, scale=1)


@pytest.mark.slow
def test_limits_hold_under_a_long_load(tmp_path: Path) -> None:
    """20,000 calls."""
    _under_load(tmp_path, 20_000, scale=10)


def _under_load(folder: Path, calls: int, scale: int) -> None:
    url = f"sqlite:///{folder / 'history.db'}"
    store = open_store(url)
    now = time.time()
    limits = [
        Limit(one.unit, one.amount * scale, one.window, one.where, hold=one.hold, created=now)
        for one in LIMITS
    ]
    by_id = {store.save_limit(one): one for one in limits}
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.ledger_load", url, str(seed), str(calls // PROCESSES),
             str(THREADS)],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent,
        )
        for seed in range(PROCESSES)
    ]  # fmt: skip
    try:
        killed = workers[0]
        assert killed.stdout is not None
        assert killed.stdout.readline() == "ready\n"
        time.sleep(1.5)
        os.kill(killed.pid, signal.SIGKILL)
        told = [json.loads(one.communicate(timeout=500)[0].splitlines()[-1]) for one in workers[1:]]
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert all(one.returncode == 0 for one in workers[1:])
    assert sum(one["counts"]["admitted"] for one in told) > calls / 20
    assert sum(one["counts"].get("left", 0) for one in told) > 0
    _check(store, by_id, {int(id_): [one["most"].get(id_, 0) for one in told] for id_ in
                          {id_ for one in told for id_ in one["most"]}})  # fmt: skip
    store.close()


def _check(store: Store, limits: dict[int, Limit], most: dict[int, list[int]]) -> None:
    """Counters are the history's; nothing is beyond its bound, and nothing stays reserved."""
    now = time.time()
    assert store.miscounted(now) == {}
    rows = list(store.calls())
    balances = {balance.account: balance for balance in store.balances(now)}
    for account, balance in balances.items():
        limit = limits[account.limit]
        if limit.window == "flight":
            assert balance.used == 0
            continue
        # one process was killed: what it told nobody is as much as the others' most at worst
        bound = 0 if limit.hold == "worst" else 2 * sum(most.get(account.limit, [0]))
        assert balance.used <= limit.amount + bound
    for id_, limit in limits.items():
        if limit.window == "lifetime" and not limit.by and not limit.where:
            used = sum(
                balance.used for account, balance in balances.items() if account.limit == id_
            )
            assert used == sum(amount_of(limit.unit, row) for row in rows)
    later = now + 61.0
    for balance in store.balances(later):
        assert (balance.held, balance.open) == (0, 0)
        left = limits[balance.account.limit].amount - balance.used
        if left > 0:
            granted = store.lease("another", {balance.account: left}, later, 60.0)
            assert granted[balance.account].amount == left
