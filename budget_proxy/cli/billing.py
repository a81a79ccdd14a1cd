"""``budget-proxy billing``: providers' bills, imported and compared with the history."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from budget_proxy.cli.answer import answer, format_of
from budget_proxy.cli.options import AsJson, Form, Out, StoreUrl, open_history

if TYPE_CHECKING:
    from budget_proxy.cli.billed import Summary


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    group = typer.Typer(
        help="Providers' bills beside the history.", no_args_is_help=True, rich_markup_mode=None
    )
    group.callback()(_group)
    group.command(name="import")(import_)
    group.command(name="reconcile")(reconcile)
    group.command(name="list")(list_)
    app.add_typer(group, name="billing")


def _group() -> None:
    """Providers' bills beside the history."""


def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Exports of costs or of usage.")
    ],
    *,
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="NAME",
            help="auto (by content), openai-costs, openai-usage, anthropic-costs, "
            "anthropic-usage or plain.",
        ),
    ] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check everything, but write nothing.")
    ] = False,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take what providers billed into the history, in place of earlier exports of the same days."""
    from budget_proxy.cli.billed import taken
    from budget_proxy.cli.output import print_json

    history = open_history(store)
    try:
        summary = taken(history, files, format_, dry_run=dry_run)
    finally:
        history.close()
    if as_json:
        print_json(asdict(summary))
    else:
        _show(summary)
    if summary.read and summary.read == summary.skipped:
        raise typer.Exit(1)  # nothing of it could be taken


def reconcile(
    *,
    month: Annotated[
        str | None,
        typer.Option(
            "--month", metavar="MONTH", help="Such as 2026-10; else that of the newest bill."
        ),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option("--provider", metavar="NAME", help="Only this provider: openai, anthropic."),
    ] = None,
    form: Form = None,
    out: Out = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Compare a month's bill with the history by day and model, and say why they differ."""
    from budget_proxy.analytics.billing.asked import plain, reconciled
    from budget_proxy.analytics.rendering.billing import billing
    from budget_proxy.settings import load
    from budget_proxy.wire.prices import prices_of

    told = format_of(form, out, as_json=as_json)
    prices = prices_of(load())
    history = open_history(store, existing=True)
    try:
        found = reconciled(history, prices, month, provider)
    finally:
        history.close()
    answer(told, out, lambda: plain(found, history.url), lambda: billing(found, history.url))


def list_(
    *, form: Form = None, out: Out = None, store: StoreUrl = None, as_json: AsJson = False
) -> None:
    """List the bills that were imported, file by file."""
    from budget_proxy.analytics.billing.asked import all_lines, imports
    from budget_proxy.analytics.rendering.billing import imported

    told = format_of(form, out, as_json=as_json)
    history = open_history(store, existing=True)
    try:
        found = imports(all_lines(history))
    finally:
        history.close()
    answer(
        told, out, lambda: {"store": history.url, "bills": found},
        lambda: imported(found, history.url),
    )  # fmt: skip


def _show(summary: Summary) -> None:
    from budget_proxy.analytics.rendering.blocks import named
    from budget_proxy.cli.exports import show
    from budget_proxy.cli.output import whole

    show(
        summary,
        f"{whole(summary.read)} rows read, {whole(summary.skipped)} left out; "
        f"{whole(summary.written)} lines {summary.verb}, {whole(summary.unchanged)} already there.",
        (
            f"Replaced: {whole(gone.lines)} lines of {named(gone.provider)} {gone.report}, "
            f"{gone.first} to {gone.last}, which came from {named(gone.file)}."
            for gone in summary.replaced
        ),
    )
