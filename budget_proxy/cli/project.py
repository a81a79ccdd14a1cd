"""``budget-proxy project``: what the days ahead will cost, with intervals, and against limits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

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
    day_began,
    only,
    open_history,
    zone_of,
)

if TYPE_CHECKING:
    from budget_proxy.analytics.series import Measure

_BY: Final = ("agent", "task", "model", "group")
_MEASURES: Final = ("cost", "tokens", "calls")
_METHODS: Final = ("seasonal", "simple")
_WINDOWS: Final = ("day", "week", "month")


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
    agent: OnlyAgent = None,
    task_type: OnlyTaskType = None,
    model: OnlyModel = None,
    form: Form = None,
    out: Out = None,
    zone: Zone = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Project cost, tokens or calls, with 95 % intervals, and when limits are reached."""
    from budget_proxy.analytics.encoding import named
    from budget_proxy.analytics.outlook import Question, check_begun, outlook
    from budget_proxy.analytics.rendering import outlook as rendering

    told = format_of(form, out, as_json=as_json)
    limits: dict[Measure, float] = {}
    if limit_usd is not None:
        limits["cost"] = limit_usd
    if limit_tokens is not None:
        limits["tokens"] = limit_tokens
    asked = Question(
        days=days,
        measure=chosen("--measure", measure, _MEASURES),
        method=chosen("--method", method, _METHODS),
        by=None if by is None else chosen("--by", by, _BY),
        limits=limits,
        window=chosen("--window", window, _WINDOWS),
    )
    where, place, now = only(agent, task_type, model), zone_of(zone), time.time()
    if at is not None:
        begun = day_began(at, place)
        check_begun(begun, now)
        now = begun
    history = open_history(store, existing=True)
    found = outlook(history, place, now, asked, **where)
    url = history.url
    history.close()
    answer(
        told, out, lambda: {"store": url, **named(found)},
        lambda: rendering.outlook(found, asked, url, where),
    )  # fmt: skip
