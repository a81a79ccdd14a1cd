"""``budget-proxy alerts``: what is wrong, since when, and what to do about it."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from budget_proxy.cli.answer import answer, check_printed, format_of
from budget_proxy.cli.options import (
    Agent,
    AsJson,
    Form,
    Model,
    Out,
    StoreUrl,
    Zone,
    open_history,
    seconds_of,
    zone_of,
)

if TYPE_CHECKING:
    from budget_proxy.analytics.following import CaughtUp
    from budget_proxy.store.base import Store

_SILENT: Final = 0.25
"""Seconds that a look may take before it shows how far it is."""

_STEP: Final = 0.1
"""Seconds from one state of the progress bar to the next."""


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
    form: Form = None,
    out: Out = None,
    zone: Zone = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show open alerts; acknowledge, mute or deliver them."""
    from budget_proxy.analytics import noticeboard as board
    from budget_proxy.analytics.rendering import alerts as rendering

    told = format_of(form, out, as_json=as_json)
    changing = _changing(
        ack=ack is not None, mute=mute is not None, unmute=unmute is not None, deliver=send
    )
    if changing:
        check_printed(changing, told, out)
    _check_muting(scope=(agent, task_type, model), span=span, given=mute or unmute)
    scope, place, now = (agent, task_type, model), zone_of(zone), time.time()
    history = open_history(store, existing=True)
    try:
        state = _look(history, now)
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
    answer(told, out, lambda: found, lambda: rendering.alerts(found, place, now, history.url))


def _changing(*, ack: bool, mute: bool, unmute: bool, deliver: bool) -> str | None:
    """The first of the options that change something, if any was given."""
    given = {"--ack": ack, "--mute": mute, "--unmute": unmute, "--deliver": deliver}
    return next((name for name, there in given.items() if there), None)


def _check_muting(*, scope: tuple[str | None, ...], span: str | None, given: str | None) -> None:
    from budget_proxy.errors import InvalidInput

    if given is None and (any(scope) or span is not None):
        raise InvalidInput(
            "--agent, --task-type, --model and --for say what --mute and --unmute are about; the "
            "list shows every alert"
        )


def _look(history: Store, now: float) -> CaughtUp:
    """Look at every row that no server has looked at, with a progress bar if that takes long.

    And at the limits: what refused calls of late only servers know, and have told.
    """
    from budget_proxy.analytics.following import Follower
    from budget_proxy.analytics.gauges import Gauges
    from budget_proxy.cli.progress import Bar, progress_place

    follower = Follower(history)
    state = follower.catch_up(now, within=_SILENT)
    if state.waiting:
        with progress_place() as place:
            bar = Bar(place, "Looking", state.rows + state.waiting)
            while state.waiting:
                bar.show(state.rows)
                state = state.then(follower.catch_up(now, within=_STEP))
            bar.show(state.rows)
    Gauges(history, follower, refusing=lambda _: ()).look(now)
    return state


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
