"""Fits made in the background, by a real process, of a real engine's history."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from budget_proxy import Engine, Outcome, Scope, Usage
from budget_proxy.predict.fitting import Fitted
from budget_proxy.predict.strategies import fitting, make
from budget_proxy.store import open_store
from budget_proxy.training import replay as replay_module
from budget_proxy.training import trainer as trainer_module
from budget_proxy.training.pace import Pace
from budget_proxy.training.replay import replay
from budget_proxy.training.trainer import Trainer

SCOPE = Scope(agent="reviewer")


def body(number: int) -> dict[str, Any]:
    """A call whose answer is the longer, the more parts are to be reviewed."""
    text = f"Review {number % 5 + 1} parts of change {number}: " + "part, " * (number % 5 + 1)
    return {"model": "gpt-5.4", "messages": [{"role": "user", "content": text}]}


def lived_one(engine: Engine, number: int) -> None:
    """A call with its outcome."""
    plan = engine.plan(api="openai.chat", body=body(number), scope=SCOPE)
    tokens = 100 * (number % 5 + 1) + number % 7
    engine.settle(plan, Outcome(usage=Usage(input_tokens=50, output_tokens=tokens)))


def lived(engine: Engine, start: int, stop: int) -> None:
    """Calls with their outcomes; what a fit of theirs needs to be in force is waited for."""
    for number in range(start, stop):
        lived_one(engine, number)
        assert engine.fitted()


def forecasts(engine: Engine) -> list[tuple[float, ...]]:
    """What would be forecast of some calls to come."""
    plans = (
        engine.plan(api="openai.chat", body=body(number), scope=SCOPE, dry_run=True)
        for number in range(900, 905)
    )
    return [plan.forecast.values for plan in plans]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A history that does not exist yet."""
    return f"sqlite:///{tmp_path / 'history.db'}"


def test_the_next_start_has_the_fits_of_this_one(url: str) -> None:
    """Put in force where they were: its forecasts are the same, to the bit, and it goes on so."""
    with Engine.open(url, holdout=0.0) as engine:
        lived(engine, 0, 90)
        engine.flush()
        fits = engine.store.fits("learned")
        before = forecasts(engine)
        assert not engine.faults
    assert len(fits) > 1
    assert fits[-1].content
    with Engine.open(url, holdout=0.0) as engine:
        assert engine.fitted()
        assert forecasts(engine) == before
        assert engine.store.fits("learned") == fits


def test_the_history_replayed_gives_every_forecast_again(url: str) -> None:
    """Also without the fits' content: the quantiles that each row was promised."""
    with Engine.open(url, holdout=0.0) as engine:
        lived(engine, 0, 90)
        engine.flush()
        rows, fits = engine.store.recent(1000), engine.store.fits("learned")
    promised = []
    with Engine.open("memory:", holdout=0.0, strategy="quantile") as other:
        predictor: Any = make("learned")
        other.core.predictor = predictor

        def learn(row: Any) -> None:
            from budget_proxy.predict.recorded import features_of

            promised.append(predictor.predict_one(features_of(row)).quantile(0.95))
            other.core.learn(row)

        replay(rows, fits, learn, predictor, fitting("learned"), asked=True)
    assert promised == [row.q95 for row in rows]


def test_fits_tell_calls_apart(url: str) -> None:
    """What a fit found: more parts, longer answers."""
    with Engine.open(url, holdout=0.0) as engine:
        lived(engine, 0, 82)
        medians = [values[3] for values in forecasts(engine)]
    assert medians == sorted(medians)
    assert medians[-1] > 1.5 * medians[0]


def test_a_fit_that_fails_changes_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is counted as a fault, and not tried again at once; calls go on by the old state."""

    def broken(_: Trainer, snapshot: Any) -> bytes:
        del snapshot
        raise ValueError("the process that fits ended with 1: broken")

    monkeypatch.setattr(Trainer, "_fitted", broken)
    with Engine.open(url, holdout=0.0) as engine:
        lived(engine, 0, 60)
        assert engine.faults == {"refit": 1}
        assert engine.store.fits("learned") == []
        assert all(forecasts(engine))


def test_a_process_that_dies_is_a_fault(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are told."""
    told: list[Exception] = []
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Engine.open(url, holdout=0.0) as engine:
        monkeypatch.setattr(engine._trainer, "_on_fault", lambda _, error: told.append(error))
        lived(engine, 0, 45)
    (error,) = told
    assert "ended with 1" in str(error)


def test_where_no_process_can_be_started_the_thread_fits(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen program is no interpreter: the fit is the same, but for the last digits."""
    with Engine.open(url, holdout=0.0) as engine:
        lived(engine, 0, 45)
        by_process = forecasts(engine)
        salt = engine.store.meta("salt", "")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    other = url.replace("history.db", "other.db")
    store = open_store(other)
    store.meta("salt", salt)
    store.close()
    with Engine.open(other, holdout=0.0) as engine:
        lived(engine, 0, 45)
        assert len(engine.store.fits("learned")) == 1
        assert not engine.faults
        for found, wanted in zip(forecasts(engine), by_process, strict=True):
            assert found == pytest.approx(wanted, rel=1e-3)


def test_closing_gives_up_a_fit(url: str) -> None:
    """No thread and no process of the engine's is left behind."""
    with Engine.open(url, holdout=0.0) as engine:
        for number in range(60):
            plan = engine.plan(api="openai.chat", body=body(number), scope=SCOPE)
            engine.settle(plan, Outcome(usage=Usage(input_tokens=50, output_tokens=99)))
        trainer = engine._trainer
    assert trainer is not None
    assert trainer._child is None
    assert all(thread.name != "budget-proxy-trainer" for thread in threading.enumerate())


@pytest.mark.parametrize("where", ["start", "restore", "learn"])
def test_closing_gives_up_a_fit_wherever_it_is(
    url: str, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """As it is started, read, or told what came meanwhile: at once, and without a fault."""
    reached, closing = threading.Event(), threading.Event()

    def held(function: Any) -> Any:
        def wait(*given: Any, **named: Any) -> Any:
            found = function(*given, **named)
            reached.set()
            assert closing.wait(20.0)
            return found

        return wait

    if where == "start":
        monkeypatch.setattr(Trainer, "_start", held(Trainer._start))
    elif where == "restore":
        monkeypatch.setattr(trainer_module, "restored", held(replay_module.restored))
    else:
        monkeypatch.setattr(Fitted, "learn", held(Fitted.learn))
    with Engine.open(url, holdout=0.0) as engine:
        for number in range(50):
            plan = engine.plan(api="openai.chat", body=body(number), scope=SCOPE)
            engine.settle(plan, Outcome(usage=Usage(input_tokens=50, output_tokens=99)))
        assert reached.wait(20.0)
        for number in range(50, 60):
            plan = engine.plan(api="openai.chat", body=body(number), scope=SCOPE)
            engine.settle(plan, Outcome(usage=Usage(input_tokens=50, output_tokens=99)))
        trainer = engine._trainer
        assert trainer is not None
        threading.Timer(0.05, closing.set).start()
        before = engine.core.predictor._position  # type: ignore[attr-defined]
    assert trainer._child is None
    assert not trainer._thread.is_alive()  # type: ignore[union-attr]
    assert not engine.faults
    assert engine.core.predictor._position == before  # type: ignore[attr-defined]


def test_closing_waits_for_a_thread_that_is_being_started(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever starts it does so under the lock, from which closing does not take it."""
    starting, on = threading.Event(), threading.Event()

    class Slow(threading.Thread):
        def start(self) -> None:
            if self.name == "budget-proxy-trainer":
                starting.set()
                on.wait(10)
            super().start()

    engine = Engine.open(url, holdout=0.0)
    calls = threading.Thread(target=lived, args=(engine, 0, 45))
    monkeypatch.setattr(threading, "Thread", Slow)
    calls.start()
    assert starting.wait(30)
    threading.Timer(0.2, on.set).start()
    trainer = engine._trainer
    assert trainer is not None
    trainer.close()
    assert not trainer._thread.is_alive()  # type: ignore[union-attr]
    calls.join(30)
    engine.close()
    assert not engine.faults


def test_a_fit_that_gets_no_processor_is_begun_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among those that compute, as all after it: better late than never."""
    asked: list[str] = []
    start: Any = subprocess.Popen

    def noted(command: list[str], **given: Any) -> Any:
        if "budget_proxy.training.process" in command:
            asked.append(command[-1])
        return start(command, **given)

    monkeypatch.setattr(subprocess, "Popen", noted)
    monkeypatch.setattr(trainer_module, "_PATIENCE", 0.01)
    with Engine.open(url, holdout=0.0) as engine:
        lived(engine, 0, 65)
        assert len(engine.store.fits("learned")) >= 2
        assert not engine.faults
    assert asked[:3] == ["last", "late", "late"]


def test_what_a_fit_replaces_is_let_go_of_part_by_part(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a chance to pause between any two: all of it at once would hold up a call."""
    pauses = 0
    let_go: list[int] = []

    class Part:
        def __del__(self) -> None:
            let_go.append(pauses)

    def counted(pace: Pace) -> None:
        nonlocal pauses
        pauses += 1
        resting(pace)

    resting = Pace.__call__
    monkeypatch.setattr(Pace, "__call__", counted)
    with Engine.open(url, holdout=0.0) as engine:
        predictor: Any = engine.core.predictor
        adopt = predictor.adopt

        def adopted(fitted: Any) -> Iterator[None]:
            adopt(fitted)
            return step_by_step([Part() for _ in range(3)])

        def step_by_step(parts: list[Part]) -> Iterator[None]:
            while parts:
                parts.pop()
                yield

        monkeypatch.setattr(predictor, "adopt", adopted)
        lived(engine, 0, 45)
        assert not engine.faults
        fits = len(engine.store.fits("learned"))
    assert len(let_go) == 3 * fits > 0
    assert len(set(let_go)) == len(let_go)


@pytest.mark.slow
def test_where_calls_never_let_go_a_fit_catches_up_all_the_same() -> None:
    """Threads that plan without a gap: the work hurries, and ends."""
    stop = threading.Event()
    with Engine.open("memory:", holdout=0.0) as engine:

        def call(first: int) -> None:
            number = first
            while not stop.is_set():
                lived_one(engine, number)
                number += 3

        threads = [threading.Thread(target=call, args=(first,)) for first in range(3)]
        for thread in threads:
            thread.start()
        until = monotonic() + 60.0
        while len(engine.store.fits("learned")) < 2 and monotonic() < until:
            sleep(0.05)
        stop.set()
        for thread in threads:
            thread.join(20.0)
        assert len(engine.store.fits("learned")) >= 2
        assert not engine.faults


def test_what_is_put_off_is_learned_beside_the_calls() -> None:
    """Nobody calls after an outcome that is put off: before long it is learned all the same."""
    with Engine.open("memory:", holdout=0.0) as engine:
        predictor: Any = engine.core.predictor
        with engine._lock:
            lived(engine, 0, 1)
            assert predictor.behind()
        until = monotonic() + 20.0
        while predictor.behind() and monotonic() < until:
            sleep(0.01)
        assert not predictor.behind()
        assert not engine.faults


def test_other_strategies_are_not_fitted() -> None:
    """There is nothing to wait for."""
    with Engine.open("memory:", strategy="quantile") as engine:
        assert engine._trainer is None
        assert engine.fitted(timeout=0)
