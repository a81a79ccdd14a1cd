"""A process under load, for tests: threads that plan, fail, give up, time out and settle.

Run: python -m tests.ledger_load URL SEED CALLS THREADS. It prints one JSON line at its end: what
was admitted, refused and left unsettled, and by account the most that was open beyond what was
held: how far predicted mode may have been passed (``Ledger.open``).
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections import Counter
from typing import Any

from budget_proxy.assemble import Engine
from budget_proxy.errors import BudgetExceeded
from budget_proxy.types import Outcome, Plan, Scope, Usage

MODELS = ("gpt-5-mini", "gpt-5.4", "nobody-knows-it")
CAP = 1_000


class Load:
    """Threads that make calls of one engine until so many were tried."""

    def __init__(self, engine: Engine, seed: int, calls: int) -> None:
        self._engine = engine
        self._seed = seed
        self._left = iter(range(calls))
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.most: Counter[int] = Counter()

    def run(self, threads: int) -> None:
        """Make them all."""
        workers = [threading.Thread(target=self._work, args=(n,)) for n in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _work(self, thread: int) -> None:
        draw = random.Random(f"{self._seed}-{thread}")
        while True:
            with self._lock:
                number = next(self._left, None)
            if number is None:
                return
            self._call(draw, number)

    def _call(self, draw: random.Random, number: int) -> None:
        words = "again " * draw.randrange(1, 60)
        body = {
            "model": draw.choice(MODELS), "max_tokens": CAP, "n": draw.choice((1, 1, 1, 2)),
            "messages": [{"role": "user", "content": f"Review part {number}: {words}"}],
        }  # fmt: skip
        scope = Scope(
            agent=draw.choice(("coder", "writer")), user=f"user-{draw.randrange(5)}",
            run=f"ticket-{draw.randrange(3)}/step-{draw.randrange(2)}", tags=("red",),
        )  # fmt: skip
        try:
            plan = self._engine.plan(api="openai.chat", body=body, scope=scope)
        except BudgetExceeded:
            self.counts["refused"] += 1
            return
        self.counts["admitted"] += 1
        self._note()
        time.sleep(draw.random() * 0.01)
        outcome = _outcome(draw, plan)
        if outcome is None:
            self.counts["left"] += 1
        else:
            self._engine.settle(plan, outcome)

    def _note(self) -> None:
        with self._engine._lock:
            open_ = self._engine.core.ledger.open()
        for account, one in open_.items():
            self.most[account.limit] = max(self.most[account.limit], one.worst - one.reserved)


def _outcome(draw: random.Random, plan: Plan) -> Outcome | None:
    """How a call ends; ``None`` where nobody ever says."""
    fate = draw.random()
    if fate < 0.02:
        return None
    if fate < 0.10:
        return Outcome(finish_reason="error", status=500)
    if fate < 0.15:
        return Outcome(finish_reason="error", exact=False, status=0)
    seen = min(round(draw.lognormvariate(5.0, 0.8)) + 1, CAP) * plan.call.n
    usage = Usage(input_tokens=plan.input_tokens, output_tokens=seen)
    if fate < 0.25:
        return Outcome(usage=usage, finish_reason="cancelled", exact=False)
    return Outcome(usage=usage, finish_reason="length" if seen == CAP * plan.call.n else "stop")


def main(url: str, seed: int, calls: int, threads: int) -> dict[str, Any]:
    """Run a load, and tell what became of it."""
    with Engine.open(url, strategy="quantile", holdout=0.0) as engine:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        load = Load(engine, seed, calls)
        load.run(threads)
        engine.flush(60.0)
    return {"counts": dict(load.counts), "most": {str(k): v for k, v in load.most.items()}}


if __name__ == "__main__":
    found = main(sys.argv[1], *map(int, sys.argv[2:5]))
    sys.stdout.write(json.dumps(found) + "\n")
