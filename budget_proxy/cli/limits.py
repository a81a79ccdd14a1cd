"""``budget-proxy limits``: how much of what, for whom, and over which time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from budget_proxy.cli.answer import answer, format_of
from budget_proxy.cli.options import AsJson, StoreUrl, Zone, chosen, open_history, zone_of

if TYPE_CHECKING:
    from budget_proxy.ledger.limits import Action

_WINDOWS: Final = ("flight", "minute", "hour", "day", "week", "month", "lifetime")
_HOLDS: Final = ("predicted", "worst")

Tokens = Annotated[
    int | None, typer.Option("--tokens", metavar="N", help="Input and output tokens.")
]
OutputTokens = Annotated[
    int | None, typer.Option("--output-tokens", metavar="N", help="Output tokens alone.")
]
Usd = Annotated[str | None, typer.Option("--usd", metavar="X", help="US dollars, such as 0.25.")]
Number = Annotated[int, typer.Argument(metavar="ID", help="The limit's number.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    group = typer.Typer(
        help="Limits: how much of what, for whom, and over which time.",
        invoke_without_command=True,
        rich_markup_mode=None,
    )
    group.callback()(_group)
    group.command(name="list")(list_)
    group.command(name="add")(add)
    group.command(name="set")(set_)
    group.command(name="remove")(remove)
    group.command(name="check")(check)
    app.add_typer(group, name="limits")


def _group(
    ctx: typer.Context, *, zone: Zone = None, store: StoreUrl = None, as_json: AsJson = False
) -> None:
    """Limits: how much of what, for whom, and over which time. Alone: lists them."""
    from budget_proxy.errors import InvalidInput

    if ctx.invoked_subcommand is None:
        list_(zone=zone, store=store, as_json=as_json)
    elif as_json or (zone, store) != (None, None):
        raise InvalidInput(f"write options behind {ctx.invoked_subcommand}, not before it")


def list_(*, zone: Zone = None, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """List the limits in force: what is used, held and left, and what may still come."""
    from budget_proxy.analytics.limits import overview
    from budget_proxy.analytics.rendering import limits as rendering

    place = zone_of(zone)
    history = open_history(store, existing=True)
    try:
        found = overview(history, time.time())
    finally:
        history.close()
    told = format_of(None, None, as_json=as_json)
    answer(told, None, lambda: found, lambda: rendering.limits(found, place, found.store))


def add(
    *,
    tokens: Tokens = None,
    output_tokens: OutputTokens = None,
    usd: Usd = None,
    window: Annotated[
        str,
        typer.Option(
            "--window",
            metavar="|".join(_WINDOWS),
            help="Over which time; flight: what calls under way hold at once.",
        ),
    ],
    key: Annotated[str | None, typer.Option("--key", help="Of a virtual key; * for each.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Of a user; * for each.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="Of an agent; * for each.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="Of a task; * for each.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Of a model; * for each.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", help="With a tag; * for each.")] = None,
    run: Annotated[
        str | None, typer.Option("--run", help="Of a run and those in it; * for each.")
    ] = None,
    hard: Annotated[
        bool, typer.Option("--hard", help="Refuse calls beyond it (what is done else).")
    ] = False,
    soft: Annotated[
        bool, typer.Option("--soft", help="Raise an alert, and refuse nothing.")
    ] = False,
    degrade_model: Annotated[
        str | None,
        typer.Option("--degrade-model", metavar="M", help="Try that model before refusing."),
    ] = None,
    degrade_effort: Annotated[
        str | None,
        typer.Option("--degrade-effort", metavar="E", help="Try that effort before refusing."),
    ] = None,
    hold: Annotated[
        str,
        typer.Option(
            "--hold", metavar="predicted|worst", help="What calls under way hold of it."
        ),
    ] = "predicted",
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What to call it.")] = "",
    zone: Zone = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Put a limit into force. What the running window has used already counts."""
    from budget_proxy.analytics import limits as made
    from budget_proxy.analytics.rendering import limits as rendering
    from budget_proxy.ledger.limits import Limit
    from budget_proxy.settings import load
    from budget_proxy.wire.prices import prices_of

    unit, amount = made.amount_of({"tokens": tokens, "output_tokens": output_tokens, "usd": usd})
    names = {
        "key": key, "user": user, "agent": agent, "task": task, "model": model, "tag": tag,
        "run": run,
    }  # fmt: skip
    action = _action(hard=hard, soft=soft, degrades=bool(degrade_model or degrade_effort))
    place, now = zone_of(zone), time.time()
    limit = Limit(
        unit, amount, chosen("--window", window, _WINDOWS), action=action, model=degrade_model,
        effort=degrade_effort, zone=place.key, hold=chosen("--hold", hold, _HOLDS), name=name,
    )  # fmt: skip
    prices = prices_of(load())
    history = open_history(store)
    try:
        done = made.add(history, limit, names, prices.charged, now)
    finally:
        history.close()
    told = format_of(None, None, as_json=as_json)
    answer(told, None, lambda: done, lambda: rendering.added(done, place, now))


def set_(
    number: Number,
    *,
    tokens: Tokens = None,
    output_tokens: OutputTokens = None,
    usd: Usd = None,
    zone: Zone = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a limit another amount; what was counted stays."""
    from budget_proxy.analytics import limits as made
    from budget_proxy.analytics.rendering import limits as rendering

    unit, amount = made.amount_of({"tokens": tokens, "output_tokens": output_tokens, "usd": usd})
    place, now = zone_of(zone), time.time()
    history = open_history(store, existing=True)
    try:
        done = made.change(history, number, unit, amount, now)
    finally:
        history.close()
    told = format_of(None, None, as_json=as_json)
    answer(told, None, lambda: done, lambda: rendering.added(done, place, now))


def remove(number: Number, *, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Take a limit out of force, and forget what was counted."""
    from budget_proxy.analytics import limits as made
    from budget_proxy.analytics.rendering import limits as rendering

    history = open_history(store, existing=True)
    try:
        done = made.remove(history, number)
    finally:
        history.close()
    answer(
        format_of(None, None, as_json=as_json), None, lambda: done, lambda: rendering.removed(done)
    )


def check(
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Count anew what is not as the history says.")
    ] = False,
    zone: Zone = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Compare the counters of running windows with the history; exit code 1 if some differ."""
    from budget_proxy.analytics import limits as made
    from budget_proxy.analytics.rendering import limits as rendering

    place = zone_of(zone)
    history = open_history(store, existing=True)
    try:
        found = made.check(history, time.time(), repair=repair)
    finally:
        history.close()
    told = format_of(None, None, as_json=as_json)
    answer(told, None, lambda: found, lambda: rendering.check(found, place))
    if found.differences:
        raise typer.Exit(1)


def _action(*, hard: bool, soft: bool, degrades: bool) -> Action:
    from budget_proxy.errors import InvalidInput

    if hard + soft + degrades > 1:
        raise InvalidInput(
            "a limit refuses (--hard), raises an alert (--soft) or degrades (--degrade-model, "
            "--degrade-effort): say one of them"
        )
    return "degrade" if degrades else "alert" if soft else "refuse"
