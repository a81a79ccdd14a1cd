"""A process under load, for tests: threads that plan, fail, give up, time out and settle.

Run: python -m tests.ledger_load URL SEED CALLS THREADS [DIES]. It prints "ready", and then JSON
lines. ``{"most": {"LIMIT/PART": N}}`` as often as a call is admitted with which more may be used
beyond what is held than ever before: the bound of predicted mode, as it is known at that moment,
so that a process that is killed has told it too. At its end what was admitted, refused and left
unsettled, and what of the latter is still held when the time of reservations is over.

DIES: in the midst of its so manieth write the process kills itself: rows are written, their
counters or leases are not, and nothing is committed.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from budget_proxy.assemble import Engine
from budget_proxy.errors import BudgetExceeded
from budget_proxy.ledger import ledger
from budget_proxy.ledger.accounts import Account, Grant
from budget_proxy.ledger.claims import Claim
from budget_proxy.store import counting
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

    def run(self, threads: int) -> None:
        """Make them all."""
        workers = [threading.Thread(target=self._work, args=(n,)) for n in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _work(self, thread: int) -> None:
        draw = random.Random(f"{self._seed}-{thread}")  # noqa: S311 (a repeatable load)
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
        time.sleep(draw.random() * 0.01)
        outcome = _outcome(draw, plan)
        if outcome is None:
            self.counts["left"] += 1
        else:
            self._engine.settle(plan, outcome)


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


def watch(engine: Engine, tell: Callable[[dict[str, int]], None]) -> None:
    """Tell, as calls are admitted, how much more than what is held they may use at worst.

    By account (``LIMIT/PART``), as often as that is more than ever before.
    """
    kept, most = engine.core.ledger, Counter[str]()
    reserve = kept.reserve

    def watched(
        claim: Claim,
        granted: Mapping[Account, Grant] | None = None,
        *,
        now: float | None = None,
    ) -> Any:
        found = reserve(claim, granted, now=now)
        if found is None:
            beyond = {
                f"{account.limit}/{account.part}": one.worst - one.reserved
                for account, one in kept.open().items()
            }
            more = {name: much for name, much in beyond.items() if much > most[name]}
            if more:
                most.update({name: much - most[name] for name, much in more.items()})
                tell(more)
        return found

    kept.reserve = watched  # type: ignore[method-assign]  # the engine's lock is held


def die_writing(number: int) -> None:
    """Have the process kill itself in the midst of a write: every other one before it counts."""
    add, writes = counting.add, itertools.count(1)

    def dying(*given: Any) -> None:
        last = next(writes) == number
        if not (last and number % 2):
            add(*given)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)

    counting.add = dying  # type: ignore[assignment]


def tell(what: dict[str, Any]) -> None:
    """Print a line at once, whole: another thread may print one too."""
    os.write(1, json.dumps(what).encode() + b"\n")


def main(url: str, seed: int, calls: int, threads: int, dies: int = 0) -> None:
    """Run a load, and tell what became of it."""
    if dies:
        die_writing(dies)
    with Engine.open(url, strategy="quantile", holdout=0.0) as engine:
        watch(engine, lambda more: tell({"most": more}))
        os.write(1, b"ready\n")
        load = Load(engine, seed, calls)
        load.run(threads)
        engine.flush(60.0)
        with engine._lock:
            kept = engine.core.ledger
            kept.expire(time.time() + ledger.TTL + 1.0)
            over = [(one.calls, one.worst) for one in kept.open().values()]
    tell({"counts": dict(load.counts), "over": over, "faults": dict(engine.faults)})


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
