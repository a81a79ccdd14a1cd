"""``budget-proxy doctor``: is everything in place? One line a check, with what to do about it."""

from __future__ import annotations

import typer

from budget_proxy.cli.options import AsJson, StoreUrl


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="doctor")(doctor)


def doctor(*, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Check settings, history, keys and libraries. Exits with 1 if a check fails."""
    from budget_proxy.cli.checks import CHECKS, Bench, Check
    from budget_proxy.cli.output import console, print_json

    bench = Bench(store)
    found: list[Check] = []
    try:
        for check in CHECKS:
            found += check(bench)
    finally:
        if bench.store is not None:
            bench.store.close()
    failed = any(check.state == "fail" for check in found)
    if as_json:
        print_json({"ok": not failed, "checks": found})
    else:
        out = console()
        for one in found:
            out.print(f"{one.state:<4}  {one.name}: {one.message}", soft_wrap=True)
            if one.advice:
                out.print(f"      {one.advice}", soft_wrap=True)
    raise typer.Exit(int(failed))
