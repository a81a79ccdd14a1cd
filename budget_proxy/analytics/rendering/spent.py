"""The parts of a report on spending and on truncations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from zoneinfo import ZoneInfo

from budget_proxy.analytics.efficiency import By
from budget_proxy.analytics.numbers import NONE, dollars, moment, percent, short
from budget_proxy.analytics.rendering.blocks import NAMES, Block, Heading, Note, Table, named
from budget_proxy.analytics.report import Report
from budget_proxy.analytics.spenders import Spender

_CALL_ID: Final = 36


def spent(report: Report, by: By) -> Iterator[Block]:
    """Who spent most, by agent, task type and model: what was asked for first."""
    yield Heading("Spending")
    ways: tuple[By, ...] = ("agent", "task", "model")
    chosen = sorted(ways, key=lambda way: way != by)
    for way in chosen:
        found = report.spenders[way]
        if found:
            yield _spenders(found, way)


def _spenders(found: Sequence[Spender], by: By) -> Table:
    told = any(one.cost_before is not None for one in found)
    columns = ("calls", "cost", "share", "tokens", "share", *(["cost before"] if told else []))
    rows = tuple(
        (
            named(*one.group), short(one.calls), _spent(one), percent(one.cost_share),
            short(one.tokens), percent(one.token_share),
            *([dollars(one.cost_before)] if told else []),
        )
        for one in found
    )  # fmt: skip
    return Table(f"Top spenders by {NAMES[by].lower()}", (NAMES[by], *columns), rows)


def _spent(one: Spender) -> str:
    """What is known to be spent; more than that where prices are unknown."""
    if one.unpriced:
        return f">{dollars(one.cost)}" if one.cost else NONE
    return dollars(one.cost)


def cut(report: Report) -> Iterator[Block]:
    """Where answers were cut, and the newest of them; nothing where none was."""
    found = report.truncations
    if not found.groups:
        return
    yield Heading("Truncations")
    columns = ("cut", "share", "by us", "resent", "tokens", "cost")
    rows = tuple(
        (
            named(*one.group), short(one.truncated), percent(one.share, 1), short(one.by_us),
            short(one.resent), short(one.tokens), dollars(one.cost),
        )
        for one in found.groups
    )  # fmt: skip
    yield Table("Where answers were cut, the dearest first", (NAMES["group"], *columns), rows)
    yield Note("Tokens and cost are those of the cut answers: paid, and ended in the middle.")
    zone = ZoneInfo(report.zone)
    calls = tuple(
        (
            named(one.call_id)[:_CALL_ID],
            moment(one.ts, zone)[5:],
            "us" if one.by_us else "caller",
            short(one.ceiling),
            short(one.output_tokens),
            short(one.recommended),
        )
        for one in found.newest
    )
    columns = ("call", "when", "cap of", "cap", "output", "budget")
    yield Table("The newest cut answers", columns, calls, left=3)
