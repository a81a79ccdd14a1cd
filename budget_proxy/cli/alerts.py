"""``budget-proxy alerts``: what is wrong, since when, and what to do about it."""

from __future__ import annotations

import math
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

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

    from budget_proxy.analytics.following import CaughtUp
    from budget_proxy.store.alerts import Alert, Mute
    from budget_proxy.store.base import Store

_WITHIN: Final = 0.2
"""Seconds for rows that no server has looked at: the rest waits for the next time."""
_GROUP: Final = "group"


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
    from budget_proxy.analytics.delivery import as_json as shown
    from budget_proxy.analytics.following import Follower
    from budget_proxy.cli.output import print_json

    scope, place, now = (agent, task_type, model), zone_of(zone), time.time()
    history = open_history(store, existing=True)
    try:
        state = Follower(history).catch_up(now, within=_WITHIN)
        if ack is not None:
            _found(history.mark_alert(ack, acknowledged=now), ack)
        if mute is not None:
            _mute(history, mute, scope, math.inf if span is None else now + seconds_of(span))
        if unmute is not None:
            _mute(history, unmute, scope, 0.0)
        delivered = _deliver(history) if send else None
        found, mutes = history.alerts(every=every), history.mutes(now)
    finally:
        history.close()
    muted = [alert for alert in found if _is_muted(alert, mutes, now)]
    listed = [alert for alert in found if every or alert not in muted]
    if as_json:
        print_json(
            {
                "store": history.url,
                "alerts": [{**shown(alert), "muted": alert in muted} for alert in listed],
                "mutes": mutes,
                "rows": state.rows,
                "skipped": state.skipped,
                "waiting": state.waiting,
                "unwatched": state.unwatched,
                "delivered": delivered,
            }
        )
    else:
        typer.echo(f"History {history.url}")
        _show(listed, len(muted), place, state, delivered)


def _mute(
    history: Store, what: str, scope: tuple[str | None, str | None, str | None], until: float
) -> None:
    from budget_proxy.analytics.causes import CAUSES
    from budget_proxy.errors import InvalidInput
    from budget_proxy.store.alerts import Mute

    agent, task_type, model = scope
    if what.isascii() and what.isdigit():
        _found(history.mark_alert(int(what), muted_until=until), int(what))
    elif what in CAUSES:
        history.mute(Mute(until, what, agent, task_type, model))
    elif what == _GROUP and any(scope):
        history.mute(Mute(until, None, agent, task_type, model))
    elif what == _GROUP:
        raise InvalidInput("name the calls with --agent, --task-type or --model")
    else:
        known = ", ".join(CAUSES)
        raise InvalidInput(f"{what!r} is no alert's number, and no cause: those are {known}")


def _found(alert: Alert | None, number: int) -> None:
    from budget_proxy.errors import InvalidInput

    if alert is None:
        raise InvalidInput(f"there is no alert {number}; `budget-proxy alerts --all` lists them")


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


def _is_muted(alert: Alert, mutes: list[Mute], now: float) -> bool:
    own = alert.muted_until is not None and alert.muted_until > now
    return own or any(mute.covers(alert) for mute in mutes)


def _show(
    listed: list[Alert],
    muted: int,
    place: ZoneInfo,
    state: CaughtUp,
    delivered: dict[str, int] | None,
) -> None:
    from budget_proxy.cli.output import console, facts, table, whole

    out = console()
    rows = [
        (_place(alert), str(alert.id), alert.cause, alert.severity, since, _standing(alert))
        for alert in listed
        for since in [f"{datetime.fromtimestamp(alert.since, tz=place):%Y-%m-%d %H:%M}"]
    ]
    if rows:
        out.print()
        names = ("Calls of", "no.", "cause", "severity", f"since ({place.key})", "state")
        out.print(table("Alerts", names, rows, left=6))
        out.print(facts({f"#{alert.id}": alert.text for alert in listed}))
        out.print()
    else:
        out.print("No alerts.")
    if muted:
        out.print(f"{muted} of the alerts are muted: --all shows them.")
    if delivered is not None:
        out.print(f"Delivered {delivered['sent']}; the webhook did not take {delivered['failed']}.")
    if state.skipped:
        out.print(f"{whole(state.skipped)} rows were too far back to be looked at.")
    if state.waiting:
        out.print("More rows wait to be looked at: ask again, or let `budget-proxy serve` run.")
    if state.unwatched:
        out.print(f"{whole(state.unwatched)} groups, seen longest ago, are not watched any more.")


def _place(alert: Alert) -> str:
    from budget_proxy.analytics.causes import place_of

    return place_of(alert.scope)


def _standing(alert: Alert) -> str:
    if alert.resolved is not None:
        return "over"
    return "acknowledged" if alert.acknowledged is not None else "open"
