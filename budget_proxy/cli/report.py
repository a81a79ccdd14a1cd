"""``budget-proxy report``: how budgets fitted, what was spent and cut, and what has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from budget_proxy.cli.options import AsJson, StoreUrl, Zone, open_history, seconds_of, zone_of

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from budget_proxy.analytics.efficiency import By
    from budget_proxy.analytics.rendering.blocks import Bars, Block
    from budget_proxy.analytics.report import Report
    from budget_proxy.store.base import Store

_BY: Final[dict[str, By]] = {"agent": "agent", "task": "task", "model": "model", "group": "group"}
_FORMATS: Final = ("table", "json", "markdown", "html")
_SUFFIXES: Final = {".json": "json", ".md": "markdown", ".html": "html", ".htm": "html"}
_BAR: Final = 40
_HEIGHT: Final = 10
_EMPTY: Final = """\
The history is empty. To fill it:
  import past calls     budget-proxy import FILE.jsonl.gz
  wrap a client         from budget_proxy import wrap; client = wrap(openai.OpenAI())
  or run the proxy      budget-proxy serve, and point base_url at http://127.0.0.1:4141/v1
After 20 calls of an agent and model their budgets are acted on."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="report")(report)


def report(
    *,
    by: Annotated[
        str, typer.Option("--by", metavar="agent|task|model|group", help="How calls are grouped.")
    ] = "agent",
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="SPAN", help="Only the last 90s, 30m, 24h, 7d or 2w."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="|".join(_FORMATS),
            help="table (for a terminal), json, markdown, or html: one file, with plots. Else by "
            "the name that --out gives.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE",
            help="Write it there, and keep in mind that it was made: the next one tells what has "
            "changed since.",
        ),
    ] = None,
    zone: Zone = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show how budgets fitted, whether promises held, who spends, what is cut, what changed."""
    from budget_proxy.analytics.report import keep, make_report
    from budget_proxy.errors import InvalidInput

    if by not in _BY:
        raise InvalidInput(f"--by must be one of {', '.join(_BY)}, not {by!r}")
    chosen = _form(form, out, as_json=as_json)
    place, now = zone_of(zone), time.time()
    start = None if since is None else now - seconds_of(since)
    history = open_history(store, existing=True)
    try:
        found = make_report(history, now=now, zone=place, since=start, by=_BY[by])
        if out is None:
            _show(found, _BY[by], history, chosen)
        else:
            _write(out, _text(found, _BY[by], history.url, chosen))
            keep(history, found)
    finally:
        history.close()


def _form(form: str | None, out: Path | None, *, as_json: bool) -> str:
    """The format that was asked for, or that a file's name tells. Raises InvalidInput."""
    from budget_proxy.errors import InvalidInput

    if form is not None and form not in _FORMATS:
        raise InvalidInput(f"--format must be one of {', '.join(_FORMATS)}, not {form!r}")
    if as_json and form not in {None, "json"}:
        raise InvalidInput(f"--json and --format {form} ask for two things: leave one out")
    if form is None and as_json:
        form = "json"
    if out is not None:
        form = form or _SUFFIXES.get(out.suffix.lower())
        if form in {None, "table"}:
            raise InvalidInput(f"name a file that ends in .html, .md or .json, not {out.name!r}")
    return form or "table"


def _show(found: Report, by: By, history: Store, form: str) -> None:
    from budget_proxy.cli.output import console, whole

    if form != "table":
        typer.echo(_text(found, by, history.url, form), nl=False)
        return
    out = console()
    if found.efficiency.overall.attempts:
        _print(out, found, by, history.url)
    elif rows := history.counts()["calls"]:
        out.print(
            f"No calls in this span; the history {history.url} has {whole(rows)} rows in all."
        )
    else:
        out.print(f"History: {history.url}\n{_EMPTY}", soft_wrap=True)


def _text(found: Report, by: By, url: str, form: str) -> str:
    from budget_proxy.analytics.rendering.document import document, span
    from budget_proxy.analytics.rendering.markdown import markdown
    from budget_proxy.analytics.rendering.page import page
    from budget_proxy.cli.output import json_text

    if form == "json":
        return json_text({"store": url, **found.plain()})
    write = markdown if form == "markdown" else page
    return write("Token budgets", span(found), document(found, by))


def _print(out: Console, found: Report, by: By, url: str) -> None:
    from budget_proxy.analytics.rendering.document import document, span

    out.print(f"History {url}", soft_wrap=True)
    out.print(span(found))
    ascii_only = not out.encoding.lower().startswith("utf")
    for block in document(found, by):
        shown = _shown(block, ascii_only=ascii_only)
        if shown is not None:
            out.print()
            out.print(shown)


def _shown(block: Block, *, ascii_only: bool) -> Any:
    """What a terminal shows of a block; ``None`` where a table beside it tells the same."""
    from budget_proxy.analytics.rendering import blocks
    from budget_proxy.cli.output import facts, table

    shown: Any = None
    match block:
        case blocks.Facts(rows):
            shown = facts(dict(rows))
        case blocks.Table(title, columns, rows, left):
            shown = table(title, columns, rows, left=left)
        case blocks.Note(text):
            shown = text
        case blocks.Bars(kind="used"):
            shown = _distribution(block, ascii_only=ascii_only)
        case blocks.Bars(title, _, _, names, values, number):
            shown = _plot(title, values, names, number, bars=True, ascii_only=ascii_only)
        case blocks.Lines(title, names, series, number):
            shown = _plot(title, series[0][1], names, number, bars=False, ascii_only=ascii_only)
    return shown


def _distribution(block: Bars, *, ascii_only: bool) -> Table:
    from budget_proxy.cli.output import bar, table, whole

    most = max(value or 0.0 for value in block.values)
    rows = [
        (name, bar((value or 0.0) / most, _BAR, ascii_only=ascii_only), whole(value))
        for name, value in zip(block.names, block.values, strict=True)
    ]
    return table(block.title, (block.kind, "", block.unit), rows, left=2)


def _plot(
    title: str,
    values: Sequence[float | None],
    names: Sequence[str],
    number: Callable[[float], str],
    *,
    bars: bool,
    ascii_only: bool,
) -> str:
    from budget_proxy.cli.plot import plot

    drawn = plot(values, names, number, bars=bars, height=_HEIGHT, ascii_only=ascii_only)
    return f"{title}\n\n{drawn}"


def _write(out: Path, text: str) -> None:
    from budget_proxy.errors import ConfigError

    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror or error}") from None
