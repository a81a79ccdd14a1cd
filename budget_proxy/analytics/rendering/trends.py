"""Trends in words and numbers: a measure over periods, their figures, and slopes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from budget_proxy.analytics.figures import Figures
from budget_proxy.analytics.numbers import NONE, dollars, percent, short
from budget_proxy.analytics.periods import Period
from budget_proxy.analytics.rendering.blocks import (
    Block,
    Courses,
    Document,
    Lines,
    Note,
    Table,
    named,
    only,
)
from budget_proxy.analytics.trends import Trend, TrendsReport
from budget_proxy.types import NOTHING

_ROWS: Final = 40
_COUNTS: Final = frozenset({"calls", "output_tokens", "budget"})
_CERTAIN: Final = Note("* certain: the 95 % interval of the slope is on one side of 0")


def trends(found: TrendsReport, measure: str, where: Mapping[str, str] = NOTHING) -> Document:
    """What happened to ``measure``, of all calls or by group; the figures beside it.

    ``where`` says which calls alone were asked for.
    """
    first, last = found.periods[0].name, found.periods[-1].name
    told = f"by {found.unit}, {first} to {last}, {found.zone}{only(where)}"
    sections = tuple(map(tuple, _sections(found, measure)))
    return Document("Trends", told, sections, head=(f"Trends {told}",) if where else ())


def _sections(found: TrendsReport, measure: str) -> Iterator[Sequence[Block]]:
    spans = found.periods
    title = measure.replace("_", " ")
    how = f"by {found.unit}, {found.zone}"
    if not any(figures.attempts for group in found.groups for figures in group.figures):
        yield [Note(f"No calls from {spans[0].name} to {spans[-1].name}.")]
        return
    if found.by is not None:
        yield [_by_group(found, measure, f"{title} {how}"), _CERTAIN]
        return
    (group,) = found.groups
    if any(value is not None for value in group.of(measure).values):
        yield [_line(f"{title} {how}", group.of(measure), spans, kind=found.unit)]
    else:
        yield [Note(f"{title}: nothing was measured from {spans[0].name} to {spans[-1].name}")]
    yield [_periods(group.figures, spans)]
    yield [_slopes(group.trends), _CERTAIN]


def _line(title: str, trend: Trend, spans: Sequence[Period], kind: str = "") -> Lines:
    names = tuple(span.name for span in spans)
    series = ((trend.measure.replace("_", " "), tuple(trend.values)),)
    return Lines(title, names, series, _number(trend.measure), kind)


def _periods(figures: Sequence[Figures], spans: Sequence[Period]) -> Table:
    rows = tuple(
        (
            span.name, short(one.calls), short(one.output_tokens), dollars(one.cost),
            short(one.budget), percent(one.efficiency), percent(one.attainable_efficiency),
            percent(one.accuracy), percent(one.attainable), short(one.truncated),
        )
        for span, one in list(zip(spans, figures, strict=True))[-_ROWS:]
    )  # fmt: skip
    columns = ("calls", "output", "cost", "budget", "eff.", "att.", "acc.", "att.", "cut")
    return Table(f"The last {len(rows)} of {len(spans)} periods", ("Period", *columns), rows)


def _slopes(found: Sequence[Trend]) -> Table:
    rows = tuple((trend.measure.replace("_", " "), *_slope(trend)) for trend in found)
    return Table("Trends", ("measure", "trend", "change a period", "95 % interval"), rows, left=2)


def _by_group(found: TrendsReport, measure: str, title: str) -> Courses:
    rows = tuple(
        (
            named(*group.group),
            short(sum(one.calls for one in group.figures)),
            *_slope(group.of(measure)),
        )
        for group in found.groups
    )
    lines = tuple(
        _line(named(*group.group), group.of(measure), found.periods) for group in found.groups
    )
    columns = ("group", "calls", "trend", "a period", "95 % interval")
    return Courses(Table(title, columns, rows), lines)


def _slope(trend: Trend) -> tuple[str, str, str]:
    line = trend.line
    if line is None:
        return trend.direction, NONE, NONE
    number = _change(trend.measure)
    mark = "*" if trend.certain else ""
    if line.low is None or line.high is None:
        return trend.direction, number(line.slope), NONE
    interval = f"{number(line.low)} to {number(line.high)}"
    return f"{mark}{trend.direction}", number(line.slope), interval


def _number(measure: str) -> Callable[[float], str]:
    if measure == "cost":
        return dollars
    return short if measure in _COUNTS else lambda value: percent(value, 1)


def _change(measure: str) -> Callable[[float], str]:
    """How much more or less of a measure is told: shares in percentage points."""
    if measure == "cost":
        return lambda value: ("-" if value < 0 else "+") + dollars(abs(value))
    return lambda value: f"{value:+.3g}" if measure in _COUNTS else f"{100 * value:+.2f} pp"
