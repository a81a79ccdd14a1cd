"""A process's part of the limits: noticed, leased, given back, and begun anew in a child."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from budget_proxy.analytics.limits import overview
from budget_proxy.assemble import Engine
from budget_proxy.errors import BudgetExceeded
from budget_proxy.ledger.limits import Limit
from budget_proxy.store import open_store
from budget_proxy.types import Outcome, Usage
from tests.examples import ROOT

BODY = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 500}


def called(engine: Engine) -> str:
    """What becomes of a call that uses 100 tokens."""
    try:
        plan = engine.plan(api="openai.chat", body=BODY)
    except BudgetExceeded as refusal:
        return str(refusal)
    engine.settle(plan, Outcome(usage=Usage(input_tokens=10, output_tokens=90)))
    return "made"


def until(found: Callable[[], bool], within: float = 10.0) -> bool:
    """Wait for it."""
    deadline = time.monotonic() + within
    while not found():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_limits_made_elsewhere_are_noticed(tmp_path: Path) -> None:
    """Also that they are gone again."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    with Engine.open(url, strategy="quantile", holdout=0.0) as engine:
        assert called(engine) == "made"
        assert not engine.limited
        other = open_store(url)
        number = other.save_limit(Limit("tokens", 0, "day", created=time.time()))
        assert until(lambda: engine.limited)
        assert called(engine).endswith("is 0: no call is allowed")
        other.remove_limit(number)
        assert until(lambda: not engine.limited)
        assert called(engine) == "made"
        other.close()


@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_what_was_used_without_being_held_counts_once(tmp_path: Path, store: str) -> None:
    """By calls under way as a limit came into force, and by a task: the rest is free to use."""
    url = f"sqlite:///{tmp_path / 'h.db'}" if store == "sqlite" else "memory:"
    with Engine.open(url, strategy="quantile", holdout=0.0) as engine:
        plans = [engine.plan(api="openai.chat", body=BODY) for _ in range(10)]
        engine.store.save_limit(Limit("tokens", 10_000, "lifetime", created=time.time()))
        assert until(lambda: engine.limited)
        for plan in plans:
            engine.settle(plan, Outcome(usage=Usage(input_tokens=100, output_tokens=500)))
        engine.record(engine.predict({"description": "Fix it"}), used=2_000)
        assert engine.flush()
        assert called(engine) == "made"  # 2,000 are left, and it holds some 500
        assert until(lambda: not engine.store.balances(time.time())[0].held)
        assert engine.store.balances(time.time())[0].used == 8_100
        assert [called(engine) for _ in range(10)] == ["made"] * 10


def test_what_is_left_is_given_back_at_the_end(tmp_path: Path) -> None:
    """The next process finds all that was not used, at once."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    store = open_store(url)
    number = store.save_limit(Limit("tokens", 1_000, "lifetime", created=time.time()))
    with Engine.open(url, strategy="quantile", holdout=0.0) as engine:
        assert called(engine) == "made"
    (balance,) = store.balances(time.time())
    assert (balance.account.limit, balance.used, balance.held) == (number, 100, 0)
    store.close()


def test_a_program_that_just_ends_gives_back_what_is_left(tmp_path: Path) -> None:
    """Nobody closes the engine of a wrapped client; its last call was a moment ago."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    store = open_store(url)
    store.save_limit(Limit("tokens", 100_000, "lifetime", created=time.time()))
    program = (
        "import sys\nfrom tests.test_holding import Engine, called\n"
        "engine = Engine.open(sys.argv[1], strategy='quantile', holdout=0.0)\nprint(called(engine))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, url],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    (balance,) = store.balances(time.time())
    assert (done.stdout, balance.used, balance.held) == ("made\n", 100, 0)
    store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_call_that_nobody_settles_is_told_where_limits_are(tmp_path: Path) -> None:
    """By every process on the history, once its time is over; there were none before."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    store = open_store(url)
    store.migrate()
    number = store.save_limit(Limit("tokens", 10**6, "minute", created=time.time()))
    with Engine.open(url, strategy="quantile", holdout=0.0) as engine:
        engine.core.ledger._ttl = 0.2
        assert called(engine) == "made"
        engine.plan(api="openai.chat", body=BODY)
        assert overview(store, time.time()).limits[0].expired == 0
        assert until(lambda: store.expired() == {number: 1})
        assert overview(store, time.time()).limits[0].expired == 1
    store.close()


def test_a_forked_child_notices_limits_that_are_made_later(tmp_path: Path) -> None:
    """Its parent's thread is not there; its first call starts one."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    with Engine.open(url, strategy="quantile", holdout=0.0) as engine:
        assert called(engine) == "made"
        child = os.fork()
        if child == 0:
            status = 1
            if called(engine) == "made":
                other = open_store(url)
                other.save_limit(Limit("tokens", 0, "day", created=time.time()))
                status = 0 if until(lambda: called(engine) != "made") else 2
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
