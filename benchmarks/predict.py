"""What forecasting costs as the history grows: calls, learning, fits, memory, similar tasks.

    python benchmarks/predict.py [--quick] [--strategy NAME] [--json]

Each size of history (1,000, 100,000 and 1,000,000 calls; --quick: 1,000, 10,000 and 100,000) has
a process of its own, which learns made-up traffic (benchmarks/traffic.py), is fitted where the
strategy can be, and then forecasts 2,000 new calls with prompts of 1 KB, each as the engine
does: classify, signals, novelty, predict. Times are of CPU in one thread, so that neighbours on
the machine count little; backtest and fits are by the clock. It ends with status 1 above a limit.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from traffic import SALT, Traffic, body, call

from budget_proxy import Engine
from budget_proxy.classify.characteristics import classify_call
from budget_proxy.predict.base import Predictor, Refitting
from budget_proxy.predict.signals import signals_of
from budget_proxy.predict.similarity import Similarity
from budget_proxy.predict.strategies import fitting, make
from budget_proxy.types import Call, Features, Forecast, Outcome, Scope, Usage

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""For the processes that measure: they read it as numpy loads."""

SIZES = (1_000, 100_000, 1_000_000)
QUICK = (1_000, 10_000, 100_000)
CALLS = 2_000
CHARS = 1_000
LATEST = 100_000
PROMPTS = 20_000
FIRST_FIT = 10_000
BACKTEST = 2_000
BESIDE = 5_000
LOOP = """
import os
if hasattr(os, "SCHED_IDLE"):
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""


@dataclass(frozen=True)
class Line:
    """One figure, and what it may be at most (or must be at least)."""

    what: str
    figure: float
    unit: str
    limit: float | None = None
    least: bool = False

    @property
    def within(self) -> bool:
        """Whether it keeps to its limit, if it has one."""
        if self.limit is None:
            return True
        return self.figure >= self.limit if self.least else self.figure <= self.limit


@dataclass(frozen=True)
class Size:
    """What was measured with so many calls of history."""

    rows: int
    lines: tuple[Line, ...]
    calm: float
    """The p50 of the quietest tenth of the calls, by which histories are compared."""


def milliseconds(action: Callable[[Any], object], given: list[Any]) -> list[float]:
    """CPU of the calling thread for each; the first twenty only warm up."""
    taken = []
    for one in given:
        start = time.thread_time()
        action(one)
        taken.append((time.thread_time() - start) * 1e3)
    return taken[20:]


def p99(taken: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(taken, n=100, method="inclusive")[-1]


def megabytes() -> float:
    """What the process holds in memory now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


class Learner:
    """A strategy and the memory of similar tasks beside it, as an engine has them."""

    def __init__(self, strategy: str) -> None:
        self.predictor: Predictor = make(strategy)
        self.memory = Similarity()

    def forecast(self, asked: Call) -> Forecast:
        """All that is done for a call between reading and allocating."""
        kind = classify_call(asked.messages, None, images=asked.images, tools=asked.tools)
        features = Features(
            agent=asked.scope.agent or "",
            model=asked.model,
            task_type=kind.task_type,
            characteristics=kind,
            now=asked.now,
            input_tokens=asked.input_chars // 4,
            session=asked.scope.session,
            signals=signals_of(asked, kind, SALT),
        )
        features = features.with_novelty(self.memory.novelty(features))
        return self.predictor.predict_one(features)

    def learn(self, rows: Any) -> tuple[float, float]:
        """Take rows in; CPU in microseconds a row, what making them takes left out.

        The second figure is the part that an engine learns beside the calls.
        """
        beside, taken, count = 0.0, 0.0, 0
        refitting = self.predictor if isinstance(self.predictor, Refitting) else None
        while batch := list(islice(rows, 1_000)):
            start = time.thread_time()
            for features, seen, name in batch:
                self.predictor.learn_one(features, seen, name)
                self.memory.learn_one(features, seen, name)
                while refitting is not None and refitting.behind():
                    begun = time.thread_time()
                    refitting.settle()
                    beside += time.thread_time() - begun
            taken += time.thread_time() - start
            count += len(batch)
        return taken / max(count, 1) * 1e6, beside / max(count, 1) * 1e6

    def fit(self) -> list[Line]:
        """Fit to the newest rows, where the strategy can be; what calls wait for, and the whole."""
        if not isinstance(self.predictor, Refitting):
            return []
        times = [time.perf_counter()]
        snapshot = self.predictor.snapshot()
        times.append(time.perf_counter())
        fitted = fitting(self.predictor.name).refit(snapshot)
        times.append(time.perf_counter())
        replaced = self.predictor.adopt(fitted)
        times.append(time.perf_counter())
        taking, fitting_, adopting = (b - a for a, b in pairwise(times))
        times = [time.perf_counter(), *(time.perf_counter() for _ in replaced)]
        longest = max(b - a for a, b in pairwise(times))
        return [
            Line("a fit, in the background", fitting_, "s", 20.0),
            Line("its snapshot", taking * 1e3, "ms", 5.0),
            Line("its adoption", adopting * 1e3, "ms", 5.0),
            Line("longest step of letting go of another", longest * 1e3, "ms", 5.0),
        ]


def measured(strategy: str, rows: int) -> Size:
    """Learn, fit, forecast, with so many calls of history."""
    traffic, learner = Traffic(min(rows, PROMPTS)), Learner(strategy)
    calls = [call(traffic.agent(), 10**7 + number, CHARS, rows - 1) for number in range(CALLS + 20)]
    learner.forecast(calls[0])  # loads what is loaded once
    held = megabytes()
    early = min(rows, FIRST_FIT)
    first, _ = learner.learn(traffic.rows(early))
    learner.fit()
    later = learner.learn(traffic.rows(rows - early, early))[0] if rows > early else first
    learner.fit()
    learner.learn(traffic.rows(1_000, rows))
    fits = learner.fit()  # the one after the next thousand, as it is from then on
    grown = megabytes() - held
    taken = milliseconds(learner.forecast, calls)
    learned, beside = learner.learn(traffic.rows(2_000, rows + 1_000))
    median = statistics.median(taken)
    lines = [
        Line("a call: features and forecast, p50", median, "ms", 0.5),
        Line("  p99", p99(taken), "ms", 2.0),
        Line("learning from an outcome, in the foreground", learned - beside, "us", 50.0),
        Line("  beside the calls", beside, "us"),
        Line("  rows learned one by one", 1e6 / max(first, later), "rows/s"),
        Line("memory", grown, "MB", 400.0),
        *fits,
    ]
    tenths = [taken[at : at + CALLS // 10] for at in range(0, CALLS, CALLS // 10)]
    return Size(rows, tuple(lines), min(map(statistics.median, tenths)))


def start(strategy: str) -> list[Line]:
    """What a start takes: with a fit at hand, as at every one but the first, and without any.

    With one the rows that it knows are only kept for the next; those after it, at most the
    interval's, are learned. Without one all are learned, so that calls are forecast at once, while
    the first fit is made: that may take no longer than to replay them at 20,000 a second and fit.
    """
    learner = Learner(strategy)
    predictor = learner.predictor
    if not isinstance(predictor, Refitting):
        return []
    rows = list(Traffic(PROMPTS).rows(predictor.window + 2 * predictor.interval))
    known = len(rows) - predictor.interval
    every, _ = learner.learn(iter(rows))
    begun = time.thread_time()
    fitted = fitting(predictor.name).refit(predictor.snapshot())
    fit = time.thread_time() - begun
    again = Learner(strategy)
    assert isinstance(again.predictor, Refitting)
    again.predictor.hold()
    kept, _ = again.learn(iter(rows[:known]))
    fitted.position = known  # as if it had been made of an earlier life's rows
    again.predictor.adopt(fitted)
    later, _ = again.learn(iter(rows[known:]))
    both = (kept * known + later * predictor.interval) / len(rows)
    within = len(rows) / 20_000 + fit
    return [
        Line("replay with a fit at hand", 1e6 / both, "rows/s", 20_000, least=True),
        Line("  up to the fit", 1e6 / kept, "rows/s"),
        Line(f"replay of {len(rows):,} rows without one", every * len(rows) / 1e6, "s", within),
    ]


def similar() -> list[Line]:
    """Similar tasks over the latest 100,000, also for tasks unlike all of them."""
    traffic, memory = Traffic(PROMPTS), Similarity(window=LATEST)
    for features, seen, name in traffic.rows(LATEST):
        kind = features.characteristics
        unlike = replace(kind, complexity=seen.tokens * 37 % 10_000 / 100)  # no two alike
        memory.learn_one(replace(features, characteristics=unlike), seen, name)
    asked = [features for features, _, _ in traffic.rows(520, LATEST)]
    taken = milliseconds(lambda features: memory.similar(features, 10), asked)
    return [
        Line("similar tasks of 100,000, p50", statistics.median(taken), "ms", 5.0),
        Line("  p99", p99(taken), "ms", 5.0),
    ]


def beside_fits(strategy: str) -> list[Line]:
    """How long calls wait in an engine that fits whenever it is due, and in one that never does.

    The second is what this machine makes calls wait anyhow; so, on a machine of few processors,
    does any process that computes, whatever it is, beside an engine that never fits.
    """
    if not isinstance(make(strategy), Refitting):
        return []
    lines, least = [], 0.0
    for what, found in (
        ("without fits", waits("quantile")),
        ("beside a process that only computes", beside_any("quantile")),
        ("beside fits", waits(strategy)),
    ):
        usual = found[int(len(found) * 0.999)]
        least = least or usual
        lines += [
            Line(f"wait of a call {what}, p99.9", usual, "ms"),
            Line("  longest", found[-1], "ms"),
        ]
    return [*lines, Line("delay by fits, p99.9", usual - least, "ms", 5.0)]


def beside_any(strategy: str) -> list[float]:
    """Milliseconds that calls wait beside an endless loop, which has the least priority."""
    child = subprocess.Popen([sys.executable, "-c", LOOP])  # noqa: S603 (our own words)
    try:
        return waits(strategy)
    finally:
        child.kill()
        child.wait()


def waits(strategy: str) -> list[float]:
    """Milliseconds that calls waited, ascending: time less CPU. The first wait for what loads."""
    traffic, waited = Traffic(100), []
    with (
        tempfile.TemporaryDirectory() as folder,
        Engine.open(f"sqlite:///{folder}/fits.db", strategy=strategy, mode="observe") as engine,
    ):
        for number, (features, seen, _) in enumerate(traffic.rows(BESIDE)):
            asked = body(int(features.agent.rpartition("-")[2]), number, CHARS)
            scope = Scope(agent=features.agent, session=features.session)
            clock, cpu = time.perf_counter(), time.thread_time()
            plan = engine.plan(api="openai.chat", body=asked, scope=scope)
            engine.settle(plan, Outcome(Usage(input_tokens=260, output_tokens=seen.tokens)))
            waited.append((time.perf_counter() - clock - (time.thread_time() - cpu)) * 1e3)
            time.sleep(0.001)
    return sorted(waited[100:])


def backtest(strategy: str, rows: int) -> list[Line]:
    """Rows a second of the command, from its start to its end."""
    traffic = Traffic(min(rows, PROMPTS))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "calls.jsonl"
        with file.open("w", encoding="utf-8") as lines:
            for number, (features, seen, _) in enumerate(traffic.rows(rows)):
                agent = int(features.agent.rpartition("-")[2])
                row = {
                    "ts": features.now, "agent": features.agent, "session": features.session,
                    "input_tokens": 260, "output_tokens": seen.tokens,
                    **body(agent, number * 7 // 10, CHARS),
                }  # fmt: skip
                lines.write(json.dumps(row) + "\n")
        command = [sys.executable, "-m", "budget_proxy", "backtest", str(file), "--json"]
        start = time.perf_counter()
        subprocess.run(  # noqa: S603 (our own command)
            [*command, "--strategy", strategy], check=True, stdout=subprocess.DEVNULL
        )
        taken = time.perf_counter() - start
    return [Line(f"backtest of {rows:,} calls", rows / taken, "rows/s", 200, least=True)]


def alone(work: Callable[..., Any], *arguments: Any) -> Any:
    """In a process of its own, so that memory is nobody else's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def number(value: float) -> str:
    """Three digits, or a whole number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def show(title: str, lines: list[Line]) -> None:
    """Print figures beside their limits."""
    table = Table(title=title, title_justify="left")
    for column in ("", "figure", "unit", "limit", ""):
        table.add_column(column, justify="right" if column in {"figure", "limit"} else "left")
    for line in lines:
        sign = ">=" if line.least else "<="
        limit = "" if line.limit is None else f"{sign} {number(line.limit)}"
        verdict = "" if line.limit is None else "within" if line.within else "MISSED"
        table.add_row(line.what, number(line.figure), line.unit, limit, verdict)
    Console().print(table)


def main() -> int:
    """Measure, print, and say whether all limits hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="histories of 100,000 at most")
    parser.add_argument("--strategy", default="auto", help="the strategy measured (auto)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)
    parts: dict[str, list[Line]] = {}
    sizes = []
    for rows in QUICK if options.quick else SIZES:
        sizes.append(alone(measured, options.strategy, rows))
        parts[f"{rows:,} calls of history"] = list(sizes[-1].lines)
    growth = sizes[-1].calm / sizes[0].calm
    parts["Whatever the history"] = [
        Line("growth of a call's p50 with history", growth, "x", 1.5),
        *alone(start, options.strategy),
        *alone(similar),
        *alone(beside_fits, options.strategy),
        *backtest(options.strategy, BACKTEST // 4 if options.quick else BACKTEST),
    ]
    lines = [line for part in parts.values() for line in part]
    if options.json:
        shown = {
            title: [{**asdict(line), "within": line.within} for line in part]
            for title, part in parts.items()
        }
        print(json.dumps({"strategy": make(options.strategy).name, "parts": shown}, indent=2))
    else:
        for title, part in parts.items():
            show(f"{title}, strategy {make(options.strategy).name}", part)
    return 0 if all(line.within for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
