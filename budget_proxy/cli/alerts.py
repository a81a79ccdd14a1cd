"""``budget-proxy alerts``: what is wrong, since when, and what to do about it."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from budget_proxy.cli.options import (
    Agent,
    AsJson,
    Model,
    StoreUrl,
    Zone,
    open_history,
    seconds_of,
    zone_of,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from budget_proxy.analytics.noticeboard import Noticeboard
    from budget_proxy.store.alerts import Alert
    from budget_proxy.store.base import Store


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="alerts")(alerts)


def alerts(
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Those that are over, and muted ones, too.")
    ] = False,
    ack: Annotated[
        int | None, typer.Option("--ack", metavar="ID", help="Acknowledge an alert.")
    ] = None,
    mute: Annotated[
        str | None,
        typer.Option(
            "--mute",
            metavar="ID|CAUSE|group",
            help="Tell nobody of an alert, of a cause, or of the calls that --agent, --task-type "
            "and --model name (a cause of theirs, with a cause).",
        ),
    ] = None,
    unmute: Annotated[
        str | None, typer.Option("--unmute", metavar="ID|CAUSE|group", help="End a mute.")
    ] = None,
    span: Annotated[
        str | None,
        typer.Option("--for", metavar="SPAN", help="How long: 30m, 24h, 7d. Else for ever."),
    ] = None,
    agent: Agent = None,
    task_type: Annotated[
        str | None, typer.Option("--task-type", metavar="NAME", help="What kind of task.")
    ] = None,
    model: Model = None,
    send: Annotated[
        bool, typer.Option("--deliver", help="Send what is due to the webhook (for cron).")
    ] = False,
    zone: Zone = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show open alerts; acknowledge, mute or deliver them."""
    from budget_proxy.analytics import noticeboard as board
    from budget_proxy.cli.output import print_json

    scope, place, now = (agent, task_type, model), zone_of(zone), time.time()
    history = open_history(store, existing=True)
    try:
        state = board.look(history, now)
        if ack is not None:
            board.acknowledge(history, ack, now)
        if mute is not None:
            until = math.inf if span is None else now + seconds_of(span)
            board.mute(history, mute, scope, until)
        if unmute is not None:
            board.mute(history, unmute, scope, 0.0)
        delivered = _deliver(history) if send else None
        found = board.noticeboard(history, state, now, every=every)
    finally:
        history.close()
    found = replace(found, delivered=delivered)
    if as_json:
        print_json(found)
    else:
        typer.echo(f"History {history.url}")
        _show(found, place)


def _deliver(history: Store) -> dict[str, int]:
    from budget_proxy.analytics.delivery import deliver
    from budget_proxy.analytics.webhook import webhook_of
    from budget_proxy.errors import ConfigError
    from budget_proxy.settings import load

    settings = load()
    post = webhook_of(settings.alerts.webhook, settings.alerts_secret)
    if post is None:
        raise ConfigError(
            "there is no webhook: set BUDGET_PROXY_ALERTS__WEBHOOK, or webhook under [alerts] in "
            "budget_proxy.toml"
        )
    sent, failed = deliver(history, post, settings.alerts.format, time.time)
    return {"sent": sent, "failed": failed}


def _show(found: Noticeboard, place: ZoneInfo) -> None:
    from budget_proxy.cli.output import console, facts, table, whole

    out = console()
    rows = [
        (_place(alert), str(alert.id), alert.cause, alert.severity, since, _standing(alert))
        for alert in found.alerts
        for since in [f"{datetime.fromtimestamp(alert.since, tz=place):%Y-%m-%d %H:%M}"]
    ]
    if rows:
        out.print()
        names = ("Calls of", "no.", "cause", "severity", f"since ({place.key})", "state")
        out.print(table("Alerts", names, rows, left=6))
        out.print(facts({f"#{alert.id}": alert.text for alert in found.alerts}))
        out.print()
    else:
        out.print("No alerts.")
    if found.hidden:
        out.print(f"{found.hidden} of the alerts are muted: --all shows them.")
    if found.delivered is not None:
        sent, failed = found.delivered["sent"], found.delivered["failed"]
        out.print(f"Delivered {sent}; the webhook did not take {failed}.")
    if found.skipped:
        out.print(f"{whole(found.skipped)} rows were too far back to be looked at.")
    if found.waiting:
        out.print("More rows wait to be looked at: ask again, or let `budget-proxy serve` run.")
    if found.unwatched:
        out.print(f"{whole(found.unwatched)} groups, seen longest ago, are not watched any more.")


def _place(alert: Alert) -> str:
    from budget_proxy.analytics.causes import place_of

    return place_of(alert.scope)


def _standing(alert: Alert) -> str:
    if alert.resolved is not None:
        return "over"
    return "acknowledged" if alert.acknowledged is not None else "open"
