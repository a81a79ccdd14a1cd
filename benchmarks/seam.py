"""What the budget costs a call: the seam alone, plan and settle, and an SDK's call around it.

Every figure is microseconds of the calling thread's CPU a call, the median over rounds (each
the mean of many calls); the prompt is 1 KB. Nothing goes over a network:

    python benchmarks/seam.py [--rounds 7] [--json]

It ends with status 1 if a figure is above its limit.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Generator
from dataclasses import asdict, replace
from typing import Any, cast

import httpx2
import openai
import orjson
from rich.console import Console
from rich.table import Table
from rounds import Case, Figure, measure, repeated

from budget_proxy import Engine, Outcome, Plan, Usage, wrap
from budget_proxy.transport.exchange import Reply, Request, Send, exchange
from budget_proxy.types import CallRecord, Lookup

MODEL = "gpt-5.4"
PROMPT = "Please review the following function and say what is wrong with it. " * 15
BODY: dict[str, Any] = {
    "model": MODEL,
    "messages": [
        {"role": "system", "content": "You are a careful reviewer."},
        {"role": "user", "content": PROMPT},
    ],
    "temperature": 0.2,
}
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "It is fine. " * 60},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 260, "completion_tokens": 240, "total_tokens": 500},
}
CONTENT = orjson.dumps({**BODY, "budget": {"agent": "reviewer"}})
PLAIN = orjson.dumps(BODY)
REPLY = orjson.dumps(ANSWER)
HEADERS = [("content-type", "application/json"), ("authorization", "Bearer k"), ("accept", "*/*")]
JSON = [("content-type", "application/json")]
HISTORY = 10_000


class Decided:
    """In an engine's place: every call has the same plan, or none, and nothing is learned."""

    def __init__(self, plan: Plan | None = None) -> None:
        self._plan = plan

    def run(self, *_: Any) -> Generator[Plan, Outcome, None]:
        """The plan, if there is one; its outcome goes nowhere."""
        if self._plan is not None:
            yield self._plan

    def new_id(self) -> str:
        """The same id for every call."""
        return "id"

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def fault(self, stage: str, error: Exception) -> None:
        """There must be none, or the figure is of something else."""
        raise AssertionError(f"{stage} failed") from error


def drive(engine: Engine) -> None:
    """One plain call through the exchange, answered at once."""
    steps = exchange(
        engine, Request("POST", "api.openai.com", "/v1/chat/completions", HEADERS, CONTENT, 600.0)
    )
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


def experienced() -> Engine:
    """An engine with 10,000 rows of history, in 60 groups."""
    engine = Engine.open("memory:", holdout=0.0)
    kinds = ("review", "code_generation", "conversation", "documentation")
    for number in range(HISTORY):
        engine.core.learn(
            CallRecord(
                ts=time.time() - HISTORY + number,
                api="openai.chat",
                model=(MODEL, "gpt-5.5", "claude-sonnet-5")[number % 3],
                call_id=f"h{number}",
                agent=("reviewer", "coder", "writer", "tester", "default")[number % 5],
                task_type=kinds[number % 4],
                complexity=float(number % 100),
                input_tokens=260,
                input_chars=1_050,
                input_estimate=260,
                output_tokens=100 + number * 37 % 900,
            )
        )
    return engine


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
        Case("seam with plan and settle", repeated(lambda: drive(engine)), 200),
    ]


def planning(engine: Engine) -> Case:
    """Plan and settle, by the public API."""
    outcome = Outcome(usage=Usage(input_tokens=260, output_tokens=240))

    def once() -> None:
        engine.settle(engine.plan(api="openai.chat", body=BODY, host="api.openai.com"), outcome)

    return Case(f"plan + settle at {HISTORY:,} rows", repeated(once), 200, limit=1_000.0)


def sdk_calls(engine: Engine) -> list[Case]:
    """The SDK's own call with an answer at hand, and the same call wrapped."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers=JSON, content=REPLY)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    plain = openai.OpenAI(api_key="k", http_client=http)
    wrapped = wrap(plain, engine=engine, agent="reviewer")
    return [
        Case("SDK call, plain", repeated(lambda: plain.chat.completions.create(**BODY)), 100),
        Case("SDK call, wrapped", repeated(lambda: wrapped.chat.completions.create(**BODY)), 100),
    ]


def show(figures: list[Figure], ratio: float) -> None:
    """Print the figures as a table."""
    table = Table(title="CPU microseconds a call (median of rounds)")
    for column in ("what", "median", "best round", "limit", ""):
        table.add_column(column, justify="left" if column == "what" else "right")
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:,.0f}"
        verdict = "" if figure.limit is None else "within" if figure.within else "ABOVE"
        table.add_row(figure.name, f"{figure.median:,.1f}", f"{figure.best:,.1f}", limit, verdict)
    Console().print(table)
    Console().print(f"wrapped / plain SDK call: {ratio:.2f}")


def main() -> int:
    """Measure, print, and say whether all limits hold."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="at least 5")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    with experienced() as engine:
        cases = [*seam(engine), planning(engine), *sdk_calls(engine)]
        figures = measure(cases, max(options.rounds, 5))
        faults = dict(engine.faults)
    ratio = figures[-1].median / figures[-2].median
    if options.json:
        lines = [{**asdict(figure), "within": figure.within} for figure in figures]
        print(json.dumps({"microseconds": lines, "ratio": ratio, "faults": faults}, indent=2))
    else:
        show(figures, ratio)
    return 0 if not faults and all(figure.within for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
