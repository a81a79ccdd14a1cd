"""``budget-proxy project``: what the days ahead will cost, with intervals, and against limits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from budget_proxy.analytics.numbers import written
from budget_proxy.cli.options import (
    AsJson,
    StoreUrl,
    Zone,
    chosen,
    day_began,
    open_history,
    zone_of,
)

if TYPE_CHECKING:
    from rich.table import Table

    from budget_proxy.analytics.efficiency import By
    from budget_proxy.analytics.outlook import Outlook, Question
    from budget_proxy.analytics.projection import Ahead, Projection
    from budget_proxy.analytics.ranges import Range
    from budget_proxy.analytics.reach import Reach
    from budget_proxy.analytics.series import Measure

_NAMES: Final = {
    "agent": "Agent", "task": "Task type", "model": "Model", "group": "Agent / task / model",
}  # fmt: skip
_MEASURES: Final = ("cost", "tokens", "calls")
_METHODS: Final = ("seasonal", "simple")
_WINDOWS: Final = ("day", "week", "month")
_SINGLE: Final = 14  # days that are listed one by one; more are by week
_SURE: Final = 0.01


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="project")(project)


def project(
    *,
    days: Annotated[
        int, typer.Option("--days", metavar="N", help="Days ahead, today the first.")
    ] = 30,
    measure: Annotated[
        str, typer.Option("--measure", metavar="cost|tokens|calls", help="What is projected.")
    ] = "cost",
    method: Annotated[
        str,
        typer.Option(
            "--method", metavar="seasonal|simple",
            help="With weekdays and a trend, or the mean of the last 30 days.",
        ),
    ] = "seasonal",
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="agent|task|model|group", help="Groups beside the whole."),
    ] = None,
    limit_usd: Annotated[
        float | None,
        typer.Option("--limit-usd", metavar="USD", help="When is so much spent in a window?"),
    ] = None,
    limit_tokens: Annotated[
        float | None,
        typer.Option("--limit-tokens", metavar="N", help="When are so many tokens used in one?"),
    ] = None,
    window: Annotated[
        str,
        typer.Option("--window", metavar="day|week|month", help="The limits' calendar window."),
    ] = "month",
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="DATE", help="As it looked when this day (2026-11-30) began."
        ),
    ] = None,
    zone: Zone = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Project cost, tokens or calls, with 95 % intervals, and when limits are reached."""
    from budget_proxy.analytics.encoding import named
    from budget_proxy.analytics.outlook import Question, outlook
    from budget_proxy.cli.output import print_json

    limits: dict[Measure, float] = {}
    if limit_usd is not None:
        limits["cost"] = limit_usd
    if limit_tokens is not None:
        limits["tokens"] = limit_tokens
    asked = Question(
        days=days,
        measure=chosen("--measure", measure, _MEASURES),
        method=chosen("--method", method, _METHODS),
        by=None if by is None else chosen("--by", by, _NAMES),
        limits=limits,
        window=chosen("--window", window, _WINDOWS),
    )
    where = zone_of(zone)
    now = time.time() if at is None else day_began(at, where)
    history = open_history(store, existing=True)
    found = outlook(history, where, now, asked)
    url = history.url
    history.close()
    if as_json:
        print_json({"store": url, **named(found)})
    else:
        _show(found, asked, url)


def _show(found: Outlook, asked: Question, url: str) -> None:
    from budget_proxy.cli.output import console, facts

    out, whole = console(), found.whole
    out.print(f"History {url}", soft_wrap=True)
    if whole.total is None:
        out.print(whole.note[:1].upper() + whole.note[1:] + ".", soft_wrap=True)
        return
    out.print(facts(_facts(found, asked)))
    out.print()
    ascii_only = not out.encoding.lower().startswith("utf")
    out.print(_plot(found, out.width, ascii_only=ascii_only), soft_wrap=True)
    out.print()
    out.print(_ahead(whole))
    if asked.by:
        out.print()
        out.print(_groups(found, asked.by))
        out.print("Each group has a trend of its own: they need not add up to the whole.")
    if found.advice:
        out.print()
    for sentence in found.advice:
        out.print(sentence)


def _facts(found: Outlook, asked: Question) -> dict[str, str]:
    whole = found.whole
    measure, last = whole.measure, whole.days[-1].start
    rows = {
        "Projected": f"{measure}, {len(whole.days)} days to {last}: {_range(whole.total, measure)}",
        "Pace": f"{written(whole.recent, measure)} in the last {whole.recent_days} whole days; "
        f"{written(whole.so_far, measure)} today so far",
        "From": f"{whole.history} days since {whole.since} ({found.zone}), method {whole.method}",
    }
    if whole.known is not None and whole.known < 1:
        rows["Known"] = f"{_share(whole.known)} of the attempts; the others are not counted"
    if whole.note:
        rows["Note"] = whole.note
    for name in asked.limits or {}:
        reached = found.limits.get(name)
        rows["Limit" if name == measure else f"Limit of {name}"] = (
            "too little history to say" if reached is None else _reached(reached, name, asked)
        )
    return rows


def _reached(found: Reach, measure: Measure, asked: Question) -> str:
    """Such as: reached on 2026-12-23 (95 %: 2026-12-21 to not at all), probability 81 %."""
    what = (
        f"{written(found.limit, measure)} a {asked.window}, {written(found.spent, measure)} so far"
    )
    if found.spent >= found.limit:
        return f"{what}: reached on {found.expected}"
    likely = _likely(found.probability)
    if found.earliest is None:
        return f"{what}: not reached by the end of it ({likely})"
    if found.expected is None:
        return f"{what}: probably not reached ({likely}), on {found.earliest} at the earliest"
    latest = found.latest or "not at all"
    return f"{what}: reached on {found.expected} (95 %: {found.earliest} to {latest}), {likely}"


def _likely(probability: float) -> str:
    """A probability in words; of so many draws none or all are no certainty."""
    if not _SURE < probability < 1 - _SURE:
        return "probability " + ("below 1 %" if probability <= _SURE else "above 99 %")
    return f"probability {100 * probability:.0f} %"


def _share(share: float) -> str:
    return f"{100 * min(share, 0.999):.1f} %"  # not all, so never 100


def _range(found: Range | None, measure: Measure) -> str:
    if found is None:
        return "-"
    low, high = written(found.low, measure), written(found.high, measure)
    return f"{written(found.expected, measure)} (95 %: {low} to {high})"


def _plot(found: Outlook, width: int, *, ascii_only: bool) -> str:
    """The past as bars; the days ahead as points within their interval."""
    from budget_proxy.cli.output import dollars, short
    from budget_proxy.cli.plot import plot

    past, ahead = found.past, found.whole.days
    return plot(
        [*(day.amount for day in past), *(day.amount.expected for day in ahead)],
        [*(f"{day.start:%d %b}" for day in past), *(f"{day.start:%d %b}" for day in ahead)],
        dollars if found.whole.measure == "cost" else short,
        bands=[*(None for _ in past), *((day.amount.low, day.amount.high) for day in ahead)],
        bars=[*(True for _ in past), *(False for _ in ahead)],
        width=width,
        ascii_only=ascii_only,
    )


def _ahead(whole: Projection) -> Table:
    from budget_proxy.cli.output import table

    listed = whole.days if len(whole.days) <= _SINGLE else whole.weeks
    rows = [(_span(one), *_cells(one.amount, whole.measure)) for one in listed]
    return table("Ahead", ("days", "expected", "at least", "at most (95 %)"), rows)


def _span(one: Ahead) -> str:
    from datetime import timedelta

    last = one.start + timedelta(days=one.days - 1)
    return f"{one.start:%a %d %b}" + (f" - {last:%a %d %b}" if one.days > 1 else "")


def _cells(amount: Range | None, measure: Measure) -> list[str]:
    if amount is None:
        return ["-"] * 3
    return [written(value, measure) for value in (amount.expected, amount.low, amount.high)]


def _groups(found: Outlook, by: By) -> Table:
    from budget_proxy.cli.output import table

    rows = []
    for one in found.groups:
        growth = "-" if one.growth is None else f"{100 * one.growth.expected:+.1f} %"
        recent = written(one.recent, one.measure)
        rows.append((" / ".join(one.group), recent, *_cells(one.total, one.measure), growth))
    days = len(found.whole.days)
    columns = ("last 30 days", "expected", "at least", "at most", "a week")
    return table(f"Next {days} days", (_NAMES[by], *columns), rows)
