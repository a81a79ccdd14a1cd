"""A report in words and numbers: the blocks that terminal, Markdown and HTML all show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from budget_proxy.analytics.calibration import Coverage
from budget_proxy.analytics.changes import Change, Comparison
from budget_proxy.analytics.efficiency import By
from budget_proxy.analytics.figures import Figures
from budget_proxy.analytics.numbers import NONE, dollars, moment, percent, short, whole
from budget_proxy.analytics.rendering.blocks import (
    Bars,
    Block,
    Facts,
    Heading,
    Lines,
    Note,
    Point,
    Promises,
    Table,
    Tile,
    Tiles,
    named,
)
from budget_proxy.analytics.report import Report
from budget_proxy.analytics.spenders import Spender
from budget_proxy.store.measures import USE_EDGES

MOST_ROWS: Final = 20
NAMES: Final[Mapping[By, str]] = {
    "agent": "Agent", "task": "Task type", "model": "Model", "group": "Agent / task / model",
}  # fmt: skip
_MOVED: Final = 10
_CALL_ID: Final = 36
_TOTALS: Final[Mapping[str, Callable[[float | None], str]]] = {
    "calls_a_day": short, "output_tokens_a_day": short, "cost_a_day": dollars,
}  # fmt: skip


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
        *_calibration(report, by),
        *_spending(report, by),
        *_cut(report),
        *_changes(report),
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
    return {
        "Use of budgets": f"{percent(all_.utilisation)} on average, "
        f"efficiency {percent(all_.efficiency)}",
        "Accuracy": f"{percent(all_.accuracy)} used 50-95 % (attainable "
        f"{percent(all_.attainable)}), {percent(all_.over_allocated)} less "
        f"({percent(all_.attainable_over)}), {percent(all_.under_allocated)} more "
        f"({percent(all_.attainable_under)})",
    }


def _cost(figures: Figures) -> str:
    if figures.priced_share is None:
        return NONE
    if figures.cost is not None:
        return dollars(figures.cost)
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


def _calibration(report: Report, by: By) -> Iterator[Block]:
    overall = report.efficiency.overall
    if not any(level.n for level in overall.calibration):
        return
    yield Heading("Calibration")
    yield _levels(overall, report.efficiency.groups(by), by)
    known = [one for one in report.reliability if one.n]
    if known:
        yield Table(
            "Reliability: of the calls with such a confidence, how many used 50-95 %",
            ("confidence", "n", "promised", "held", "95 % interval"),
            tuple(
                (
                    f"{percent(one.start)} to {percent(one.end)}", short(one.n),
                    percent(one.promised, 1), ("" if one.holds else "*") + percent(one.held, 1),
                    f"{100 * (one.low or 0):.1f}-{100 * (one.high or 0):.1f}",
                )
                for one in known
            ),
        )  # fmt: skip
        off = 100 * (report.confidence_error or 0.0)
        yield Note(f"Confidence is off by {off:.1f} points on average.")
    yield Note("* the promise lies outside of the 95 % interval (Wilson's)")
    yield _diagram("Quantiles", "promised level", "answers within it", _quantiles(overall))
    if known:
        points = (
            Point(one.promised or 0, one.held or 0, one.low or 0, one.high or 0, one.n)
            for one in known
        )
        yield _diagram("Confidence", "promised", "used 50-95 %", points)


def _diagram(title: str, promised: str, held: str, points: Iterator[Point]) -> Promises:
    return Promises(title, promised, held, tuple(points))


def _quantiles(overall: Figures) -> Iterator[Point]:
    for one in overall.calibration:
        if one.realised is not None and one.low is not None and one.high is not None:
            yield Point(one.level, one.realised, one.low, one.high, one.n)


def _levels(all_: Figures, groups: Sequence[Figures], by: By) -> Table:
    levels = [f"{100 * item.level:.0f}" for item in all_.calibration]
    known = [one for one in groups[:MOST_ROWS] if any(item.n for item in one.calibration)]
    rows = (
        ("promised", "", *levels),
        _realised("all", all_),
        ("  95 % interval", "", *(_interval(item) for item in all_.calibration)),
        *(_realised(named(*one.group), one) for one in known),
    )
    columns = (NAMES[by], "n", *(f"q{level}" for level in levels))
    return Table("Calibration: share of the answers within each quantile, in %", columns, rows)


def _interval(item: Coverage) -> str:
    if item.low is None or item.high is None:
        return NONE
    return f"{100 * item.low:.0f}-{100 * item.high:.0f}"


def _realised(name: str, figures: Figures) -> tuple[str, ...]:
    cells = [name, short(max(item.n for item in figures.calibration))]
    for item in figures.calibration:
        if item.realised is None or item.low is None or item.high is None:
            cells.append(NONE)
        else:
            mark = "" if item.low <= item.level <= item.high else "*"
            cells.append(f"{mark}{100 * item.realised:.0f}")
    return tuple(cells)


def _spending(report: Report, by: By) -> Iterator[Block]:
    yield Heading("Spending")
    ways: tuple[By, ...] = ("agent", "task", "model")
    chosen = sorted(ways, key=lambda way: way != by)
    for way in chosen:
        found = report.spenders[way]
        if found:
            yield _spenders(found, way)


def _spenders(found: Sequence[Spender], by: By) -> Table:
    told = any(one.cost_before is not None for one in found)
    columns = ("calls", "cost", "share", "tokens", "share", *(["cost before"] if told else []))
    rows = tuple(
        (
            named(*one.group), short(one.calls), _spent(one), percent(one.cost_share),
            short(one.tokens), percent(one.token_share),
            *([dollars(one.cost_before)] if told else []),
        )
        for one in found
    )  # fmt: skip
    return Table(f"Top spenders by {NAMES[by].lower()}", (NAMES[by], *columns), rows)


def _spent(one: Spender) -> str:
    """What is known to be spent; more than that where prices are unknown."""
    if one.unpriced:
        return f">{dollars(one.cost)}" if one.cost else NONE
    return dollars(one.cost)


def _cut(report: Report) -> Iterator[Block]:
    found = report.truncations
    if not found.groups:
        return
    yield Heading("Truncations")
    columns = ("cut", "share", "by us", "resent", "tokens", "cost")
    rows = tuple(
        (
            named(*one.group), short(one.truncated), _fine(one.share), short(one.by_us),
            short(one.resent), short(one.tokens), dollars(one.cost),
        )
        for one in found.groups
    )  # fmt: skip
    yield Table("Where answers were cut, the dearest first", (NAMES["group"], *columns), rows)
    yield Note("Tokens and cost are those of the cut answers: paid, and ended in the middle.")
    zone = ZoneInfo(report.zone)
    calls = tuple(
        (
            named(one.call_id)[:_CALL_ID],
            moment(one.ts, zone)[5:],
            "us" if one.by_us else "caller",
            short(one.ceiling),
            short(one.output_tokens),
            short(one.recommended),
        )
        for one in found.newest
    )
    columns = ("call", "when", "cap of", "cap", "output", "budget")
    yield Table("The newest cut answers", columns, calls, left=3)


def _changes(report: Report) -> Iterator[Block]:
    pairs = [
        ("Since the last report", report.since_last),
        ("Beside the time before", report.previous),
    ]
    shown = False
    for title, found in pairs:
        if found is None or (shown and found == report.since_last):
            continue
        if not shown:
            yield Heading("What changed")
        shown = True
        yield from _comparison(title, found, ZoneInfo(report.zone))
    if shown:
        yield Note(
            "* beyond noise: the 95 % interval of the difference is on one side of 0; of twenty "
            "measures that have not changed about one is marked. Groups are held to a stricter "
            "bound, since there are many."
        )


def _comparison(title: str, found: Comparison, zone: ZoneInfo) -> Iterator[Block]:
    spans = [
        f"{moment(one.start, zone)} to {moment(one.end, zone)}"
        for one in (found.before, found.after)
    ]
    yield Note(f"{title}: {spans[0]}, then {spans[1]}.")
    rows = tuple(
        _changed(change.measure, change)
        for change in found.changes
        if change.difference is not None
    )
    columns = ("measure", "before", "after", "change", "95 % interval")
    yield Table(title, columns, rows)
    if found.moved:
        moved = tuple(
            _changed(f"{named(*one.group)}: {one.change.measure}", one.change)
            for one in found.moved[:_MOVED]
        )
        yield Table("Groups that changed beyond noise", ("group and measure", *columns[1:]), moved)
    for word, groups in (("New", found.new), ("Gone", found.gone)):
        if groups:
            names = ", ".join(named(*group) for group in groups[:_MOVED])
            more = f" and {len(groups) - _MOVED} more" if len(groups) > _MOVED else ""
            yield Note(f"{word}: {names}{more}.")


def _changed(name: str, change: Change) -> tuple[str, ...]:
    number = _TOTALS.get(change.measure, _fine)
    mark = "*" if change.beyond_noise else ""
    between = NONE
    if change.low is not None and change.high is not None:
        between = f"{_signed(number, change.low)} to {_signed(number, change.high)}"
    return (
        name.replace("_", " ") if name == change.measure else name,
        number(change.before),
        number(change.after),
        mark + _signed(number, change.difference or 0.0),
        between,
    )


def _signed(number: Callable[[float | None], str], value: float) -> str:
    text = number(abs(value))
    if text == number(0.0):
        return text
    return f"+{text}" if value > 0 else f"-{text}"


def _fine(share: float | None) -> str:
    return percent(share, 1)
