"""A projection in words and numbers: the days ahead beside the past, limits, groups, advice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from budget_proxy.analytics.efficiency import By
from budget_proxy.analytics.numbers import NONE, dollars, short, written
from budget_proxy.analytics.outlook import Outlook, Question
from budget_proxy.analytics.projection import Ahead, Projection
from budget_proxy.analytics.ranges import Range
from budget_proxy.analytics.reach import Reach, Window
from budget_proxy.analytics.rendering.blocks import (
    NAMES,
    Block,
    Document,
    Facts,
    Forecast,
    Note,
    Table,
    named,
    only,
    visible,
)
from budget_proxy.analytics.series import Measure
from budget_proxy.types import NOTHING

_SINGLE: Final = 14  # days that are listed one by one; more are by week
_SURE: Final = 0.01


def outlook(
    found: Outlook, asked: Question, url: str, where: Mapping[str, str] = NOTHING
) -> Document:
    """What the days ahead will amount to, as it was asked, of the history ``url``.

    ``where`` says which calls alone were asked for.
    """
    whole = found.whole
    told = f"{whole.measure}, the next {asked.days} days, {found.zone}"
    sections = tuple(map(tuple, _sections(found, asked)))
    some = only(where)
    return Document("Projection", told + some, sections, head=(f"History {url}{some}",))


def _sections(found: Outlook, asked: Question) -> Iterator[Sequence[Block]]:
    whole = found.whole
    if whole.total is None:
        yield [Note(whole.note[:1].upper() + whole.note[1:] + ".")]
        return
    yield [Facts(tuple(_facts(found, asked).items()))]
    yield [_plot(found)]
    yield [_ahead(whole)]
    if asked.by:
        note = Note("Each group has a trend of its own: they need not add up to the whole.")
        yield [_groups(found, asked.by), note]
    if found.advice:
        yield [Note(sentence) for sentence in found.advice]


def _facts(found: Outlook, asked: Question) -> dict[str, str]:
    whole = found.whole
    measure, last = whole.measure, whole.days[-1].start
    rows = {
        "Projected": f"{measure}, {len(whole.days)} days to {last}: {_range(whole.total, measure)}",
        "Pace": f"{written(whole.recent, measure)} in the last {whole.recent_days} whole days; "
        f"{written(whole.so_far, measure)} today so far",
        "From": f"{whole.history} days since {whole.since} ({found.zone}), method {whole.method}",
    }
    if whole.known is not None and whole.known < 1:
        rows["Known"] = f"{_share(whole.known)} of the attempts; the others are not counted"
    if whole.note:
        rows["Note"] = whole.note
    for name in asked.limits or {}:
        title = "Limit" if name == measure else f"Limit of {name}"
        rows[title] = _reached(found.limits.get(name), name, asked.window)
    for one in found.in_force:
        title = f"Limit {one.limit}" + (f" of {one.agent}" if one.agent else "")
        rows[visible(title)] = _reached(one.reach, one.measure, one.window)
    return rows


def _reached(found: Reach | None, measure: Measure, window: Window) -> str:
    """Such as: reached on 2026-12-23 (95 %: 2026-12-21 to not at all), probability 81 %."""
    if found is None:
        return "too little history to say"
    what = f"{written(found.limit, measure)} a {window}, {written(found.spent, measure)} so far"
    if found.spent >= found.limit:
        return f"{what}: reached on {found.expected}"
    likely = _likely(found.probability)
    if found.earliest is None:
        return f"{what}: not reached by the end of it ({likely})"
    if found.expected is None:
        return f"{what}: probably not reached ({likely}), on {found.earliest} at the earliest"
    latest = found.latest or "not at all"
    return f"{what}: reached on {found.expected} (95 %: {found.earliest} to {latest}), {likely}"


def _likely(probability: float) -> str:
    """A probability in words; of so many draws none or all are no certainty."""
    if not _SURE < probability < 1 - _SURE:
        return "probability " + ("below 1 %" if probability <= _SURE else "above 99 %")
    return f"probability {100 * probability:.0f} %"


def _share(share: float) -> str:
    return f"{100 * min(share, 0.999):.1f} %"  # not all, so never 100


def _range(found: Range | None, measure: Measure) -> str:
    if found is None:
        return NONE
    low, high = written(found.low, measure), written(found.high, measure)
    return f"{written(found.expected, measure)} (95 %: {low} to {high})"


def _plot(found: Outlook) -> Forecast:
    """The past beside the days ahead within their interval."""
    past, ahead, measure = found.past, found.whole.days, found.whole.measure
    starts = [*(day.start for day in past), *(day.start for day in ahead)]
    return Forecast(
        f"{measure.capitalize()} by day: what was, and what is to come with its 95 % interval",
        tuple(f"{start:%d %b}" for start in starts),
        (*(day.amount for day in past), *(day.amount.expected for day in ahead)),
        (*(None for _ in past), *((day.amount.low, day.amount.high) for day in ahead)),
        dollars if measure == "cost" else short,
    )


def _ahead(whole: Projection) -> Table:
    listed = whole.days if len(whole.days) <= _SINGLE else whole.weeks
    rows = tuple((_span(one), *_cells(one.amount, whole.measure)) for one in listed)
    return Table("Ahead", ("days", "expected", "at least", "at most (95 %)"), rows)


def _span(one: Ahead) -> str:
    last = one.start + timedelta(days=one.days - 1)
    return f"{one.start:%a %d %b}" + (f" - {last:%a %d %b}" if one.days > 1 else "")


def _cells(amount: Range | None, measure: Measure) -> list[str]:
    if amount is None:
        return [NONE] * 3
    return [written(value, measure) for value in (amount.expected, amount.low, amount.high)]


def _groups(found: Outlook, by: By) -> Table:
    rows = tuple(
        (
            named(*one.group),
            written(one.recent, one.measure),
            *_cells(one.total, one.measure),
            NONE if one.growth is None else f"{100 * one.growth.expected:+.1f} %",
        )
        for one in found.groups
    )
    columns = ("last 30 days", "expected", "at least", "at most", "a week")
    return Table(f"Next {len(found.whole.days)} days", (NAMES[by], *columns), rows)
