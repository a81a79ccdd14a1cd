"""``budget-proxy trends``: how calls, money and the fit of budgets go over time."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from budget_proxy.cli.answer import answer, format_of
from budget_proxy.cli.options import (
    AsJson,
    Form,
    OnlyAgent,
    OnlyModel,
    OnlyTaskType,
    Out,
    StoreUrl,
    Zone,
    chosen,
    only,
    open_history,
    zone_of,
)

_UNITS: Final = ("hour", "day", "week", "month")
_MOST: Final = 500  # analytics.trends.MOST, which need not load for that
_BY: Final = ("agent", "task", "model", "group")


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
            help="What is plotted, and shown by group; else efficiency. As JSON: only this.",
        ),
    ] = None,
    agent: OnlyAgent = None,
    task_type: OnlyTaskType = None,
    model: OnlyModel = None,
    form: Form = None,
    out: Out = None,
    zone: Zone = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show calls, cost, budgets and efficiency by hour, day, week or month."""
    from budget_proxy.analytics import trends as analytics
    from budget_proxy.analytics.rendering import trends as rendering

    told = format_of(form, out, as_json=as_json)
    kind = chosen("--unit", unit, _UNITS)
    grouping = None if by is None else chosen("--by", by, _BY)
    if measure is not None:
        chosen("--measure", measure, analytics.MEASURES)
    where = only(agent, task_type, model)
    place, now = zone_of(zone), time.time()
    history = open_history(store, existing=True)
    try:
        found = analytics.trends_report(
            history, kind, place, now=now, last=last, by=grouping,
            measure=measure if told == "json" else None, **where,
        )  # fmt: skip
    finally:
        history.close()
    answer(
        told, out, lambda: found,
        lambda: rendering.trends(found, measure or "efficiency", where),
    )  # fmt: skip
