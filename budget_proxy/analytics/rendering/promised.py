"""The part of a report on promises: calibration by level and by group, reliability by tenths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from budget_proxy.analytics.calibration import Coverage
from budget_proxy.analytics.efficiency import By
from budget_proxy.analytics.figures import Figures
from budget_proxy.analytics.numbers import NONE, percent, short
from budget_proxy.analytics.rendering.blocks import (
    MOST_ROWS,
    NAMES,
    Block,
    Heading,
    Note,
    Point,
    Promises,
    Table,
    named,
)
from budget_proxy.analytics.report import Report


def promised(report: Report, by: By) -> Iterator[Block]:
    """Whether quantiles and confidence held; nothing where no forecast was calibrated."""
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
