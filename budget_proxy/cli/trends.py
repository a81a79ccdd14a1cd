"""``budget-proxy trends``: how calls, money and the fit of budgets go over time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from budget_proxy.cli.options import AsJson, StoreUrl, Zone, open_history, zone_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from budget_proxy.analytics.efficiency import By
    from budget_proxy.analytics.figures import Figures
    from budget_proxy.analytics.periods import Period, Unit
    from budget_proxy.analytics.trends import GroupTrends, Trend, TrendsReport

_UNITS: Final[dict[str, Unit]] = {"hour": "hour", "day": "day", "week": "week", "month": "month"}
_MOST: Final = 1_000  # analytics.trends.MOST, which need not load for that
_BY: Final[dict[str, By]] = {"agent": "agent", "task": "task", "model": "model", "group": "group"}
_ROWS: Final = 40
_COUNTS: Final = frozenset({"calls", "output_tokens", "budget"})


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="trends")(trends)


def trends(
    *,
    unit: Annotated[
        str, typer.Option("--unit", metavar="hour|day|week|month", help="How long a period is.")
    ] = "day",
    last: Annotated[
        int | None,
        typer.Option(
            "--last", min=2, max=_MOST,
            help="How many periods, the running one among them. Else 48 hours, 30 days, 26 weeks "
            "or 12 months.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="agent|task|model|group", help="One line a group."),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure", metavar="NAME",
            help="What is plotted, and shown by group; else efficiency. With --json: only this.",
        ),
    ] = None,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="Only this agent's calls.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Only this model's calls.")
    ] = None,
    zone: Zone = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show calls, cost, budgets and efficiency by hour, day, week or month."""
    from budget_proxy.analytics import trends as analytics
    from budget_proxy.cli.output import print_json

    kind = _chosen("--unit", unit, _UNITS)
    grouping = None if by is None else _chosen("--by", by, _BY)
    if measure is not None:
        _chosen("--measure", measure, {name: name for name in analytics.MEASURES})
    where: dict[str, Any] = {
        name: value for name, value in (("agent", agent), ("model", model)) if value
    }
    place, now = zone_of(zone), time.time()
    history = open_history(store, existing=True)
    try:
        found = analytics.trends_report(
            history, kind, place, now=now, last=last, by=grouping,
            measure=measure if as_json else None, **where,
        )  # fmt: skip
    finally:
        history.close()
    if as_json:
        print_json(found)
    else:
        _show(found, measure or "efficiency")


def _chosen(option: str, name: str, known: dict[str, Any]) -> Any:
    from budget_proxy.errors import InvalidInput

    if name not in known:
        raise InvalidInput(f"{option} must be one of {', '.join(known)}, not {name!r}")
    return known[name]


def _show(found: TrendsReport, measure: str) -> None:
    from budget_proxy.cli.output import console

    out, spans = console(), found.periods
    if not any(figures.attempts for group in found.groups for figures in group.figures):
        out.print(f"No calls from {spans[0].name} to {spans[-1].name}.")
        return
    ascii_only = not out.encoding.lower().startswith("utf")
    how = f"by {found.unit}, {found.zone}"
    if found.by is None:
        _whole(out, found.groups[0], spans, measure, how, ascii_only=ascii_only)
    else:
        out.print(_by_group(found.groups, measure, how, ascii_only=ascii_only))
    out.print("* certain: the 95 % interval of the slope is on one side of 0")


def _whole(
    out: Console,
    group: GroupTrends,
    spans: Sequence[Period],
    measure: str,
    how: str,
    *,
    ascii_only: bool,
) -> None:
    from budget_proxy.cli.plot import plot

    chosen = group.of(measure)
    title = measure.replace("_", " ")
    if any(value is not None for value in chosen.values):
        names = [span.name for span in spans]
        out.print(f"{title} {how}\n")
        out.print(plot(chosen.values, names, _number(measure), ascii_only=ascii_only))
    else:
        out.print(f"{title}: nothing was measured from {spans[0].name} to {spans[-1].name}")
    out.print()
    out.print(_periods(group.figures, spans))
    out.print()
    out.print(_slopes(group.trends))


def _periods(figures: tuple[Figures, ...], spans: Sequence[Period]) -> Table:
    from budget_proxy.cli.output import dollars, percent, short, table

    rows = [
        (
            span.name,
            short(one.calls),
            short(one.output_tokens),
            dollars(one.cost),
            short(one.budget),
            percent(one.efficiency),
            percent(one.accuracy),
            percent(one.attainable),
            short(one.truncated),
        )
        for span, one in list(zip(spans, figures, strict=True))[-_ROWS:]
    ]
    columns = ("calls", "output", "cost", "budget", "eff.", "acc.", "att.", "cut")
    return table(f"The last {len(rows)} of {len(spans)} periods", ("Period", *columns), rows)


def _slopes(found: tuple[Trend, ...]) -> Table:
    from budget_proxy.cli.output import table

    rows = [(trend.measure.replace("_", " "), *_slope(trend)) for trend in found]
    columns = ("measure", "trend", "change a period", "95 % interval")
    return table("Trends", columns, rows, left=2)


def _by_group(found: Sequence[GroupTrends], measure: str, how: str, *, ascii_only: bool) -> Table:
    from budget_proxy.cli.output import short, table
    from budget_proxy.cli.plot import spark

    rows = []
    for group in found:
        trend = group.of(measure)
        direction, change, interval = _slope(trend)
        rows.append(
            (
                " / ".join(group.group),
                spark(trend.values, ascii_only=ascii_only),
                short(sum(one.calls for one in group.figures)),
                direction,
                change,
                interval,
            )
        )
    columns = ("group", "", "calls", "trend", "a period", "95 % interval")
    return table(f"{measure.replace('_', ' ')} {how}", columns, rows, left=2)


def _slope(trend: Trend) -> tuple[str, str, str]:
    from budget_proxy.cli.output import NONE

    line = trend.line
    if line is None:
        return trend.direction, NONE, NONE
    number = _change(trend.measure)
    mark = "*" if trend.certain else ""
    if line.low is None or line.high is None:
        return trend.direction, number(line.slope), NONE
    interval = f"{number(line.low)} to {number(line.high)}"
    return f"{mark}{trend.direction}", number(line.slope), interval


def _number(measure: str) -> Callable[[float], str]:
    from budget_proxy.cli.output import dollars, percent, short

    if measure == "cost":
        return dollars
    return short if measure in _COUNTS else lambda value: percent(value, 1)


def _change(measure: str) -> Callable[[float], str]:
    """How much more or less of a measure is told: shares in percentage points."""
    from budget_proxy.cli.output import dollars

    if measure == "cost":
        return lambda value: ("-" if value < 0 else "+") + dollars(abs(value))
    return lambda value: f"{value:+.3g}" if measure in _COUNTS else f"{100 * value:+.2f} pp"
