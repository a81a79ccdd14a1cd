"""Alarms: usual runs raise none, those that go on or in circles one of a kind."""

from __future__ import annotations

from collections import Counter

import pytest

from budget_proxy.predict.runs import RunAlarm, RunStep
from tests.run_steps import by_run, circling, learned, made_up, running_away


@pytest.fixture(scope="module")
def history() -> list[RunStep]:
    """Eighty runs of about 20 calls."""
    return made_up(80)


def _alarms(history: list[RunStep], run: list[RunStep]) -> list[RunAlarm]:
    """What a run raises that comes after a history."""
    forecaster = learned(history)
    return [alarm for step in run for alarm in forecaster.learn_one(step)]


def _late(number: int = 0) -> list[RunStep]:
    """A run that comes after the history, and is not part of it."""
    later = made_up(90)
    return list(by_run(later).values())[80 + number]


def test_usual_runs_raise_nothing(history: list[RunStep]) -> None:
    """At most two in eighty, and no loop: those of the history as they come."""
    forecaster = learned([])
    kinds = Counter(alarm.kind for step in history for alarm in forecaster.learn_one(step))
    assert kinds["loop"] == 0
    assert kinds["runaway"] <= 2


@pytest.mark.parametrize("period", [1, 2, 3])
def test_a_loop_is_found_within_a_few_calls(history: list[RunStep], period: int) -> None:
    """After three repeats of a call, or two rounds of several: one alarm that says so."""
    run = _late()
    at = min(len(run), 8)
    (found,) = [
        alarm
        for alarm in _alarms(history, circling(run, at, period, 0.05, 1))
        if alarm.kind == "loop"
    ]
    assert (found.run, found.agent) == (run[0].run, "coder")
    assert found.measure == f"period {period}"
    assert at < found.turn <= at + 2 * period + 2
    assert "calls in a row" in found.reason


def test_a_run_that_does_not_end_is_found(history: list[RunStep]) -> None:
    """Beyond every run of the history, before it is ten times as long; once only."""
    run = _late(1)
    (found,) = _alarms(history, running_away(run, 10, 1))
    turns = [len(steps) for steps in by_run(history).values()]
    assert found.kind == "runaway"
    assert found.value > found.limit
    assert found.turn < 10 * len(run)
    if found.measure == "turns":
        assert found.turn > max(turns)
    assert "usual ones pass" in found.reason


def test_without_history_nothing_is_odd_soon(history: list[RunStep]) -> None:
    """A first run of forty different calls raises nothing, however long."""
    del history
    run = _late()
    assert _alarms([], running_away(run, 5, 1)) == []
