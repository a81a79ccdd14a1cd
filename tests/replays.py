"""Recordings replayed as traffic: shuffled, changed from some call on, forecast as they come.

Each call is forecast by the default strategy from those before it, as a live one would be, and
becomes the row that the history would hold.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from time import perf_counter

from budget_proxy.analytics.cases import Notice
from budget_proxy.analytics.watch import Watch
from budget_proxy.cli.backtest import _rows
from budget_proxy.cli.imported import imported
from budget_proxy.predict.evaluate import Row, evaluate
from budget_proxy.predict.strategies import make
from budget_proxy.store.alerts import seen
from budget_proxy.store.recorded import read_recorded
from budget_proxy.types import CallRecord
from budget_proxy.wire.prices import LISTED

Call = tuple[Row, CallRecord]
"""What was known of a recorded call, and its row without a forecast."""

Group = tuple[str, str, str]
Change = Callable[[Call], Call]


@cache
def recording(file: Path) -> tuple[Call, ...]:
    """All calls of a recording."""
    calls = list(read_recorded(file, on_bad=lambda _line, _reason: None))
    known = _rows(iter(calls))
    found = []
    for row, (_, call) in zip(known, calls, strict=True):
        features = row.features
        found.append((
            row,
            replace(
                imported(call, b"replay", LISTED, source="recorded"), agent=features.agent,
                task_type=features.task_type, model=features.model, signals=b"",
            ),
        ))  # fmt: skip
    return tuple(found)


def shuffled(calls: Sequence[Call], seed: int) -> list[Call]:
    """The calls in another order, at the times of the recording."""
    times = sorted(row.features.now for row, _ in calls)
    order = list(calls)
    random.Random(seed).shuffle(order)  # noqa: S311 (no secret)
    return [
        (
            replace(row, index=place, features=replace(row.features, now=ts)),
            replace(record, ts=ts, id=place + 1),
        )
        for place, ((row, record), ts) in enumerate(zip(order, times, strict=True))
    ]


def changed(
    calls: Sequence[Call], start: int, hit: Callable[[CallRecord], bool], change: Change, most: int
) -> list[Call]:
    """From call ``start`` on what is hit is changed; it ends after ``most`` of those."""
    found: list[Call] = []
    for place, call in enumerate(calls):
        if place >= start and hit(call[1]):
            found.append(change(call))
            most -= 1
        else:
            found.append(call)
        if not most:
            break
    return found


def scaled(factor: float) -> Change:
    """Answers so many times as long, and caps with them where they are longer."""

    def change(call: Call) -> Call:
        row, record = call
        if not row.tokens or not record.output_tokens:
            return call
        tokens = max(round(factor * row.tokens), 1)
        ceiling = record.ceiling and round(max(factor, 1.0) * record.ceiling)
        reasoning = None if row.reasoning is None else round(factor * row.reasoning)
        weight = 4 * record.output_tokens / (4 * record.output_tokens + (record.input_tokens or 0))
        cost = None if record.cost is None else record.cost * (1 - weight + factor * weight)
        return (
            replace(
                row, tokens=tokens, reasoning=reasoning,
                features=replace(row.features, ceiling=ceiling),
            ),
            replace(record, output_tokens=tokens, ceiling=ceiling, cost=cost),
        )  # fmt: skip

    return change


def capped(calls: Sequence[Call], group: Group, share: float) -> Change:
    """A cap that cuts a share of a group's answers."""
    lengths = sorted(
        row.tokens for row, record in calls if row.tokens and group_of(record) == group
    )
    cap = lengths[int((1 - share) * len(lengths))]

    def change(call: Call) -> Call:
        row, record = call
        cut = (row.tokens or 0) >= cap
        tokens = min(row.tokens or 0, cap) or None
        reasoning = None if row.reasoning is None else min(row.reasoning, cap)
        return (
            replace(
                row, tokens=tokens, censored=row.censored or cut, reasoning=reasoning,
                features=replace(row.features, ceiling=cap),
            ),
            replace(
                record, output_tokens=tokens, ceiling=cap, truncated=record.truncated or cut,
                finish_reason="length" if cut else record.finish_reason,
            ),
        )  # fmt: skip

    return change


def forecast(calls: Sequence[Call]) -> list[CallRecord]:
    """The rows with their forecasts, each from the calls before it."""
    scored = evaluate((row for row, _ in calls), make("auto"), perf_counter)
    return [
        replace(
            record, **one.forecast.columns(), recommended=one.forecast.recommended,
            confidence=one.forecast.confidence,
        )
        for one, (_, record) in zip(scored, calls, strict=True)
    ]  # fmt: skip


def group_of(record: CallRecord) -> Group:
    """Whose call it is."""
    return (record.agent, record.task_type, record.model)


def largest(calls: Sequence[Call]) -> Group:
    """The group with the most calls."""
    return Counter(group_of(record) for _, record in calls).most_common(1)[0][0]


def notices(rows: Sequence[CallRecord]) -> list[tuple[int, Notice]]:
    """What becomes of alerts, with the place of the row; models without a price are left out."""
    watch = Watch()
    return [
        (place, notice)
        for place, row in enumerate(rows)
        for notice in watch.learn_one(seen(row))
        if notice.alert.cause != "unpriced" and notice.change != "updated"
    ]
