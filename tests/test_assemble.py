from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from budget_proxy import Engine, InvalidInput, Outcome, Scope, StoreError, Usage, assemble
from budget_proxy.errors import ConfigError
from budget_proxy.ledger.limits import Limit
from budget_proxy.store import open_store
from budget_proxy.types import Lookup, Override

BODY: dict[str, Any] = {"model": "gpt-x", "messages": [{"role": "user", "content": "Review it."}]}
DONE = Outcome(usage=Usage(input_tokens=12, output_tokens=340), finish_reason="stop")


def _calls(engine: Engine, count: int, tokens: int = 340) -> None:
    for index in range(count):
        body = {**BODY, "messages": [{"role": "user", "content": f"Review part {index}."}]}
        plan = engine.plan(api="openai.chat", body=body, scope=Scope(agent="reviewer"))
        outcome = Outcome(usage=Usage(input_tokens=12, output_tokens=tokens + index))
        engine.settle(plan, outcome)


def test_the_public_example_works() -> None:
    """Plan, look, settle, report."""
    with Engine.open("memory:") as engine:
        plan = engine.plan(
            api="openai.chat", body=BODY, scope=Scope(agent="reviewer", session="s1")
        )
        assert plan.body == BODY
        assert plan.forecast.quantile(0.95) > plan.forecast.quantile(0.50)
        assert plan.allocation.cap is None
        assert plan.allocation.reason
        row = engine.settle(plan, DONE)
        assert row.output_tokens == 340
        assert engine.efficiency_report().overall.calls == 1


@pytest.mark.parametrize("limited", [True, False])
def test_prices_are_loaded_before_the_first_call_where_limits_ask_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, limited: bool
) -> None:
    """In the background; where there are no limits only the first call has them loaded."""
    loaded: list[str] = []
    monkeypatch.setattr(assemble, "preload", lambda: loaded.append(threading.current_thread().name))
    store = open_store(f"sqlite:///{tmp_path / 'h.db'}")
    if limited:
        store.save_limit(Limit("usd", 10**9, "day"))
    with Engine.open(store.url):
        for thread in threading.enumerate():
            if thread.name == "budget-proxy-preload":
                thread.join()
    store.close()
    assert loaded == (["budget-proxy-preload"] if limited else [])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"api": "openai.chta", "body": BODY}, "api must be one of"),
        ({"api": "openai.chat", "body": {**BODY, "budget": "lots"}}, "budget must be"),
    ],
)
def test_wrong_input_says_what_to_write(given: dict[str, Any], says: str) -> None:
    """An InvalidInput is a ValueError too."""
    with Engine.open("memory:") as engine, pytest.raises(InvalidInput, match=says):
        engine.plan(**given)


def test_wrong_settings_are_named() -> None:
    """By keyword as in the file."""
    with pytest.raises(ConfigError, match="holdout"):
        Engine.open("memory:", holdout=3)


def test_the_next_start_forecasts_what_this_one_would_have(tmp_path: Path) -> None:
    """The history is replayed in order: the same quantiles, the same evidence."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    with Engine.open(url, holdout=0.0) as first:
        _calls(first, 25)
        before = first.plan(api="openai.chat", body=BODY, scope=Scope(agent="reviewer"))
    with Engine.open(url, holdout=0.0) as second:
        after = second.plan(api="openai.chat", body=BODY, scope=Scope(agent="reviewer"))
    assert after.forecast.values == before.forecast.values
    assert after.forecast.support == 25
    assert "25 outcomes" in after.allocation.reason


def test_two_instances_on_one_file_learn_from_each_other(tmp_path: Path) -> None:
    """By polling, within seconds; and they agree on sessions, since they share the salt."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    learned = threading.Event()
    with Engine.open(url, holdout=0.0) as first, Engine.open(url, holdout=0.0) as second:
        plan = second.plan(api="openai.chat", body=BODY, scope=Scope(agent="reviewer"))
        second.settle(plan, DONE)
        _calls(first, 25)
        assert first.flush()
        for _ in range(100):
            gate = second.core.evidence.gate("reviewer", "review", "gpt-x")
            if gate.open:
                learned.set()
                break
            learned.wait(0.1)
        assert learned.is_set()
        mine = first.plan(api="openai.chat", body=BODY).session
        theirs = second.plan(api="openai.chat", body=BODY).session
    assert mine.id == theirs.id


def test_what_a_session_was_given_survives_a_restart(tmp_path: Path) -> None:
    """The same note, byte for byte, on the conversation's next call."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    scope = Scope(agent="reviewer", session="s1")
    answer, more = {"role": "assistant", "content": "ok"}, {"role": "user", "content": "More."}
    turns = [*BODY["messages"], answer, more]
    with Engine.open(url, holdout=0.0) as first:
        _calls(first, 25)
        opening = first.plan(api="openai.chat", body=BODY, scope=scope)
        assert opening.pending is not None
        opening.pending.result(timeout=5)
    with Engine.open(url, holdout=0.0, evidence=1000) as second:
        later = second.plan(api="openai.chat", body={**BODY, "messages": turns}, scope=scope)
    assert opening.patch.guidance is not None
    assert later.patch.guidance is not None
    assert later.patch.guidance.text == opening.patch.guidance.text
    assert later.body["messages"][0] == opening.body["messages"][0]


def test_faults_are_counted_and_a_lookup_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that cannot answer counts as not found."""

    def broken(*_: Any) -> Any:
        raise StoreError("gone")

    with Engine.open("memory:") as engine:
        monkeypatch.setattr(engine.store, "session", broken)
        assert engine.lookup(Lookup("k")) is None
        assert engine.faults == {"lookup": 1}


def test_many_threads_share_one_engine() -> None:
    """Eight threads, 400 calls: every one settles, none is lost."""
    with Engine.open("memory:", holdout=0.0) as engine:
        threads = [threading.Thread(target=_calls, args=(engine, 50)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine.flush()
        assert engine.store.counts()["calls"] == 400
        assert engine.faults == {}


def test_feedback_reaches_the_calls_newest_attempt() -> None:
    """And says whether there was such a call."""
    with Engine.open("memory:") as engine:
        plan = engine.plan(api="openai.chat", body=BODY)
        engine.settle(plan, DONE)
        assert engine.feedback(plan.call.id, 0.9)
        assert not engine.feedback("unknown", 0.9)
        assert next(iter(engine.store.calls())).score == 0.9


def test_an_override_is_the_same_by_argument_and_by_body() -> None:
    """Both are the caller's own cap."""
    with Engine.open("memory:") as engine:
        by_argument = engine.plan(api="openai.chat", body=BODY, override=Override(cap=99))
        by_body = engine.plan(api="openai.chat", body={**BODY, "budget": 99})
    assert by_argument.allocation.cap == by_body.allocation.cap == 99
    assert "budget" not in by_body.body


_SCRIPT = """
import os, signal, sys, time
from budget_proxy import Engine, Outcome, Scope, Usage
from budget_proxy.transport.binding import default_engine
engine = default_engine()
body = {"model": "gpt-x", "messages": [{"role": "user", "content": "Hi."}]}
for _ in range(20):
    plan = engine.plan(api="openai.chat", body=body)
    engine.settle(plan, Outcome(usage=Usage(input_tokens=1, output_tokens=2)))
if sys.argv[1] == "term":
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(30)
"""


@pytest.mark.parametrize(("way", "code"), [("exit", 0), ("term", -signal.SIGTERM)])
def test_a_script_that_ends_or_is_ended_keeps_its_rows(way: str, code: int, tmp_path: Path) -> None:
    """Flushed at exit and on SIGTERM, which then ends the process as it would have."""
    path = tmp_path / "h.db"
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, way],
        env={**os.environ, "BUDGET_PROXY_STORE": f"sqlite:///{path}"},
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    with Engine.open(f"sqlite:///{path}") as engine:
        assert engine.store.counts()["calls"] == 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_can_plan_although_the_parent_held_the_lock(tmp_path: Path) -> None:
    """Prefork servers open the engine first; a lock held at the fork must not hang the child."""
    with Engine.open(f"sqlite:///{tmp_path / 'h.db'}", holdout=0.0) as engine:
        _calls(engine, 3)
        holding, release = threading.Event(), threading.Event()

        def hold() -> None:
            with engine._lock:
                holding.set()
                release.wait(20)

        thread = threading.Thread(target=hold)
        thread.start()
        holding.wait()
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            _calls(engine, 2)
            os._exit(0 if engine.flush() else 1)
        _, status = os.waitpid(child, 0)
        release.set()
        thread.join()
        assert status == 0
        assert engine.flush()
        assert engine.store.counts()["calls"] == 5
