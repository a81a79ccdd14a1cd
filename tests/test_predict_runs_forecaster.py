"""Forecasts of runs: what holds of any history, and what a history teaches."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.predict.runs import Quantiles, RunForecast, RunForecaster, RunStep, RunTokens
from budget_proxy.predict.runs.base import LEVELS
from tests.run_steps import by_run, learned, made_up

_steps = st.lists(
    st.builds(
        RunStep,
        run=st.sampled_from([f"run-{number}" for number in range(6)]),
        agent=st.sampled_from(["coder", "reviewer"]),
        model=st.sampled_from(["gpt-x", "claude-y"]),
        input_tokens=st.integers(0, 1_000_000),
        output_tokens=st.integers(0, 100_000),
        ts=st.floats(1.7e9, 1.7e9 + 1e5),
        cost=st.none() | st.floats(0.0, 10.0),
        task=st.none() | st.just("fix"),
        digest=st.integers(0, 3),
    ),
    max_size=60,
)


def _whole(run: int, turns: int, start: float, *, agent: str = "coder") -> list[RunStep]:
    """A run of so many calls, five seconds apart, 1,100 tokens each."""
    return [
        RunStep(f"{agent}-{run}", agent, "gpt-x", 1000, 100, start + 5.0 * number, 0.01)
        for number in range(turns)
    ]


def _check(forecast: RunForecast) -> None:
    used = forecast.used
    least = (
        (forecast.tokens, used.tokens),
        (forecast.output_tokens, used.output_tokens),
        (forecast.turns, used.turns),
        *([(forecast.cost, used.cost or 0.0)] if forecast.cost else []),
    )
    for quantiles, so_far in least:
        assert list(quantiles.values) == sorted(quantiles.values)
        assert quantiles.values[0] >= so_far
        assert all(math.isfinite(value) for value in quantiles.values)
    assert forecast.output_tokens.values[-1] <= forecast.tokens.values[-1]
    assert forecast.support >= 0
    assert forecast.reasons


@settings(max_examples=60)
@given(steps=_steps)
def test_quantiles_ascend_from_what_was_used(steps: list[RunStep]) -> None:
    """After any history, of runs known and unknown: ordered, finite, never below so far."""
    forecaster = learned(steps)
    for run in ("run-0", "run-5", "never"):
        _check(forecaster.predict_one("coder", run, model="gpt-x", task="fix"))


@settings(max_examples=40)
@given(steps=_steps)
def test_the_state_is_a_fold_over_the_calls(steps: list[RunStep]) -> None:
    """The same calls give the same forecasts, whatever was asked in between."""
    asked, other = RunForecaster(), RunForecaster()
    for step in steps:
        asked.predict_one(step.agent, step.run, model=step.model)
        asked.predict_one("somebody", "else")
        assert asked.learn_one(step) == other.learn_one(step)
    for run in ("run-0", "run-3", "never"):
        assert asked.predict_one("coder", run) == other.predict_one("coder", run)


@settings(max_examples=60)
@given(steps=_steps, last=_steps)
def test_tokens_alone_are_those_of_the_whole_forecast(
    steps: list[RunStep], last: list[RunStep]
) -> None:
    """To the bit, of runs known and unknown; also asked again after calls were learned."""
    forecaster = learned(steps)
    for more in ([], last):
        for step in more:
            forecaster.learn_one(step)
        for run in ("run-0", "run-0", "run-5", "never"):
            whole = forecaster.predict_one("coder", run, model="gpt-x", task="fix")
            alone = forecaster.tokens_one("coder", run, model="gpt-x", task="fix")
            assert alone == RunTokens(whole.tokens, whole.support, whole.source)


def test_a_forecast_knows_only_the_calls_before_it() -> None:
    """Runs that overlap, in order of time: changing calls from 600 on changes none before."""
    steps = made_up(60, apart=20.0)

    def forecasts(rows: list[RunStep]) -> list[RunForecast]:
        forecaster, found = RunForecaster(), []
        for row in rows:
            found.append(forecaster.predict_one(row.agent, row.run, model=row.model))
            forecaster.learn_one(row)
        return found

    changed = [
        replace(step, input_tokens=90_000, output_tokens=9_000, cost=9.0, digest=7)
        for step in steps[600:]
    ]
    first, second = forecasts(steps), forecasts([*steps[:600], *changed])
    assert first[:601] == second[:601]
    assert first[601:] != second[601:]
    assert forecasts(steps[:601]) == first[:601]


def test_without_history_the_forecast_is_wide_and_says_so() -> None:
    """A prior: p90 / p10 of tokens above 20, no support, no cost without a price."""
    forecast = RunForecaster().predict_one("coder", "r")
    assert (forecast.source, forecast.support, forecast.cost) == ("prior", 0, None)
    assert forecast.tokens.values[-1] / forecast.tokens.values[0] > 20.0
    assert "prior" in forecast.reasons[-1]


def test_history_makes_it_narrow_and_right() -> None:
    """Forty runs of ten calls: the eleventh has ten calls, 11,000 tokens and 0.10 dollars."""
    forecaster = learned(
        step for run in range(40) for step in _whole(run, 10, 1.7e9 + 1000.0 * run)
    )
    forecaster.end("coder-39")
    forecast = forecaster.predict_one("coder", "new", model="gpt-x")
    assert forecast.turns.at(0.5) == pytest.approx(10, rel=0.05)
    assert forecast.tokens.at(0.5) == pytest.approx(11_000, rel=0.05)
    assert forecast.output_tokens.at(0.5) == pytest.approx(1_000, rel=0.05)
    assert forecast.cost is not None
    assert forecast.cost.at(0.5) == pytest.approx(0.10, rel=0.05)
    assert (forecast.source, forecast.support) == ("agent+model", 40)


def test_what_was_used_is_counted_in() -> None:
    """A run that used four times as much in its first half comes to that and the other half."""
    history = [step for run in range(40) for step in _whole(run, 10, 1.7e9 + 1000.0 * run)]
    forecaster = learned(history)
    for step in _whole(99, 5, 1.8e9):
        forecaster.learn_one(replace(step, run="dear", input_tokens=4000, output_tokens=400))
    forecast = forecaster.predict_one("coder", "dear")
    assert forecast.used.tokens == 22_000
    assert forecast.tokens.at(0.5) == pytest.approx(22_000 + 5_500, rel=0.1)


@pytest.mark.parametrize(
    ("asked", "source"),
    [
        (("coder", "gpt-x", "fix"), "agent+model+task"),
        (("coder", "gpt-x", None), "agent+model"),
        (("coder", "gpt-x", "new"), "agent+model"),
        (("coder", "claude-y", None), "agent"),
        (("stranger", "gpt-x", None), "all"),
    ],
)
def test_the_finest_group_that_is_known_serves(
    asked: tuple[str, str, str | None], source: str
) -> None:
    """Agent, model and task; else agent and model; else the agent; else all agents."""
    agent, model, task = asked
    forecaster = learned(made_up(20, task="fix"))
    assert forecaster.predict_one(agent, "new", model=model, task=task).source == source


def test_an_agents_own_runs_outweigh_anothers() -> None:
    """One agent makes 5 calls a run, another 50: each is forecast as its own are."""
    steps = [
        step
        for run in range(30)
        for agent, turns in (("short", 5), ("long", 50))
        for step in _whole(run, turns, 1.7e9 + 1000.0 * run, agent=agent)
    ]
    forecaster = learned(sorted(steps, key=lambda step: step.ts))
    assert forecaster.predict_one("short", "a", model="gpt-x").turns.at(0.75) < 8
    assert forecaster.predict_one("long", "b", model="gpt-x").turns.at(0.25) > 40


def test_open_runs_are_lower_bounds() -> None:
    """Twenty runs ended after 5 calls, twenty are at their 30th: half go beyond 30."""
    ended = [step for run in range(20) for step in _whole(run, 5, 1.7e9 + run)]
    later = 1.7e9 + 5000.0
    opened = [step for run in range(50, 70) for step in _whole(run, 30, later + run / 100)]
    forecaster = learned(sorted([*ended, *opened], key=lambda step: step.ts))
    forecast = forecaster.predict_one("coder", "new", model="gpt-x")
    assert forecast.turns.at(0.25) < 10
    assert forecast.turns.at(0.75) > 30
    assert any("still open" in reason for reason in forecast.reasons)


def test_a_run_is_over_when_it_is_silent_or_said_to_be() -> None:
    """Support counts it then, and no longer when it makes another call."""
    forecaster = learned(_whole(1, 10, 1.7e9))

    def support() -> int:
        return forecaster.predict_one("coder", "new", model="gpt-x").support

    assert support() == 0
    forecaster.end("coder-1")
    assert support() == 1
    forecaster.learn_one(_whole(1, 11, 1.7e9)[-1])
    assert support() == 0
    forecaster.learn_one(_whole(2, 1, 1.7e9 + 50_000.0)[0])
    assert support() == 1
    forecaster.end("never heard of")


def test_a_clock_that_was_ahead_for_a_while_stops_nothing() -> None:
    """Calls dated a year ahead: runs after them end by their silence, and long ones are no rule."""
    steps = [step for run in range(60) for step in _whole(run, 10, 1.7e9 + 1000.0 * run)]
    ahead = [replace(step, ts=step.ts + 3e7, run=f"ahead-{step.run}") for step in steps[200:230]]
    right, wrong = learned(steps), learned([*steps[:200], *ahead, *steps[200:]])
    told, expected = (each.predict_one("coder", "new", model="gpt-x") for each in (wrong, right))
    assert told.support >= expected.support
    assert told.turns.at(0.75) == pytest.approx(expected.turns.at(0.75), rel=0.05)
    assert wrong.is_open("coder-59", steps[-1].ts + 1.0)
    assert not wrong.is_open("coder-59", steps[-1].ts + 4000.0)


def test_rows_that_come_late_put_no_clock_back() -> None:
    """Answers made in the background hours ago end no run that is going on."""
    steps = [step for run in range(20) for step in _whole(run, 10, 1.7e9 + 1000.0 * run)]
    late = [replace(step, ts=step.ts - 20_000.0, run=f"late-{step.run}") for step in steps[:50]]
    forecaster = learned([*steps, *late])
    assert forecaster.is_open("coder-19", steps[-1].ts + 5.0)


def test_a_cost_is_not_known_where_a_price_is_not() -> None:
    """One call without a price, and the run's cost is unknown; other runs' stay known."""
    history = [step for run in range(20) for step in _whole(run, 10, 1.7e9 + 1000.0 * run)]
    forecaster = learned(history)
    for step in _whole(99, 4, 1.8e9):
        forecaster.learn_one(replace(step, cost=None if step.ts == 1.8e9 else step.cost))
    forecast = forecaster.predict_one("coder", "coder-99")
    assert (forecast.cost, forecast.used.cost) == (None, None)
    assert forecaster.predict_one("coder", "new", model="gpt-x").cost is not None
    assert forecaster.predict_one("coder", "new", model="no-price").cost is None


def test_memory_is_bounded() -> None:
    """With room for 20 runs, 200 may pass, and a long one goes on: its own use is kept."""
    forecaster = RunForecaster(most_runs=20, most_groups=8)
    steps = made_up(200, apart=40.0)
    for number, step in enumerate(steps):
        forecaster.learn_one(step)
        forecaster.learn_one(replace(step, run="long", input_tokens=1000, output_tokens=10))
        if number % 50 == 0:
            forecaster.predict_one(f"agent-{number}", "new", model=f"model-{number}")
    assert len(forecaster._runs) <= 20
    assert len(forecaster._peers._table.steps) <= 20
    forecast = forecaster.predict_one("coder", "long")
    assert forecast.used.tokens == 1010 * len(steps)
    _check(forecast)


def test_tokens_below_zero_are_refused() -> None:
    """No call has them: the error says which it had, and nothing is learned."""
    forecaster = RunForecaster()
    with pytest.raises(ValueError, match="not -1 in, 5 out"):
        forecaster.learn_one(RunStep("r", "a", "m", -1, 5, 1.7e9))
    assert forecaster.predict_one("a", "r").used.turns == 0


def test_the_interval_holds_on_runs_that_are_all_alike() -> None:
    """Of 300 runs drawn alike, 80 % +- 7 lie within p10..p90, before the first call and later."""
    steps = made_up(300, apart=60.0)
    totals = {
        run: sum(step.input_tokens + step.output_tokens for step in its)
        for run, its in by_run(steps).items()
    }
    forecaster = RunForecaster()
    held: dict[int, list[bool]] = {0: [], 4: [], 16: []}
    widths: dict[int, list[float]] = {0: [], 4: [], 16: []}
    for step in steps:
        forecast = forecaster.predict_one(step.agent, step.run, model=step.model)
        if forecast.used.turns in held:
            low, *_, high = forecast.tokens.values
            held[forecast.used.turns].append(low <= totals[step.run] <= high)
            widths[forecast.used.turns].append(high / low)
        forecaster.learn_one(step)
    for shares in held.values():
        assert len(shares) > 150
        assert 0.73 <= sum(shares) / len(shares) <= 0.87
    assert sorted(widths[16])[len(widths[16]) // 2] < 0.8 * sorted(widths[0])[len(widths[0]) // 2]


def test_quantiles_are_interpolated_between_levels() -> None:
    """Log-linear between the levels, as they are at them, and nothing beyond."""
    quantiles = Quantiles((100.0, 200.0, 400.0, 800.0, 1600.0))
    assert [quantiles.at(level) for level in LEVELS] == list(quantiles.values)
    assert quantiles.at(0.625) == pytest.approx(math.sqrt(400.0 * 800.0))
    assert Quantiles((0.0, 0.0, 1.0, 2.0, 3.0)).at(0.3) == 0.0
    with pytest.raises(ValueError, match=r"from 0\.1 to 0\.9"):
        quantiles.at(0.95)
