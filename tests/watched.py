"""Traffic for tests of the watch: calls whose lengths are as forecast, until something changes."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from budget_proxy.analytics.cases import Notice
from budget_proxy.analytics.watch import Watch
from budget_proxy.store.alerts import seen
from budget_proxy.types import CallRecord
from tests.makers import NOW, record

SPREAD = 0.5
MEDIAN = 400.0
INPUT, OUTPUT = 2e-6, 1e-5
"""Dollars a token."""

GROUP = ("coder", "bug-fix", "model-1")


def calls(
    count: int,
    *,
    seed: int = 0,
    groups: Iterable[tuple[str, str, str]] = (GROUP,),
    factor: float = 1.0,
    spread: float = SPREAD,
    **given: Any,
) -> Iterator[CallRecord]:
    """Calls of groups by turns: ln(tokens) is normal around ln(q50), ``factor`` times as long.

    The recommended budget and its confidence are those of the forecast: 580 tokens and .479.
    """
    draw = random.Random(seed)  # noqa: S311 (no secret)
    places = list(groups)
    for number in range(count):
        agent, task, model = places[number % len(places)]
        tokens = max(round(MEDIAN * factor * math.exp(spread * draw.gauss(0.0, 1.0))), 1)
        given_input = draw.randrange(200, 2000)
        facts: dict[str, Any] = {
            "call_id": f"{seed}-{number}",
            "agent": agent,
            "task_type": task,
            "model": model,
            "input_tokens": given_input,
            "output_tokens": tokens,
            "q50": MEDIAN,
            "q90": MEDIAN * math.exp(1.2815515655 * SPREAD),
            "q95": MEDIAN * math.exp(1.6448536270 * SPREAD),
            "recommended": 580,
            "confidence": 0.479,
            "strategy": "learned",
            "cost": INPUT * given_input + OUTPUT * tokens,
            **given,
        }
        yield record(**facts)


def numbered(*parts: Iterable[CallRecord], seconds: float = 10.0) -> list[CallRecord]:
    """Rows one after the other, with ids from 1 on and ten seconds between two."""
    rows = [row for part in parts for row in part]
    return [replace(row, id=i + 1, ts=NOW + seconds * i) for i, row in enumerate(rows)]


def cut(rows: Iterable[CallRecord], share: float, *, ours: bool = False) -> Iterator[CallRecord]:
    """The longest ``share`` of the answers cut at a cap."""
    every = list(rows)
    lengths = sorted(row.output_tokens or 0 for row in every)
    cap = lengths[int((1 - share) * len(lengths))]
    for row in every:
        if (row.output_tokens or 0) >= cap:
            yield replace(
                row, output_tokens=cap, ceiling=cap, truncated=True, cut_by_us=ours,
                finish_reason="length",
            )  # fmt: skip
        else:
            yield replace(row, ceiling=cap)


def watched(rows: Iterable[CallRecord], watch: Watch | None = None) -> list[tuple[int, Notice]]:
    """What becomes of alerts, each with the id of the row that made it so; updates are left out."""
    mine = watch or Watch()
    return [
        (row.id or 0, notice)
        for row in rows
        for notice in mine.learn_one(seen(row))
        if notice.change != "updated"
    ]


def raised(
    rows: Iterable[CallRecord],
) -> list[tuple[str, tuple[str | None, str | None, str | None]]]:
    """Cause and scope of what is open in the end."""
    watch = Watch()
    watched(rows, watch)
    return [(alert.cause, alert.scope) for alert in watch.cases.alerts]
