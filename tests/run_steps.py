"""Steps of runs: recorded ones, made-up ones, and recorded ones that go in circles or run away."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from budget_proxy.cli.backtest_runs import run_steps
from budget_proxy.predict.runs import RunForecaster, RunStep
from budget_proxy.store.recorded import read_recorded

BETWEEN = 5.0
"""Seconds between two calls that are made up."""


@cache
def recorded_steps(file: Path) -> tuple[RunStep, ...]:
    """The steps of a recording, in its order."""
    return tuple(run_steps(read_recorded(file, on_bad=lambda _line, _reason: None)))


def by_run(steps: Iterable[RunStep]) -> dict[str, list[RunStep]]:
    """Each run's steps; runs in the order of their first."""
    found: dict[str, list[RunStep]] = {}
    for step in steps:
        found.setdefault(step.run, []).append(step)
    return found


def first_runs(steps: Sequence[RunStep], share: float) -> list[RunStep]:
    """The steps of the first runs alone, a share of all."""
    names = list(by_run(steps))
    kept = set(names[: int(share * len(names))])
    return [step for step in steps if step.run in kept]


def made_up(runs: int, *, seed: int = 0, apart: float = 30.0, **fixed: str) -> list[RunStep]:
    """Runs that begin ``apart`` seconds from each other, of 20 calls in the middle, ordered."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    steps = []
    for number in range(runs):
        ts, tokens = 1.7e9 + apart * number, 4000
        names = {"agent": "coder", "model": "gpt-x", **fixed}
        for _ in range(max(round(draw.lognormvariate(3.0, 0.5)), 1)):
            output = draw.randrange(20, 900)
            cost = 1e-6 * tokens + 4e-6 * output
            digest = draw.getrandbits(60) | 1
            steps.append(
                RunStep(f"run-{number}", names["agent"], names["model"], tokens, output, ts, cost,
                        names.get("task"), digest)
            )  # fmt: skip
            tokens += output + draw.randrange(50, 600)
            ts += draw.uniform(1.0, 12.0)
    return sorted(steps, key=lambda step: step.ts)


def learned(steps: Iterable[RunStep]) -> RunForecaster:
    """A forecaster that knows these."""
    forecaster = RunForecaster()
    for step in steps:
        forecaster.learn_one(step)
    return forecaster


def circling(
    run: Sequence[RunStep], at: int, period: int, jitter: float, seed: int
) -> list[RunStep]:
    """A run that from call ``at`` (>= period + 1) on repeats its last ``period`` calls, 30 times.

    Output, and the input that each call adds, differ by up to ``jitter`` (a share).
    """
    draw = random.Random(seed)  # noqa: S311 (no secret)

    def near(tokens: int) -> int:
        return max(round(tokens * (1.0 + jitter * draw.uniform(-1.0, 1.0))), 1)

    steps = list(run[:at])
    cycle = range(at - period, at)
    added = [max(run[place].input_tokens - run[place - 1].input_tokens, 20) for place in cycle]
    for number in range(30):
        place = number % period
        steps.append(
            replace(
                run[at - period + place],
                ts=steps[-1].ts + BETWEEN,
                input_tokens=steps[-1].input_tokens + near(added[place]),
                output_tokens=near(run[at - period + place].output_tokens),
            )
        )
    return steps


def running_away(run: Sequence[RunStep], times: int, seed: int) -> list[RunStep]:
    """A run that goes on until it is ``times`` as long, with calls like its earlier ones."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    steps = list(run)
    grown = max((run[-1].input_tokens - run[0].input_tokens) // len(run), 0)
    while len(steps) < times * len(run):
        steps.append(
            replace(
                steps[-1],
                ts=steps[-1].ts + BETWEEN,
                input_tokens=steps[-1].input_tokens + grown,
                output_tokens=draw.choice(run).output_tokens,
                digest=draw.getrandbits(60) | 1,
            )
        )
    return steps
