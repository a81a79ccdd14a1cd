"""Limits under load: many threads and processes on one file, some of them killed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.ledger.accounts import Account
from budget_proxy.ledger.limits import EACH, NANO, Limit, amount_of, whose_of
from budget_proxy.store import open_store
from budget_proxy.store.base import Store
from budget_proxy.store.keeper import TTL
from budget_proxy.store.sqlite import SQLiteStore

PROCESSES, THREADS = 4, 16

LIMITS = (
    Limit("tokens", 200_000, "lifetime", hold="worst"),
    Limit("tokens", 150_000, "lifetime", (("agent", "coder"),)),
    Limit("output_tokens", 40_000, "lifetime", (("user", EACH),)),
    Limit("output_tokens", 35_000, "lifetime", (("user", EACH),), hold="worst"),
    Limit("usd", NANO * 3, "lifetime", (("model", "gpt-5.4"),)),
    Limit("usd", NANO * 200, "lifetime", hold="worst"),
    Limit("tokens", 90_000, "lifetime", (("run", EACH),)),
    Limit("output_tokens", 60_000, "flight"),
)
"""Of a load of 2,000 calls; that of a longer one is as much larger."""


class Worker:
    """A process under load. ``dies``: in its so manieth write; 0 for never."""

    def __init__(self, url: str, seed: int, calls: int, dies: int = 0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.ledger_load", url,
             *map(str, (seed, calls, THREADS, dies))],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        self.killed = dies > 0
        self.told: list[dict[str, Any]] = []

    def ready(self) -> None:
        """Wait until its calls begin."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """At once, whatever it is doing. It does not matter if it is done already."""
        self.killed = True
        self.process.kill()

    def end(self) -> None:
        """Wait for its end, and read what it told."""
        printed, _ = self.process.communicate(timeout=500)
        assert self.process.returncode in ({0, -signal.SIGKILL} if self.killed else {0})
        lines = printed[: printed.rfind("\n") + 1].splitlines()  # one killed may be in a line
        self.told = [json.loads(line) for line in lines if line != "ready"]

    @property
    def most(self) -> Counter[str]:
        """By account, the most that was known to be possible beyond what was held."""
        found: Counter[str] = Counter()
        for line in self.told:
            found.update({name: n - found[name] for name, n in line.get("most", {}).items()})
        return found


def test_limits_hold_under_load(tmp_path: Path) -> None:
    """2,000 calls of 64 threads in four processes; one is killed, one dies amid a write."""
    with_deaths = [0, 0, 0, 4]
    _under_load(tmp_path, 2_000, with_deaths, kills=1, every=1.5)


@pytest.mark.slow
def test_limits_hold_under_a_long_load(tmp_path: Path) -> None:
    """20,000 calls; 18 processes in all, of which most die: half of them amid a write."""
    with_deaths = [0, 0, 0, 0, *range(3, 10)]
    _under_load(tmp_path, 20_000, with_deaths, kills=7, every=2.0)


def _under_load(folder: Path, calls: int, deaths: list[int], kills: int, every: float) -> None:
    """Run a process for each of ``deaths`` (the write it dies in, 0 for none), four at once.

    Those that end are followed by the next; ``kills`` more are begun, and killed as they run.
    """
    url = f"sqlite:///{folder / 'history.db'}"
    store = open_store(url)
    now, scale = time.time(), calls // 2_000
    limits = [
        Limit(one.unit, one.amount * scale, one.window, one.where, hold=one.hold, created=now)
        for one in LIMITS
    ]
    by_id = {store.save_limit(one): one for one in limits}
    workers = _run(url, calls, deaths, kills, every)
    dead = [worker for worker in workers if worker.process.returncode != 0]
    ended = [worker.told[-1] for worker in workers if worker not in dead]
    assert len(dead) >= sum(number > 0 for number in deaths)
    counts = sum((Counter(one["counts"]) for one in ended), Counter[str]())
    assert counts["admitted"] > calls / 20
    assert counts["refused"] > calls / 20
    assert counts["left"] > 0
    assert all(one["over"] == [] and one["faults"] == {} for one in ended)
    _check(store, by_id, sum((worker.most for worker in workers), Counter[str]()))
    assert isinstance(store, SQLiteStore)
    with store._connections.use() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def _run(url: str, calls: int, deaths: list[int], kills: int, every: float) -> list[Worker]:
    draw = random.Random(calls)  # noqa: S311 (a repeatable load)
    each = calls // PROCESSES
    workers = [Worker(url, seed, each, dies) for seed, dies in enumerate(deaths[:PROCESSES])]
    waiting = deaths[PROCESSES:]
    try:
        for number in range(kills):
            victim = workers[0] if number == 0 else Worker(url, 100 + number, each)
            if number:
                workers.append(victim)
            if waiting:
                workers.append(Worker(url, len(workers), each, waiting.pop()))
            victim.ready()
            time.sleep(every * (0.2 + draw.random()))
            victim.kill()
            victim.end()
        for worker in workers:
            if not worker.told:
                worker.end()
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.communicate()
    return workers


def _check(store: Store, limits: dict[int, Limit], most: Counter[str]) -> None:
    """Counters are the history's; nothing is beyond its bound, and nothing stays reserved.

    ``most`` is by how much more than what they held all processes might have used together,
    as they knew while they ran; in worst-case mode not one token is beyond the limit.
    """
    now = time.time()
    assert store.miscounted(now) == {}
    should: Counter[Account] = Counter()
    for row in store.calls():
        for id_, limit in limits.items():
            for part in limit.parts(whose_of(row)) if limit.window != "flight" else ():
                should[Account(id_, part, 0.0)] += amount_of(limit.unit, row)
    balances = store.balances(now)
    counted = {one.account: one.used for one in balances if one.used}
    assert counted == {account: amount for account, amount in should.items() if amount}
    for account, used in counted.items():
        limit = limits[account.limit]
        bound = 0 if limit.hold == "worst" else most[f"{account.limit}/{account.part}"]
        assert used <= limit.amount + bound, (limit, account)
    _check_that_nothing_is_held(store, limits, now + TTL + 1.0)


def _check_that_nothing_is_held(store: Store, limits: dict[int, Limit], later: float) -> None:
    """When the time of every lease is over all that is not used can be had."""
    for balance in store.balances(later):
        assert (balance.held, balance.open) == (0, 0)
        left = limits[balance.account.limit].amount - balance.used
        if left > 0:
            granted = store.lease("another", {balance.account: left}, later, TTL)
            assert granted[balance.account].amount == left
