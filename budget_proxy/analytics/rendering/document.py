"""A report in words and numbers: the blocks that terminal, Markdown and HTML all show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from zoneinfo import ZoneInfo

from budget_proxy.analytics.efficiency import By
from budget_proxy.analytics.figures import Figures
from budget_proxy.analytics.numbers import NONE, dollars, moment, percent, short, whole
from budget_proxy.analytics.rendering.blocks import (
    MOST_ROWS,
    NAMES,
    Bars,
    Block,
    Facts,
    Heading,
    Lines,
    Note,
    Table,
    Tile,
    Tiles,
    named,
)
from budget_proxy.analytics.rendering.changed import changed
from budget_proxy.analytics.rendering.promised import promised
from budget_proxy.analytics.rendering.spent import cut, spent
from budget_proxy.analytics.report import Report
from budget_proxy.store.measures import USE_EDGES


def document(report: Report, by: By = "agent") -> list[Block]:
    """All of a report. Groups are ``by``; a report without calls has one note."""
    overall = report.efficiency.overall
    if not overall.attempts:
        return [Note("No calls in this time.")]
    return [
        Facts(tuple(facts(overall).items())),
        *_success(report),
        *_course(report),
        *_efficiency(report, by),
        *promised(report, by),
        *spent(report, by),
        *cut(report),
        *changed(report),
    ]


def span(report: Report) -> str:
    """The time that a report is about, in its zone."""
    zone = ZoneInfo(report.zone)
    start = report.efficiency.start if report.since is None else report.since
    end = report.until or (report.efficiency.end if report.since is None else report.made)
    return f"{moment(start, zone)} to {moment(end, zone)} {report.zone}"


def facts(all_: Figures) -> dict[str, str]:
    """A history in a dozen lines."""
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
    if not all_.measured:
        return {"Use of budgets": "not measured: no answer yet that had a budget before it"}
    known = _known(all_, all_.promised)
    return {
        "Use of budgets": f"{percent(all_.utilisation)} on average, "
        f"efficiency {percent(all_.efficiency)} (attainable "
        f"{percent(all_.attainable_efficiency)}){_known(all_, all_.expected)}",
        "Accuracy": f"{percent(all_.accuracy)} used 50-95 % (attainable "
        f"{percent(all_.attainable)}), {percent(all_.over_allocated)} less "
        f"({percent(all_.attainable_over)}), {percent(all_.under_allocated)} more "
        f"({percent(all_.attainable_under)}){known}",
    }


def _known(all_: Figures, count: int) -> str:
    """Of how many calls it is known what was attainable, unless of all that were measured."""
    return "" if count == all_.measured else f"; attainable of {whole(count)}"


def _cost(figures: Figures) -> str:
    if figures.priced_share is None:
        return NONE
    if figures.cost is not None:
        return dollars(figures.cost)
    if not figures.priced:
        return f"unknown: {figures.unpriced:,} attempts have no known price"
    known = f"{dollars(figures.priced_cost)} for {percent(figures.priced_share)} of the attempts"
    return f"{known}; {figures.unpriced:,} have no known price"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _success(report: Report) -> Iterator[Block]:
    if not report.efficiency.overall.measured:
        return
    yield Tiles(
        tuple(
            Tile(
                one.name,
                percent(one.value),
                f"attainable {percent(one.attainable)}, target {percent(one.target)}"
                if one.attainable is not None
                else f"target {percent(one.target)}",
            )
            for one in report.success
        )
    )
    rows = tuple(
        (
            one.name, percent(one.value), percent(one.attainable), percent(one.baseline),
            percent(one.target), percent(one.stretch), one.reached or "",
        )
        for one in report.success
    )  # fmt: skip
    columns = ("figure", "reached", "attainable", "baseline", "target", "stretch", "meets")
    yield Table("Budgets against their targets", columns, rows)


def _course(report: Report) -> Iterator[Block]:
    course = report.course
    if len(course) < 2:  # noqa: PLR2004 (one point is no course)
        return
    yield Heading("Over time")
    names, per = tuple(one.name for one in course), f"by {report.unit}"
    calls = tuple(float(one.calls) for one in course)
    yield Bars(f"Calls {per}", report.unit, "calls", names, calls, short)
    if any(one.cost for one in course):
        costs = tuple(one.cost for one in course)
        yield Bars(f"Cost {per}", report.unit, "cost", names, costs, dollars)
    if any(one.accuracy is not None for one in course):
        accuracy = ("accuracy", tuple(one.accuracy for one in course))
        attainable = ("attainable", tuple(one.attainable for one in course))
        yield Lines(f"Accuracy {per}", names, (accuracy, attainable), percent)
    if any(one.truncated for one in course):
        cut = ("truncated", tuple(one.truncated for one in course))
        yield Lines(f"Share of the attempts that were cut, {per}", names, (cut,), _fine)


def _efficiency(report: Report, by: By) -> Iterator[Block]:
    found = report.efficiency
    groups = found.groups(by)
    yield Heading("Efficiency")
    columns = ("calls", "output", "cost", "use", "acc.", "att.", "over", "under", "cut")
    rows = tuple(
        (
            named(*one.group), short(one.calls), short(one.output_tokens), dollars(one.cost),
            percent(one.utilisation), percent(one.accuracy), percent(one.attainable),
            percent(one.over_allocated), percent(one.under_allocated), short(one.truncated),
        )
        for one in groups[:MOST_ROWS]
    )  # fmt: skip
    yield Table("Groups", (NAMES[by], *columns), rows)
    if len(groups) > MOST_ROWS:
        yield Note(f"and {len(groups) - MOST_ROWS} more groups: --json has them all")
    if found.overall.measured:
        counts = tuple(float(count) for count in found.overall.uses)
        title = "Output used of the recommended budget"
        yield Bars(title, "used", "calls", tuple(_use_names()), counts, whole)


def _use_names() -> Iterator[str]:
    edges = [f"{100 * edge:.0f}" for edge in USE_EDGES]
    yield f"under {edges[0]} %"
    yield from (f"{low}-{high} %" for low, high in pairwise(edges))
    yield f"over {edges[-1]} %"


def _fine(share: float | None) -> str:
    return percent(share, 1)
