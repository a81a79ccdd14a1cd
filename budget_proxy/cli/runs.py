"""``budget-proxy runs``: what agents' runs have used, what they will come to, and more for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from budget_proxy.cli.options import AsJson, StoreUrl

if TYPE_CHECKING:
    from budget_proxy.assemble import Engine
    from budget_proxy.runs import RunList, RunStatus

_BAR: Final = 8
Run = Annotated[str, typer.Argument(metavar="RUN", help="The run's name, such as ticket-12/fix.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    group = typer.Typer(
        help="Runs of agents: used, left, forecast; more for one.",
        invoke_without_command=True,
        rich_markup_mode=None,
    )
    group.callback()(runs)
    group.command(name="show")(show)
    group.command(name="extend")(extend)
    app.add_typer(group, name="runs")


def runs(
    context: typer.Context,
    *,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=1_000, help="So many runs, each with its parts.")
    ] = 20,
    after: Annotated[
        str | None, typer.Option("--after", metavar="PLACE", help="On from `next` of --json.")
    ] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """List runs, those called last first."""
    if context.invoked_subcommand is not None:
        return
    from budget_proxy.cli.output import print_json

    with _engine(store) as engine:
        found = engine.runs.page(after, limit)
    if as_json:
        print_json(found)
    else:
        _list(found)


def show(run: Run, *, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Show one run: its budget, forecast, hard stops, extensions and alarms."""
    from budget_proxy.cli.output import console, facts, print_json

    with _engine(store) as engine:
        found = engine.run_status(run)
    if as_json:
        print_json(found)
    else:
        console().print(facts(_facts(found)))


def extend(
    run: Run,
    *,
    tokens: Annotated[
        int, typer.Option("--tokens", min=0, help="So many tokens more (input + output).")
    ] = 0,
    usd: Annotated[float, typer.Option("--usd", min=0, help="So many US dollars more.")] = 0.0,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why. It is recorded.")],
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a run more, and raise its hard stops; servers on the same history know in seconds."""
    from budget_proxy.cli.output import console, facts, print_json

    with _engine(store) as engine:
        engine.run_status(run)  # a name that is mistyped extends nothing
        engine.extend_run(run, tokens=tokens, usd=usd, reason=reason, who="command line")
        found = engine.run_status(run)
    if as_json:
        print_json(found)
    else:
        console().print(facts(_facts(found)))


def _engine(store: str | None) -> Engine:
    from budget_proxy.assemble import Engine
    from budget_proxy.cli.options import store_url

    return Engine.open(store_url(store))


def _list(found: RunList) -> None:
    from budget_proxy.analytics.rendering.blocks import visible
    from budget_proxy.cli.output import NONE, bar, console, short, table
    from budget_proxy.ledger.limits import runs_of

    out = console()
    if not found.runs:
        out.print("No call has named a run: x-budget-run, or with budget(run=...).")
        return
    ascii_only = not out.encoding.lower().startswith("utf")
    rows = []
    for one in found.runs:
        told = one.forecast
        *above, run = runs_of(one.run)
        hard = [stop for stop in one.hard if stop.unit == "tokens" and stop.run == one.run]
        rows.append([
            "  " * len(above) + (run.removeprefix(f"{above[-1]}/") if above else run),
            one.agent,
            " ".join([one.state, *(f"!{kind}" for kind in _kinds(one))]),
            bar(one.tokens / max(told.p90, 1.0), _BAR, ascii_only=ascii_only).ljust(_BAR, "."),
            short(one.turns),
            short(one.tokens),
            "..".join(short(_coarse(tokens)) for tokens in (told.p10, told.p50, told.p90)),
            NONE if one.soft_tokens is None else short(one.soft_tokens),
            short(min(stop.size for stop in hard)) if hard else NONE,
        ])  # fmt: skip
    columns = (
        "run", "agent", "state", "of p90", "calls", "tokens", "p10..p50..p90", "soft", "hard",
    )  # fmt: skip
    out.print(table("Runs", columns, rows, left=4))
    if found.next is not None:
        out.print(f"More: budget-proxy runs --after {visible(found.next)}")


def _coarse(tokens: float) -> float:
    """Two digits that count: a forecast tells no more."""
    return float(f"{tokens:.2g}")


def _kinds(one: RunStatus) -> list[str]:
    return list(dict.fromkeys(alarm.kind for alarm in one.alarms))


def _facts(one: RunStatus) -> dict[str, str]:
    from budget_proxy.cli.output import NONE, dollars, moment, whole

    told, turns = one.forecast, one.forecast_turns
    unpriced = f" ({one.unpriced} calls without a price, at the dearest)" if one.unpriced else ""
    rows = {
        "run": one.run,
        "part of": one.parent or NONE,
        "agent": one.agent,
        "state": one.state,
        "calls": whole(one.turns),
        "tokens": f"{whole(one.tokens)} ({whole(one.output_tokens)} output)",
        "cost": f"{dollars(one.usd)}{unpriced}",
        "forecast": f"{whole(told.p50)} tokens ({whole(told.p10)} to {whole(told.p90)})",
        "forecast of calls": f"{whole(turns.p50)} ({whole(turns.p10)} to {whole(turns.p90)})",
        "grounds": "; ".join(one.grounds),
        "soft budget": _soft(one),
        "basis": one.basis,
    }
    for number, stop in enumerate(one.hard, start=1):
        size, left = (
            (dollars(stop.size), dollars(stop.left))
            if stop.unit == "usd"
            else (f"{whole(stop.size)} {stop.unit}", whole(stop.left))
        )
        rows[f"hard stop {number}"] = f"{size} for {stop.run} by limit {stop.limit}, {left} left"
    for number, given in enumerate(one.granted, start=1):
        more = f"{whole(given.tokens)} tokens" if given.tokens else dollars(given.usd)
        rows[f"extension {number}"] = f"{more} by {given.who}, {moment(given.ts)}: {given.reason}"
    for number, alarm in enumerate(one.alarms, start=1):
        rows[f"alarm {number}"] = f"{alarm.kind}, {moment(alarm.ts)}"
    return rows


def _soft(one: RunStatus) -> str:
    from budget_proxy.cli.output import NONE, dollars, whole

    parts = []
    if one.soft_tokens is not None and one.left_tokens is not None:
        parts.append(f"{whole(one.soft_tokens)} tokens, {whole(one.left_tokens)} left")
    if one.soft_usd is not None and one.left_usd is not None:
        parts.append(f"{dollars(one.soft_usd)}, {dollars(one.left_usd)} left")
    return "; ".join(parts) or NONE
