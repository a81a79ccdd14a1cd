"""``budget-proxy serve`` killed amid many calls, again and again, on one history."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from budget_proxy.ledger.accounts import Account
from budget_proxy.ledger.limits import EACH, NANO, Limit, amount_of, whose_of
from budget_proxy.store import open_store
from budget_proxy.store.base import Store
from budget_proxy.store.keeper import TTL
from budget_proxy.types import CallRecord
from tests.many_callers import MOST, Callers
from tests.proxied import Upstream
from tests.scripted_calls import answer
from tests.test_cli_serve import serving

WRITTEN = 0.25
"""Seconds after which what was answered is in the history, whatever happens."""
TIGHT = 40 * MOST
LIMITS = (
    Limit("tokens", 10**9, "lifetime"),
    Limit("output_tokens", TIGHT, "lifetime", (("agent", "tight"),), hold="worst"),
    Limit("usd", 1_000 * NANO, "lifetime", (("user", EACH),)),
    Limit("output_tokens", 10**7, "flight"),
)


@pytest.mark.slow
def test_what_was_answered_is_counted_after_many_kills_amid_many_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 kills amid 1,000 calls, whose answers take 1 to 3 seconds."""
    monkeypatch.setenv("BUDGET_PROXY_STRATEGY", "quantile")  # 20 starts would learn long else
    asyncio.run(_killed(tmp_path, callers=1_000, kills=20, seconds=(1.0, 3.0)))


async def _killed(folder: Path, *, callers: int, kills: int, seconds: tuple[float, float]) -> None:
    """Serve so many callers and kill, so often, at some moment after half of them were answered.

    After each restart all is looked at.
    """
    draw = random.Random(kills)  # noqa: S311 (any moment will do)
    store = open_store(f"sqlite:///{folder / 'h.db'}")
    limits = {store.save_limit(limit): limit for limit in LIMITS}
    due: dict[str, str] = {}
    with Upstream(answer) as upstream:
        for number in range(kills + 1):
            with serving(folder, upstream.url) as (url, _, process):
                _check(store, limits, due)
                if number == kills:
                    break
                enough = round(callers * draw.uniform(0.5, 2.0))
                crowd = Callers(callers, f"{number}", seconds, enough)
                calling = asyncio.create_task(crowd.run(int(url.rpartition(":")[2])))
                await crowd.enough.wait()
                killed = time.monotonic()
                process.kill()
                await calling
            upstream.seen.clear()
            assert set(crowd.told.statuses) <= {200, 429}
            new = {name: id_ for name, id_, at in crowd.told.answered if at < killed - WRITTEN}
            assert len(new) > callers / 4
            due |= new
            _check_what_the_dead_one_held(store)
    store.close()


def _check_what_the_dead_one_held(store: Store) -> None:
    """It counts until its time is over, as calls may still be answered; then it is free."""
    now = time.time()
    held = {one.account.limit: one.held for one in store.balances(now)}
    assert held[1] > 0
    assert all((one.held, one.open) == (0, 0) for one in store.balances(now + TTL + 1.0))


def _check(store: Store, limits: dict[int, Limit], due: dict[str, str]) -> None:
    """All that is due is in the history, nothing twice, and the counters are the history's."""
    rows = list(store.calls())
    ids = {row.task: row.call_id for row in rows}
    assert len(ids) == len(rows)
    assert {name: ids.get(name) for name in due} == due
    assert store.miscounted(time.time()) == {}
    used = {one.account: one.used for one in store.balances(time.time()) if one.used}
    assert used == _counted(limits, rows)
    assert all(amount <= limits[account.limit].amount for account, amount in used.items())


def _counted(limits: dict[int, Limit], rows: list[CallRecord]) -> dict[Account, int]:
    found: Counter[Account] = Counter()
    for row in rows:
        for id_, limit in limits.items():
            for part in limit.parts(whose_of(row)) if limit.window != "flight" else ():
                found[Account(id_, part, 0.0)] += amount_of(limit.unit, row)
    return dict(found)
