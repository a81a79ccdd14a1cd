"""``budget-proxy report``: how budgets fitted, what was spent and cut, and what has changed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from budget_proxy.cli.answer import answer, format_of
from budget_proxy.cli.options import (
    AsJson,
    Form,
    OnlyAgent,
    OnlyModel,
    OnlyTaskType,
    StoreUrl,
    Zone,
    only,
    open_history,
    seconds_of,
    zone_of,
)

if TYPE_CHECKING:
    from budget_proxy.analytics.efficiency import By
    from budget_proxy.analytics.rendering.blocks import Document
    from budget_proxy.analytics.report import Report
    from budget_proxy.store.base import Store

_BY: Final[dict[str, By]] = {"agent": "agent", "task": "task", "model": "model", "group": "group"}
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
    agent: OnlyAgent = None,
    task_type: OnlyTaskType = None,
    model: OnlyModel = None,
    form: Form = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE",
            help="Write it there, and keep in mind that it was made, if it is about all calls: "
            "the next one tells what has changed since.",
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
    chosen = format_of(form, out, as_json=as_json)
    where, place, now = only(agent, task_type, model), zone_of(zone), time.time()
    start = None if since is None else now - seconds_of(since)
    history = open_history(store, existing=True)
    try:
        found = make_report(history, now=now, zone=place, since=start, by=_BY[by], **where)
        if chosen == "table":
            _show(found, _BY[by], history, where)
        else:
            answer(
                chosen, out, lambda: {"store": history.url, **found.plain()},
                lambda: _document(found, _BY[by], history.url, where),
            )  # fmt: skip
        if out is not None and not where:
            keep(history, found)
    finally:
        history.close()


def _show(found: Report, by: By, history: Store, where: Mapping[str, str]) -> None:
    from budget_proxy.analytics.rendering.blocks import only as some
    from budget_proxy.cli.output import console, whole
    from budget_proxy.cli.screen import show

    out = console()
    if found.efficiency.overall.attempts:
        show(out, _document(found, by, history.url, where))
    elif rows := history.counts()["calls"]:
        out.print(
            f"No calls in this span{some(where)}; the history {history.url} has {whole(rows)} "
            "rows in all."
        )
    else:
        out.print(f"History: {history.url}\n{_EMPTY}", soft_wrap=True)


def _document(found: Report, by: By, url: str, where: Mapping[str, str]) -> Document:
    from budget_proxy.analytics.rendering.blocks import Document
    from budget_proxy.analytics.rendering.blocks import only as some
    from budget_proxy.analytics.rendering.document import document, span

    told = span(found) + some(where)
    sections = ((), *((block,) for block in document(found, by)))
    return Document("Token budgets", told, sections, head=(f"History {url}", told))
