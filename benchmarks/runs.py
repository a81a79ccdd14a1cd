"""Forecasts of runs on the recorded ones: alarms, false and due, and what a step costs.

    python benchmarks/runs.py [--data FOLDER] [--share SHARE]

With --share .6 on the first 60 % of the runs alone, which the method was chosen on. Coverage by
stage is what `budget-proxy backtest FILE --runs` prints.

False alarms: runs as recorded that raise one. Loops: one run in ten, of those after the first
40 %, repeats its last one, two or three calls from a call drawn at random on (30 calls, input and
output off by up to ``jitter``); five times with other runs. Runaways: likewise one run in ten goes
on until it is six times as long.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from budget_proxy.predict.runs import RunForecaster, RunStep  # noqa: E402
from tests import run_steps as made  # noqa: E402

FILES = ("agent_steps", "coding_agent_steps")
REPEATS, ONE_IN, SKIPPED = 5, 10, 0.4
TIMES = 6
SHORTEST = 5
Runs = dict[str, list[RunStep]]
Change = Callable[[list[RunStep], int], tuple[list[RunStep], int]]
"""A run, and a seed: the run changed, and the call after which it is another."""


def raised(steps: Sequence[RunStep], kind: str) -> dict[str, int]:
    """The runs that raised an alarm of a kind, and at which call."""
    forecaster = RunForecaster()
    found = (alarm for step in steps for alarm in forecaster.learn_one(step))
    return {alarm.run: alarm.turn for alarm in found if alarm.kind == kind}


def trials(runs: Runs, kind: str, change: Change) -> Iterator[tuple[int | None, int]]:
    """For each changed run the calls until its alarm (None: none came), and its length before."""
    names = list(runs)
    for repeat in range(REPEATS):
        hit = names[int(SKIPPED * len(names)) + repeat :: ONE_IN]
        changed, begins = dict(runs), {}
        for name in hit:
            if len(runs[name]) > SHORTEST:
                changed[name], begins[name] = change(runs[name], repeat)
        steps = sorted((step for run in changed.values() for step in run), key=lambda s: s.ts)
        alarms = raised(steps, kind)
        for name, begin in begins.items():
            turn = alarms.get(name, 0)
            yield (turn - begin if turn > begin else None), len(runs[name])


def loops(period: int, jitter: float) -> Change:
    """Runs that go in circles from a call drawn at random on."""

    def change(run: list[RunStep], seed: int) -> tuple[list[RunStep], int]:
        at = random.Random(f"{run[0].run}{seed}").randrange(period + 1, len(run) + 1)  # noqa: S311
        return made.circling(run, at, period, jitter, seed), at

    return change


def runaway(run: list[RunStep], seed: int) -> tuple[list[RunStep], int]:
    """Runs that do not end."""
    return made.running_away(run, TIMES, seed), len(run)


def told(name: str, found: Sequence[tuple[int | None, int]]) -> None:
    """One line: how many were found, and after how many calls."""
    after = [calls for calls, _ in found if calls is not None]
    late = (
        f"after {np.median(after):.0f} calls (90 %: {np.quantile(after, 0.9):.0f})" if after else ""
    )
    print(f"  {name:<34} {len(after)} of {len(found)}, {len(after) / len(found):.0%} {late}")


def costs(steps: Sequence[RunStep]) -> str:
    """CPU to learn a call, and to forecast a run whole and its tokens alone."""
    start = time.process_time()
    forecaster = made.learned(steps)
    spent = [time.process_time() - start]
    newest = list({step.run: step for step in steps}.values())[-100:]
    for ask in (forecaster.predict_one, forecaster.tokens_one):
        start = time.process_time()
        for step in newest * 5:  # never the same run twice in a row, which costs nothing
            ask(step.agent, step.run, model=step.model, task=step.task)
        spent.append(time.process_time() - start)
    learn, whole, tokens = (
        1e6 * one / n for one, n in zip(spent, (len(steps), 500, 500), strict=True)
    )
    return (
        f"  CPU: learn a call {learn:.0f} us, forecast {whole:.0f} us, tokens alone {tokens:.0f} us"
    )


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("BUDGET_PROXY_DATA", ROOT / "../shared/data")),
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the runs, the first ones")
    given = parser.parse_args()
    for file in FILES:
        steps = made.first_runs(made.recorded_steps(given.data / f"{file}.jsonl.gz"), given.share)
        runs = made.by_run(steps)
        print(f"{file}: {len(runs)} runs, {len(steps)} calls")
        for kind in ("runaway", "loop"):
            alarms = raised(steps, kind)
            print(f"  false alarms, {kind:<20} {len(alarms)}, {len(alarms) / len(runs):.1%}")
        for period in (1, 2, 3):
            for jitter in (0.0, 0.05):
                name = f"loops of {period}, jitter {jitter:.0%}"
                told(name, list(trials(runs, "loop", loops(period, jitter))))
        told("runaways", list(trials(runs, "runaway", runaway)))
        print(costs(steps))


if __name__ == "__main__":
    main()
