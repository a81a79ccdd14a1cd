"""What one row adds to the sums: the definitions, in Python. In SQL: store/summing.py.

How a budget's use is scored, and what was to be expected of it, is in store/scoring.py.

A call is measured by its first answer, also if our cap cut it: the resend is another draw, and
counting it in place of the long first one would make forecasts look better.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import inf
from typing import Any, Final

from budget_proxy.store.scoring import (
    OVER,
    UNDER,
    UNDER_EFFICIENCY,
    efficiency_of,
    expected_efficiency,
    risk_of,
)
from budget_proxy.store.sums import Sums
from budget_proxy.types import LEVELS, NO_ANSWER, NO_PROVIDER, CallRecord

CALIBRATED: Final = frozenset({"learned", "quantile", "rolling"})
"""The strategies whose quantiles and confidence are probabilities."""

USE_EDGES: Final = (0.25, 0.50, 0.60, 0.75, 0.85, 0.95, 1.25, 2.0)
"""Edges of the distribution of use: counted are [0, .25), [.25, .50) ... [2, inf)."""

CONFIDENCE_EDGES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Edges of the tenths of confidence: [0, .1), [.1, .2) ... [.9, 1]."""

MODES: Final = ("observe", "guide", "enforce")
MOST_TOKENS: Final = 10**11
"""As more tokens no row counts, whatever it says: SQLite's whole numbers would not hold the sum."""

_Key = tuple[str, str, str, str]
_REPORTED: Final = ("input", "output", "reasoning", "cache_read", "cache_write")
_OF_TOKENS: Final = frozenset(
    {
        *(f"{name}_tokens" for name in _REPORTED), "guidance_tokens", "cut_tokens", "reserve",
        "ceiling", "used", "recommended",
    }
)  # fmt: skip


def sums_of(records: Iterable[CallRecord]) -> list[Sums]:
    """The sums of rows by KEYS; rows come in the order of their ids."""
    counted: dict[_Key, defaultdict[str, Any]] = {}
    times: dict[_Key, list[float]] = {}
    for record, resent in with_resends(records):
        key = (record.agent, record.task_type, record.model, record.arm)
        sums = counted.setdefault(key, defaultdict(int))
        for name, number in measures(record, resent=resent):
            sums[name] += number
        times.setdefault(key, []).append(record.ts)
    return [Sums(*key, min(times[key]), max(times[key]), **sums) for key, sums in counted.items()]


def with_resends(records: Iterable[CallRecord]) -> Iterator[tuple[CallRecord, bool]]:
    """Rows in the order of their ids, each with whether it repeats one that our cap cut."""
    cut: set[str] = set()
    for record in records:
        resent = record.attempt > 1 and record.call_id in cut
        cut.discard(record.call_id)
        if record.cut_by_us:
            cut.add(record.call_id)
        yield record, resent


def measures(record: CallRecord, *, resent: bool) -> Iterator[tuple[str, float]]:
    """What a row adds to which sum; ``resent``: it repeats an attempt that our cap cut."""
    for name, number in _measures(record, resent=resent):
        yield name, min(number, MOST_TOKENS) if name in _OF_TOKENS else number


def _measures(record: CallRecord, *, resent: bool) -> Iterator[tuple[str, float]]:
    yield from _attempt(record, resent=resent)
    yield from _money(record)
    yield from fit(record, resent=resent)


def fit(record: CallRecord, *, resent: bool) -> Iterator[tuple[str, float]]:
    """What a row adds by its length, as ``measures`` has it; nothing where that is not known."""
    if record.has_length and not resent:
        yield from _length(record)


def _attempt(record: CallRecord, *, resent: bool) -> Iterator[tuple[str, float]]:
    yield "attempts", 1
    if record.attempt == 1:
        yield "calls", 1
        if record.mode in MODES:
            yield record.mode, 1
        yield "holdout", record.arm == "holdout"
    yield "failed", record.finish_reason in NO_ANSWER
    yield "estimated", not record.exact
    yield "truncated", record.truncated
    yield "truncated_by_us", record.cut_by_us
    if record.truncated:
        yield "cut_tokens", record.output_tokens or 0
        yield "cut_cost", record.cost or 0.0
    yield "resent", resent
    yield "guided", record.guidance is not None
    yield "guidance_tokens", record.guidance_tokens
    for name in _REPORTED:
        tokens: int | None = getattr(record, f"{name}_tokens")
        if tokens is not None:
            yield f"{name}_tokens", tokens
            yield f"{name}_reported", 1
    for count, name, number in (
        ("timed", "seconds", record.seconds),
        ("scored", "score", record.score),
        ("reserved", "reserve", record.reserve),
        ("limited", "ceiling", record.ceiling and record.ceiling * max(record.n, 1)),
    ):
        if number is not None:
            yield count, 1
            yield name, number


def _money(record: CallRecord) -> Iterator[tuple[str, float]]:
    if record.cost is not None:
        yield "priced", 1
        yield "cost", record.cost
    elif record.api != NO_PROVIDER and (record.input_tokens, record.output_tokens) != (0, 0):
        yield "unpriced", 1


def _length(record: CallRecord) -> Iterator[tuple[str, float]]:
    """What a known length says of its forecast and its budget."""
    output, choices, budget = record.output_tokens or 0, max(record.n, 1), record.recommended
    length = output / choices
    limit = length if record.truncated else record.ceiling or inf
    if record.strategy in CALIBRATED:
        yield from _told(record, length, limit)
    if not budget:
        return
    if limit / budget < UNDER:
        yield "untold", 1
        return
    use = output / (choices * budget)
    yield "measured", 1
    yield "utilisation", use
    yield "used", output
    yield "recommended", choices * budget
    yield f"use_{bisect_right(USE_EDGES, use) + 1}", 1
    over, under = use < OVER, use > UNDER or record.truncated
    yield "over", over
    yield "under", under
    yield "efficiency", UNDER_EFFICIENCY if record.truncated else efficiency_of(use)
    if record.strategy in CALIBRATED and record.confidence is not None:
        yield from _promised(record, record.confidence, accurate=not over and not under)


def _promised(
    record: CallRecord, confidence: float, *, accurate: bool
) -> Iterator[tuple[str, float]]:
    tenth = bisect_right(CONFIDENCE_EDGES, confidence) + 1
    yield "promised", 1
    yield "confidence", confidence
    yield "risk", risk_of(record) or 0.0
    expected = expected_efficiency(record)
    if expected is not None:
        yield "expected", 1
        yield "expected_efficiency", expected
    yield f"promised_{tenth}", 1
    yield f"confidence_{tenth}", confidence
    yield f"accurate_{tenth}", accurate


def _told(record: CallRecord, length: float, limit: float) -> Iterator[tuple[str, float]]:
    """What a length says of its row's quantiles.

    A call whose ``limit`` (the cap in force) lay below the quantile cannot tell, cut or not:
    leaving out the cut ones alone would leave out the long ones. One that was cut at or above
    the quantile did not hold.
    """
    quantiles = (record.q50, record.q75, record.q90, record.q95, record.q99)
    for level, value in zip(LEVELS, quantiles, strict=True):
        if value is not None and limit >= value:
            yield f"told_{100 * level:.0f}", 1
            yield f"held_{100 * level:.0f}", length <= value and not record.truncated
