"""The part of a report on what has changed, and which of it is more than noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final
from zoneinfo import ZoneInfo

from budget_proxy.analytics.changes import Change, Comparison
from budget_proxy.analytics.numbers import NONE, dollars, moment, percent, short
from budget_proxy.analytics.rendering.blocks import Block, Heading, Note, Table, named
from budget_proxy.analytics.report import Report

_MOVED: Final = 10
_TOTALS: Final[Mapping[str, Callable[[float | None], str]]] = {
    "calls_a_day": short, "output_tokens_a_day": short, "cost_a_day": dollars,
}  # fmt: skip


def changed(report: Report) -> Iterator[Block]:
    """Since the last report, and beside the time before, where these are not the same."""
    pairs = [
        ("Since the last report", report.since_last),
        ("Beside the time before", report.previous),
    ]
    shown = False
    for title, found in pairs:
        if found is None or (shown and found == report.since_last):
            continue
        if not shown:
            yield Heading("What changed")
        shown = True
        yield from _comparison(title, found, ZoneInfo(report.zone))
    if shown:
        yield Note(
            "* beyond noise: the 95 % interval of the difference is on one side of 0; of twenty "
            "measures that have not changed about one is marked. Groups are held to a stricter "
            "bound, since there are many."
        )


def _comparison(title: str, found: Comparison, zone: ZoneInfo) -> Iterator[Block]:
    spans = [
        f"{moment(one.start, zone)} to {moment(one.end, zone)}"
        for one in (found.before, found.after)
    ]
    yield Note(f"{title}: {spans[0]}, then {spans[1]}.")
    rows = tuple(_row("", change) for change in found.changes if change.difference is not None)
    columns = ("measure", "before", "after", "change", "95 % interval")
    yield Table(title, columns, rows)
    if found.moved:
        moved = tuple(_row(f"{named(*one.group)}: ", one.change) for one in found.moved[:_MOVED])
        yield Table("Groups that changed beyond noise", ("group and measure", *columns[1:]), moved)
    for word, groups in (("New", found.new), ("Gone", found.gone)):
        if groups:
            names = ", ".join(named(*group) for group in groups[:_MOVED])
            more = f" and {len(groups) - _MOVED} more" if len(groups) > _MOVED else ""
            yield Note(f"{word}: {names}{more}.")


def _row(whose: str, change: Change) -> tuple[str, ...]:
    number = _TOTALS.get(change.measure, _share)
    mark = "*" if change.beyond_noise else ""
    between = NONE
    if change.low is not None and change.high is not None:
        between = f"{_signed(number, change.low)} to {_signed(number, change.high)}"
    return (
        whose + change.measure.replace("_", " "),
        number(change.before),
        number(change.after),
        mark + _signed(number, change.difference or 0.0),
        between,
    )


def _signed(number: Callable[[float | None], str], value: float) -> str:
    text = number(abs(value))
    if text == number(0.0):
        return text
    return f"+{text}" if value > 0 else f"-{text}"


def _share(share: float | None) -> str:
    return percent(share, 1)
