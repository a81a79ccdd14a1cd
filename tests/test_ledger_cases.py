"""Budgets are used up, and held, where other gateways use nothing of them or pass them by far."""

from __future__ import annotations

import asyncio
import runpy
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from budget_proxy.assemble import Engine
from budget_proxy.store import open_store
from budget_proxy.store.keeper import TTL
from tests.budget_cases import (
    QUIET,
    Case,
    Crowd,
    Door,
    Spent,
    learn,
    left,
    like_recorded,
    made_up,
    of_recordings,
    spent,
)
from tests.examples import ROOT
from tests.proxied import Upstream
from tests.scripted_calls import answer
from tests.test_cli_serve import serving

MADE_UP = {f"{case.name}, ${case.dollars}": case for case in (*made_up(), *like_recorded())}
RECORDED = {"recorded reasoning", "recorded chat"}
QUICK: dict[str, Door] = {
    "no cap, 84 tokens, $0.01": "wrapper",
    "no cap, 5,000 tokens, $0.05": "wrapper",
    "84 tokens, every 3rd stream dropped, $0.05": "proxy",
    "lengths as of chat, $0.15": "wrapper",
}
SLOW: list[tuple[str, Door]] = [
    *((name, "wrapper") for name, door in MADE_UP.items() if QUICK.get(name) != "wrapper"),
    ("no cap, 84 tokens, $0.01", "proxy"),
    ("cap 256, n = 8, all of it, $0.05", "proxy"),
    ("lengths as of reasoning, $0.25", "proxy"),
]


@pytest.mark.parametrize(("name", "door"), QUICK.items())
def test_a_budget_is_used_up_and_held(name: str, door: Door, tmp_path: Path) -> None:
    """48 callers who try again when they are refused."""
    _check(spent(MADE_UP[name], door, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "door"), SLOW)
def test_every_budget_is_used_up_and_held(name: str, door: Door, tmp_path: Path) -> None:
    """The other cases of the table, and some by the other door."""
    _check(spent(MADE_UP[name], door, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1], ids=["reasoning", "chat"])
def test_recorded_calls_use_their_budget_up(number: int, recorded: Path, tmp_path: Path) -> None:
    """Lengths as they were, with the prompts that they were answers to."""
    _check(spent(of_recordings(recorded)[number], "wrapper", tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, case in MADE_UP.items() if case.times > 1])
def test_a_budget_of_a_few_calls_is_held_too(name: str, tmp_path: Path) -> None:
    """The table's own budget, where one call is more than a tenth of it or does not fit at all."""
    found = spent(replace(MADE_UP[name], times=1), "wrapper", tmp_path)
    assert found.used <= found.case.amount + found.bound
    assert (found.held, found.faults) == (0, {})


@pytest.mark.slow
def test_a_budget_is_used_up_although_the_proxy_was_killed(tmp_path: Path) -> None:
    """What it held comes back when its time is over; nothing is left reserved.

    The calls that were under way are answered to nobody, and counted by nobody: of those the
    provider may ask more than was counted, but for no others.
    """
    case = MADE_UP["no cap, 84 tokens, $0.05"]
    store = open_store(f"sqlite:///{tmp_path / 'h.db'}")
    with Engine.open(store.url, holdout=0.0) as engine:
        learn(engine, case)
    number = store.save_limit(case.limit)
    with Upstream(answer) as upstream:
        crowd = Crowd(case, upstream, quiet=TTL + 5.0)
        asyncio.run(_through_a_kill(tmp_path, upstream.url, crowd))
        answered = len(upstream.seen)
    balance = left(store, number)
    store.close()
    assert 0.85 * case.amount <= balance.used <= case.amount
    assert balance.held == 0
    assert crowd.broken > 0
    assert crowd.admitted <= answered <= crowd.admitted + 48


def test_the_page_tells_of_every_case() -> None:
    """The table is as the benchmark writes it, and every budget in it was used and held."""
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "limits.py"))
    page = benchmark["PAGE"].read_text(encoding="utf-8")
    between = page.partition(benchmark["BEGIN"])[2].partition(benchmark["END"])[0].strip()
    lines = [line.strip("| ").split(" | ") for line in between.splitlines()]
    rows = [line for line in lines[2:] if len(line) == len(benchmark["_HEAD"])]
    assert lines[0] == list(benchmark["_HEAD"])
    assert {case.name for case in MADE_UP.values()} | RECORDED == {row[0] for row in rows}
    assert all(0.85 <= float(row[5]) <= 1.0 for row in rows)
    assert benchmark["written"](page, between) == page


async def _through_a_kill(folder: Path, upstream: str, crowd: Crowd) -> None:
    """Serve the crowd until some were answered, kill, and serve them on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(folder, upstream, "--port", f"{port}") as (url, _, process):
        calling = asyncio.create_task(crowd.run(None, f"{url}/v1"))
        await crowd.some.wait()
        process.kill()
    with serving(folder, upstream, "--port", f"{port}"):
        began = time.monotonic()
        await calling
        assert time.monotonic() - began > TTL / 2
        await asyncio.sleep(QUIET)  # it is killed, too: what was too little for a call is back


def _check(found: Spent) -> None:
    """85 to 100 % of it are used; what is beyond it is within what was known to be possible."""
    case: Case = found.case
    assert found.share >= 0.85
    assert found.used <= case.amount + found.bound
    assert found.share <= 1.05
    assert (found.held, found.faults) == (0, {})
