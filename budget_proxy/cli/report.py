"""``budget-proxy report``: how well budgets fitted, from the history."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Final

import typer

from budget_proxy.cli.options import AsJson, StoreUrl, open_history, seconds_of

if TYPE_CHECKING:
    from rich.table import Table

    from budget_proxy.analytics.calibration import Coverage
    from budget_proxy.analytics.efficiency import By, EfficiencyReport
    from budget_proxy.analytics.figures import Figures

_BY: Final[dict[str, By]] = {"agent": "agent", "task": "task", "model": "model", "group": "group"}
_NAMES: Final = {
    "agent": "Agent", "task": "Task type", "model": "Model", "group": "Agent / task / model",
}  # fmt: skip
_MOST_ROWS: Final = 20
_BAR: Final = 40
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
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show use, accuracy, cost, truncations and calibration of the history."""
    from budget_proxy.analytics.efficiency import efficiency_report
    from budget_proxy.cli.output import print_json
    from budget_proxy.errors import InvalidInput

    if by not in _BY:
        raise InvalidInput(f"--by must be one of {', '.join(_BY)}, not {by!r}")
    start = None if since is None else time.time() - seconds_of(since)
    history = open_history(store, existing=True)
    found = efficiency_report(history.sums(start=start))
    url, rows = history.url, history.counts()["calls"]
    history.close()
    if as_json:
        names = [item.name for item in fields(found)]
        values = {name: getattr(found, name) for name in names}
        print_json({"store": url, "since": start, **values})
    else:
        _show(found, _BY[by], url, rows)


def _show(found: EfficiencyReport, by: By, url: str, rows: int) -> None:
    from budget_proxy.cli.output import console, facts, moment, whole

    out = console()
    if not found.overall.attempts:
        if rows:
            out.print(f"No calls in this span; the history {url} has {whole(rows)} rows in all.")
        else:
            out.print(f"History: {url}\n{_EMPTY}", soft_wrap=True)
        return
    out.print(f"History {url}", soft_wrap=True)
    out.print(f"{moment(found.start)} to {moment(found.end)} UTC\n")
    out.print(facts(_overall(found.overall)))
    groups = found.groups(by)
    out.print()
    out.print(_groups(groups, by))
    if len(groups) > _MOST_ROWS:
        out.print(f"and {len(groups) - _MOST_ROWS} more groups: --json has them all")
    if found.overall.measured:
        ascii_only = not out.encoding.lower().startswith("utf")
        out.print()
        out.print(_distribution(found.overall, ascii_only=ascii_only))
    if any(level.n for level in found.overall.calibration):
        out.print()
        out.print(_calibration(found.overall, groups, by))
        out.print("* the promise lies outside of the 95 % interval (Wilson's)")


def _overall(all_: Figures) -> dict[str, str]:
    from budget_proxy.cli.output import percent, short, whole

    rows = {
        "Calls": f"{whole(all_.calls)} ({whole(all_.attempts)} attempts, {all_.failed} failed)",
        "Tokens": f"{short(all_.input_tokens)} input, {short(all_.output_tokens)} output "
        f"({short(all_.reasoning_tokens)} reasoning)",
        "Cost": _cost(all_),
        **_use(all_),
        "Truncated": f"{all_.truncated} attempts, {all_.truncated_by_us} by our cap, "
        f"{all_.resent} calls sent again",
        "Usage": f"{percent(all_.estimated_share)} of the attempts estimated, the rest exact",
        "Modes": _counts(all_.modes),
        "Arms": _counts(all_.arms),
    }
    if all_.untold:
        rows["Left out"] = f"{whole(all_.untold)} calls whose cap lay below their budget"
    return rows


def _use(all_: Figures) -> dict[str, str]:
    from budget_proxy.cli.output import percent

    if not all_.measured:
        return {"Use of budgets": "not measured: no answer yet that had a budget before it"}
    return {
        "Use of budgets": f"{percent(all_.utilisation)} on average, "
        f"efficiency {percent(all_.efficiency)}",
        "Accuracy": f"{percent(all_.accuracy)} used 50-95 % (attainable "
        f"{percent(all_.attainable)}), {percent(all_.over_allocated)} less, "
        f"{percent(all_.under_allocated)} more",
    }


def _cost(figures: Figures) -> str:
    from budget_proxy.cli.output import NONE, dollars, percent

    if figures.priced_share is None:
        return NONE
    if figures.cost is not None:
        return dollars(figures.cost)
    known = f"{dollars(figures.priced_cost)} for {percent(figures.priced_share)} of the attempts"
    return f"{known}; {figures.unpriced:,} have no known price"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _groups(groups: tuple[Figures, ...], by: By) -> Table:
    from budget_proxy.cli.output import dollars, percent, short, table

    columns = ("calls", "output", "cost", "use", "acc.", "att.", "over", "under", "cut")
    rows = [
        (
            " / ".join(one.group),
            short(one.calls),
            short(one.output_tokens),
            dollars(one.cost),
            percent(one.utilisation),
            percent(one.accuracy),
            percent(one.attainable),
            percent(one.over_allocated),
            percent(one.under_allocated),
            short(one.truncated),
        )
        for one in groups[:_MOST_ROWS]
    ]
    return table("Groups", (_NAMES[by], *columns), rows)


def _distribution(all_: Figures, *, ascii_only: bool) -> Table:
    from budget_proxy.cli.output import bar, table, whole
    from budget_proxy.store.measures import USE_EDGES

    edges = [f"{100 * edge:.0f}" for edge in USE_EDGES]
    names = [f"{low}-{high} %" for low, high in pairwise(edges)]
    names = [f"under {edges[0]} %", *names, f"over {edges[-1]} %"]
    most = max(all_.uses)
    rows = [
        (name, bar(count / most, _BAR, ascii_only=ascii_only), whole(count))
        for name, count in zip(names, all_.uses, strict=True)
    ]
    return table("Output used of the recommended budget", ("used", "", "calls"), rows, left=2)


def _calibration(all_: Figures, groups: tuple[Figures, ...], by: By) -> Table:
    from budget_proxy.cli.output import table

    levels = [f"{100 * item.level:.0f}" for item in all_.calibration]
    known = [one for one in groups[:_MOST_ROWS] if any(item.n for item in one.calibration)]
    rows = [
        ("promised", "", *levels),
        _realised("all", all_),
        ("  95 % interval", "", *(_interval(item) for item in all_.calibration)),
        *(_realised(" / ".join(one.group), one) for one in known),
    ]
    columns = (_NAMES[by], "n", *(f"q{level}" for level in levels))
    return table("Calibration: share of the answers within each quantile, in %", columns, rows)


def _interval(item: Coverage) -> str:
    if item.low is None or item.high is None:
        return "-"
    return f"{100 * item.low:.0f}-{100 * item.high:.0f}"


def _realised(name: str, figures: Figures) -> tuple[str, ...]:
    from budget_proxy.cli.output import short

    cells = [name, short(max(item.n for item in figures.calibration))]
    for item in figures.calibration:
        if item.realised is None or item.low is None or item.high is None:
            cells.append("-")
        else:
            mark = "" if item.low <= item.level <= item.high else "*"
            cells.append(f"{mark}{100 * item.realised:.0f}")
    return tuple(cells)
