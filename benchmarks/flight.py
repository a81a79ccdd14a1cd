"""Tokens in flight: how many calls a limit lets through, by how much each of them reserves.

Arrivals and lengths are those of an hour of two production services; callers wait in line for
room; an answer takes 20 ms a token. Time is simulated, the ledger and the predictor are real,
and the predictor's fits are made as they fall due. The first half of the calls is learned; the
second half is scored. Arrivals are sped up by 4 so that every way of reserving has callers
waiting: else it would measure how often callers come.

Choices were made on the first half alone, as ``--rehearse`` plays it: it learns the first 30 %
of that and scores the rest (docs/holds.md says which choices, and how often the scored half was
looked at). A second table tells what it costs to reserve and settle a call.

Run: python benchmarks/flight.py [--data DIR] [--speed X] [--limit TOKENS] [--rehearse] [--json]
"""

from __future__ import annotations

import argparse
import gzip
import heapq
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import process_time

from budget_proxy.ledger.accounts import Account, Grant
from budget_proxy.ledger.claims import Claim, share_of
from budget_proxy.ledger.ledger import Ledger, Shortage
from budget_proxy.ledger.limits import Limit, Unit, Whose
from budget_proxy.ledger.tempo import Pace, Tempo
from budget_proxy.ledger.totals import Share
from budget_proxy.predict.base import Predictor, Refitting
from budget_proxy.predict.strategies import fitting, make
from budget_proxy.types import CallRecord, Characteristics, Features, Forecast, Observation

LIMIT = 20_000
SECONDS_A_TOKEN = 0.020
MODEL = "m"
REHEARSED = 0.3
OPEN = (10, 1_000)
LEVELS = (0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)
QUANTILES = (68.0, 125.0, 245.0, 480.0, 881.0, 1268.0, 2504.0)
"""Of lengths drawn from a lognormal distribution (5.5, 1.0)."""
FIXED = 4096
MOST = 4096
"""The callers' cap, which every forecast is cut at."""


@dataclass(frozen=True)
class Arrival:
    """One call of the trace."""

    ts: float
    service: str
    input_tokens: int
    tokens: int


@dataclass
class Score:
    """What became of the scored calls."""

    calls: int = 0
    tokens: int = 0
    seconds: float = 0.0
    over: float = 0.0
    most: int = 0
    flown: float = 0.0
    waits: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds


Reserve = Callable[[Arrival, float, Tempo], Share]
"""(call, now, how long answers take) -> its share."""
Told = dict[str, float]
Learn = Callable[[Arrival, float], None]
"""Told of a call that ended, and when."""


class Predicted:
    """Reserves of a predictor that learns as calls end."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def share(self, call: Arrival, now: float, tempo: Tempo) -> Share:
        """The share of a call that would begin now."""
        return share_of(self._predictor.predict_one(_features(call, now)), MOST, tempo.of(MODEL))

    def learn(self, call: Arrival, now: float) -> None:
        """A call ended."""
        seen = Observation(call.tokens, censored=False, ts=now, input_tokens=call.input_tokens)
        self._predictor.learn_one(_features(call, now), seen, f"{call.ts}")
        refitting = self._predictor if isinstance(self._predictor, Refitting) else None
        if refitting is not None and refitting.due():
            refitting.adopt(fitting(refitting.name).refit(refitting.snapshot()))


def _features(call: Arrival, now: float) -> Features:
    kind = Characteristics()
    return Features(call.service, MODEL, kind.task_type, kind, now, call.input_tokens, MOST)


def row_of(call: Arrival, ended: float) -> CallRecord:
    """The row of a call that ended."""
    seconds = call.tokens * SECONDS_A_TOKEN
    return CallRecord(
        ended - seconds, "trace", MODEL, "c", output_tokens=call.tokens, seconds=seconds
    )


def certain(tokens: int) -> Share:
    """A share that is known for sure."""
    return Share(tokens, tokens, float(tokens), 0.0, 0.0)


class Line:
    """Callers in line before one limit, in simulated time."""

    def __init__(self, reserve: Reserve, learn: Learn, limit: int = LIMIT) -> None:
        self._ledger = Ledger(ttl=1e9)
        self._ledger.adopt([Limit("output_tokens", limit, "flight", id=1)])
        self._limit = limit
        self._head: Claim | None = None
        self._reserve = reserve
        self._learn = learn
        self._lent = 0

    def run(self, calls: list[Arrival], scored_from: int, speed: float) -> Score:
        """Serve calls in order; score from the moment when the first scored one begins."""
        score, line = Score(), deque[int]()
        ends: list[tuple[float, int]] = []
        begin, flying, last, scoring = calls[0].ts, 0, 0.0, False
        arrivals = iter([((call.ts - begin) / speed, number) for number, call in enumerate(calls)])
        following = next(arrivals, None)
        while following is not None or ends:
            if following is not None and (not ends or following[0] <= ends[0][0]):
                now, arrived = following
                following, ended = next(arrivals, None), None
                line.append(arrived)
            else:
                now, ended = heapq.heappop(ends)
            if scoring:
                score.flown += flying * (now - last)
                score.over += (now - last) * (flying > self._limit)
                score.seconds += now - last
                score.most = max(score.most, flying)
            last = now
            if ended is not None:
                flying -= calls[ended].tokens
                self._ledger.settle((str(ended), 1), row_of(calls[ended], now))
                self._learn(calls[ended], now)
                score.calls += scoring
                score.tokens += scoring * calls[ended].tokens
            while line and self._admitted(calls[line[0]], line[0], now):
                number = line.popleft()
                scoring = scoring or number >= scored_from
                flying += calls[number].tokens
                heapq.heappush(ends, (now + calls[number].tokens * SECONDS_A_TOKEN, number))
            if scoring and following is None and not line:
                return score  # nobody waits any more: from here on it would run empty
        return score

    def _admitted(self, call: Arrival, number: int, now: float) -> bool:
        if self._head is None or self._head.key[0] != str(number):
            shares: dict[Unit, Share] = {
                "output_tokens": self._reserve(call, now, self._ledger.tempo)
            }
            self._head = Claim((str(number), 1), Whose(), now, shares)
        found = self._ledger.reserve(self._head, now=now)
        while isinstance(found, Shortage):
            grants = dict(self._leased(found))
            self._ledger.grant(grants)
            found = self._ledger.reserve(self._head, grants, now=now)
        return found is None

    def _leased(self, asked: Shortage) -> Iterator[tuple[Account, Grant]]:
        for account, amount in asked.wanted.items():
            given = amount if self._lent + amount <= self._limit else 0
            self._lent += given
            yield account, Grant(given, 0, self._lent)


def trace(directory: Path) -> list[Arrival]:
    """The calls of the trace, in order."""
    with gzip.open(directory / "load_trace.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    return [
        Arrival(row["ts"], row["service"], row["input_tokens"], row["output_tokens"])
        for row in rows
        if row["output_tokens"]
    ]


def measured(calls: list[Arrival], start: int, asked: argparse.Namespace) -> dict[str, Told]:
    """What the three ways let through, scored from a call on."""
    predicted = Predicted(make(asked.strategy))
    ways: dict[str, tuple[Reserve, Learn]] = {
        f"fixed {FIXED:,}": (lambda *_: certain(FIXED), lambda *_: None),
        "predicted": (predicted.share, predicted.learn),
        "foreknowledge": (lambda call, *_: certain(call.tokens), lambda *_: None),
    }
    scores = {
        name: Line(reserve, learn, asked.limit).run(calls, start, asked.speed)
        for name, (reserve, learn) in ways.items()
    }
    fixed, best = scores[f"fixed {FIXED:,}"].rate, scores["foreknowledge"].rate
    return {
        name: {
            "calls a second": round(one.rate, 3),
            "x fixed": round(one.rate / fixed, 2),
            "of foreknowledge": round(one.rate / best, 3),
            "tokens in flight": round(one.flown / one.seconds),
            "most in flight": one.most,
            "time above the limit": round(one.over / one.seconds, 4),
        }
        for name, one in scores.items()
    }


def cost(open_calls: int, calls: int = 20_000) -> float:
    """Microseconds of processor time to reserve and settle a call beside so many open ones."""
    ledger = Ledger(ttl=1e9)
    ledger.adopt([Limit("output_tokens", 10**12, "flight", id=1)])
    random = Random(1)  # noqa: S311
    lengths = [max(round(random.lognormvariate(5.5, 1.0)), 1) for _ in range(calls + open_calls)]
    forecast = Forecast(LEVELS, QUANTILES, "made up", 500, 0.5)
    share = share_of(forecast, MOST, Pace(0.0, SECONDS_A_TOKEN))
    flying: list[tuple[float, int]] = []
    now = began = 0.0
    for number, tokens in enumerate(lengths):
        if number == open_calls:
            began = process_time()
        if number >= open_calls:
            now, ended = heapq.heappop(flying)
            call = Arrival(0.0, "made up", 0, lengths[ended])
            ledger.settle((str(ended), 1), row_of(call, now))
        claim = Claim((str(number), 1), Whose(), now, {"output_tokens": share})
        found = ledger.reserve(claim)
        while isinstance(found, Shortage):
            grants = {account: Grant(10**9, 0, 0) for account in found.wanted}
            ledger.grant(grants)
            found = ledger.reserve(claim, grants)
        heapq.heappush(flying, (now + tokens * SECONDS_A_TOKEN, number))
    return (process_time() - began) / calls * 1e6


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("BUDGET_PROXY_DATA", "../shared/data"))
    parser.add_argument("--speed", type=float, default=4.0)
    parser.add_argument("--limit", type=int, default=LIMIT)
    parser.add_argument("--strategy", default="auto")
    parser.add_argument("--rehearse", action="store_true", help="leave the scored half alone")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    calls = trace(Path(asked.data))
    start = len(calls) // 2
    if asked.rehearse:
        calls, start = calls[:start], round(REHEARSED * start)
    told = measured(calls, start, asked)
    costs = {f"{open_calls:,}": round(cost(open_calls), 1) for open_calls in OPEN}
    if asked.json:
        sys.stdout.write(json.dumps({"ways": told, "microseconds": costs}, indent=2) + "\n")
        return 0
    for name, one in told.items():
        sys.stdout.write(f"{name:16}" + "  ".join(f"{key} {value}" for key, value in one.items()))
        sys.stdout.write("\n")
    for open_calls, microseconds in costs.items():
        sys.stdout.write(f"reserve + settle beside {open_calls:>5} open calls  {microseconds} us\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
