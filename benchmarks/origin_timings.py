"""Measure the origin's operations against the times it named, on a history of real size.

Predict < 50 ms, find similar < 100, report < 200, record < 10, track < 5, all with 1,000 tasks
remembered, through the public Engine on a SQLite file. Needs no network and no model.

    python benchmarks/origin_timings.py [--tasks 1000] [--repeat 50] [--strategy NAME] [--json]

The 95th percentile is held against the limit, median and worst call stand beside it. Exits with 1
where one misses. What is measured is a process that is under way: the tables of prices, which load
beside a process's first call for about half a second, are there before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from budget_proxy.assemble import Engine
from budget_proxy.types import Outcome, Prediction, Scope, Usage

LIMITS = {"predict": 50.0, "find similar": 100.0, "report": 200.0, "record": 10.0, "track": 5.0}
"""Milliseconds, as the origin names them."""

KINDS = ("feature", "bug", "refactor", "test", "review", "docs", "research", "question")
DOMAINS = ("backend", "frontend", "database", "auth", "testing", "devops", "architecture")
PRIORITIES = ("low", "medium", "high", "critical")
BODY = {
    "model": "gpt-4.1-mini",
    "messages": [
        {"role": "system", "content": "You review code."},
        {"role": "user", "content": "Review this change to the login form, please. " * 20},
    ],
}


def task(number: int) -> dict[str, Any]:
    """A made-up task; its fields follow its number, so that every run sees the same ones."""
    return {
        "description": f"Change {number}: rework the step that loads and checks the orders",
        "type": KINDS[number % len(KINDS)],
        "domains": [DOMAINS[number % 7], DOMAINS[number * 3 % 7]],
        "story_points": (1, 2, 3, 5, 8, 13)[number * 5 % 6],
        "priority": PRIORITIES[number * 7 % 4],
    }


def used(number: int, prediction: Prediction) -> int:
    """Tokens the task is said to have used: .4 to 1.3 of what was recommended."""
    return round(prediction.recommended * (0.4 + number * 37 % 91 / 100))


def fill(engine: Engine, tasks: int) -> None:
    """Give the engine its history."""
    for number in range(tasks):
        prediction = engine.predict(task(number), agent="reviewer")
        engine.record(prediction, used=used(number, prediction))
    engine.flush()


def track(engine: Engine) -> None:
    """Plan one call and settle it."""
    plan = engine.plan(api="openai.chat", body=BODY, scope=Scope(agent="reviewer"))
    usage = Usage(input_tokens=12, output_tokens=340)
    engine.settle(plan, Outcome(usage=usage, finish_reason="stop"))


def begin(engine: Engine) -> None:
    """Make the first call, and wait for what loads beside it."""
    track(engine)
    for thread in threading.enumerate():
        if thread.name == "budget-proxy-preload":
            thread.join()


def milliseconds(action: Callable[[int], object], repeat: int) -> list[float]:
    """Time ``action``, called with 0, 1, 2 …; the first two calls only warm up."""
    times = []
    for number in range(repeat + 2):
        start = time.perf_counter()
        action(number)
        times.append((time.perf_counter() - start) * 1e3)
    return times[2:]


def measure(engine: Engine, tasks: int, repeat: int) -> dict[str, list[float]]:
    """Time every operation, those that add to the history last."""
    predictions = [engine.predict(task(tasks + at), agent="reviewer") for at in range(repeat + 2)]
    return {
        "predict": milliseconds(lambda at: engine.predict(task(at), agent="reviewer"), repeat),
        "find similar": milliseconds(lambda at: engine.similar_tasks(task(at), n=10), repeat),
        "report": milliseconds(lambda _: engine.efficiency_report(), max(repeat // 5, 3)),
        "record": milliseconds(lambda at: engine.record(predictions[at], used=2_000), repeat),
        "track": milliseconds(lambda _: track(engine), repeat),
    }


def summary(times: dict[str, list[float]]) -> list[dict[str, Any]]:
    """One row an operation: median, 95th percentile, worst, and the origin's limit."""
    rows = []
    for name, taken in times.items():
        p95 = statistics.quantiles(taken, n=20, method="inclusive")[-1]
        rows.append({
            "operation": name, "median_ms": round(statistics.median(taken), 3),
            "p95_ms": round(p95, 3), "worst_ms": round(max(taken), 3),
            "limit_ms": LIMITS[name], "within": p95 < LIMITS[name],
        })  # fmt: skip
    return rows


def main() -> int:
    """Fill a fresh history, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", type=int, default=1_000, help="tasks remembered (1000)")
    parser.add_argument("--repeat", type=int, default=50, help="calls measured of each (50)")
    parser.add_argument("--strategy", default="similarity", help="strategy of the engine")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'timings.db'}"
        with Engine.open(url, strategy=options.strategy) as engine:
            fill(engine, options.tasks)
            begin(engine)
            rows = summary(measure(engine, options.tasks, options.repeat))
    if options.json:
        print(json.dumps({"tasks": options.tasks, "strategy": options.strategy, "rows": rows}))
    else:
        print(f"{options.tasks:,} tasks, strategy {options.strategy}, milliseconds")
        print(f"{'operation':<14}{'median':>10}{'p95':>10}{'worst':>10}{'limit':>10}")
        for row in rows:
            print(
                f"{row['operation']:<14}{row['median_ms']:>10.3f}{row['p95_ms']:>10.3f}"
                f"{row['worst_ms']:>10.3f}{row['limit_ms']:>10.0f}"
                f"  {'ok' if row['within'] else 'MISSED'}"
            )
    return 0 if all(row["within"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
