"""What the budget costs a call by itself: the seam alone, plan and settle.

Every figure is microseconds of the calling thread's CPU a call, the median over rounds (each
the mean of many calls); the prompt is 1 KB, and where it is planned a new one in every call.
Nothing goes over a network:

    python benchmarks/seam.py [--rounds 7] [--json]

It ends with status 1 if a figure is above its limit.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, cast

import orjson
from answers import ANSWERS, CHAT
from decided import Decided
from history import AGENT, ROWS, experienced
from prompts import chat, opening
from rich.console import Console
from rich.table import Table
from rounds import Case, Figure, by_turns, measure, repeated

from budget_proxy import Engine, Outcome, Usage
from budget_proxy.engine import Question
from budget_proxy.ledger.limits import EACH, Limit
from budget_proxy.transport.exchange import Reply, Request, Send, exchange
from budget_proxy.types import Lookup

LIMITS = (
    Limit("tokens", 10**12, "day"),
    Limit("usd", 10**15, "month", (("agent", EACH),)),
    Limit("output_tokens", 10**12, "hour", (("model", EACH),), hold="worst"),
    Limit("usd", 10**15, "lifetime"),
    Limit("output_tokens", 10**12, "flight", (("user", EACH),)),
)
BODY = chat(opening())
CONTENT = orjson.dumps({**BODY, "budget": {"agent": AGENT}})
REPLY = orjson.dumps(ANSWERS[CHAT])
HEADERS = [("content-type", "application/json"), ("authorization", "Bearer k"), ("accept", "*/*")]
JSON = [("content-type", "application/json")]


def drive(engine: Engine, content: bytes = CONTENT) -> None:
    """One plain call through the exchange, answered at once."""
    steps = exchange(engine, Request("POST", "api.openai.com", CHAT, HEADERS, content, 600.0))
    answer: Any = None
    try:
        while True:
            step = steps.send(answer)
            answer = None
            if isinstance(step, Send):
                answer = Reply(200, JSON, REPLY)
            elif isinstance(step, Lookup):
                answer = engine.lookup(step)
    except StopIteration:
        pass


def floor() -> None:
    """What any seam must do: parse the request, encode it, parse the answer."""
    orjson.dumps(orjson.loads(CONTENT))
    orjson.loads(REPLY)


def seam(engine: Engine) -> list[Case]:
    """The exchange without planning, with a plan at hand, and whole."""
    plan = engine.plan(api="openai.chat", body=BODY, host="api.openai.com")
    plan = replace(plan, body={**BODY, "max_completion_tokens": 2_000}, added=("max_",))
    unplanned, planned = cast("Engine", Decided()), cast("Engine", Decided(plan))
    return [
        Case("floor: parse, encode, parse", repeated(floor), 1_000),
        Case("seam without planning", repeated(lambda: drive(unplanned)), 1_000, limit=100.0),
        Case("seam, usage read, headers told", repeated(lambda: drive(planned)), 1_000),
        Case("seam with plan and settle", repeated(lambda: drive(engine, fresh())), 200),
    ]


def fresh() -> bytes:
    """A body with a prompt that no call had before."""
    return orjson.dumps({**chat(opening()), "budget": {"agent": AGENT}})


def planning(engine: Engine, what: str = "") -> Case:
    """Plan and settle, by the public API."""
    outcome = Outcome(usage=Usage(input_tokens=260, output_tokens=240))

    def once() -> None:
        body = chat(opening())
        engine.settle(engine.plan(api="openai.chat", body=body, host="api.openai.com"), outcome)

    return Case(f"plan + settle at {ROWS:,} rows{what}", repeated(once), 200, limit=1_000.0)


def ledger(engine: Engine, what: str) -> Case:
    """What limits add by themselves: the claim of a call, its reservation, its settlement."""
    body = chat(opening())
    core = engine.core
    plan = engine.plan(api="openai.chat", body=body, host="api.openai.com")
    record = engine.settle(plan, Outcome(usage=Usage(input_tokens=260, output_tokens=240)))

    def reserved() -> Iterator[Any]:
        yield (yield from core.reserve(plan, body))

    def once() -> None:
        steps: Any = reserved()
        step = next(steps)
        while isinstance(step, Question):
            step = steps.send(engine.answer(step))
        assert step is plan
        core.ledger.settle((record.call_id, record.attempt), record)

    return Case(f"reserve + settle, {what}", repeated(once), 1_000, limit=50.0)


def ratios(cases: Sequence[Case], rounds: int) -> list[Figure]:
    """Plan and settle where there are limits by the same without (the first case), in one run."""
    free, *limited = by_turns(cases, rounds)
    found = []
    for case, its in zip(cases[1:], limited, strict=True):
        by = [mine / bare for mine, bare in zip(its, free, strict=True)]
        found.append(Figure(f"{case.name}, by none: x", statistics.median(by), min(by)))
    return found


def show(figures: list[Figure]) -> None:
    """Print the figures as a table."""
    table = Table(title="CPU microseconds a call (median of rounds)")
    for column in ("what", "median", "best round", "limit", ""):
        table.add_column(column, justify="left" if column == "what" else "right")
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:,.0f}"
        verdict = "" if figure.limit is None else "within" if figure.within else "ABOVE"
        table.add_row(figure.name, f"{figure.median:,.2f}", f"{figure.best:,.2f}", limit, verdict)
    Console().print(table)


def main() -> int:
    """Measure, print, and say whether all limits hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="at least 5")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    rounds = max(options.rounds, 5)
    with (
        experienced() as engine,
        experienced(LIMITS[:1]) as one,
        experienced(LIMITS) as five,
    ):
        alone = [ledger(one, "1 limit"), ledger(five, "5 limits")]
        figures = measure([*seam(engine), planning(engine), *alone], rounds)
        limited = [planning(engine), planning(one, ", 1 limit"), planning(five, ", 5 limits")]
        figures += ratios(limited, rounds)
        faults = {**engine.faults, **one.faults, **five.faults}
    if options.json:
        lines = [{**asdict(figure), "within": figure.within} for figure in figures]
        print(json.dumps({"microseconds": lines, "faults": faults}, indent=2))
    else:
        show(figures)
    return 0 if not faults and all(figure.within for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
