"""A reconciliation in words and numbers: verdict, causes and what speaks for them, models, days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from budget_proxy.analytics.billing.asked import Imported
from budget_proxy.analytics.billing.explanations import Explanation
from budget_proxy.analytics.billing.parts import CAUSES
from budget_proxy.analytics.billing.reconcile import Line, Outside, Reconciliation
from budget_proxy.analytics.billing.verdict import money, verdict, when
from budget_proxy.analytics.numbers import NONE, dollars, short, whole
from budget_proxy.analytics.rendering.blocks import (
    Bars,
    Block,
    Document,
    Entry,
    Note,
    Table,
    named,
    visible,
)
from budget_proxy.store.billed import NANO

_DAYS_SHOWN: Final = 6
_LINES_SHOWN: Final = 60
_ALL: Final = "all models"
_COLUMNS: Final = ("ledger", "bill", "beyond", "explained", "unexplained")


def billing(found: Reconciliation, url: str) -> Document:
    """What was billed beside what our rows cost, of the history ``url``."""
    told = f"{found.first} to {found.last} (UTC), {', '.join(map(visible, found.providers))}"
    sections = tuple(map(tuple, _sections(found)))
    return Document("Billing", told, sections, head=(f"History {url}",))


def _sections(found: Reconciliation) -> Iterator[Sequence[Block]]:
    yield [Note(f"{visible(verdict(found))}.")]
    telling = [one for one in found.explanations if one.cause != "rounding"]
    if telling:
        yield [_overview(telling)]
        for one in telling:
            yield [_entry(one)]
    if any(line.difference_nano for line in found.lines):
        yield [_bars(found.lines)]
    yield [_table("By model", "Provider / model", found.lines, _model)]
    apart = [line for line in found.lines if line.difference_nano or line.causes]
    if apart:
        yield [_table(_apart(apart, found.lines), "Day / model", apart[:_LINES_SHOWN], _place)]
    for outside in found.outside:
        yield [Note(_left_out(outside))]
    for note in found.notes:
        yield [Note(f"{visible(note[:1].upper() + note[1:])}.")]


def _overview(telling: Sequence[Explanation]) -> Table:
    rows = tuple(
        (f"{CAUSES[one.cause]}", named(one.model or _ALL), when(one), money(one.amount_nano))
        for one in telling
    )
    return Table("Why they differ", ("Cause", "model", "when", "amount"), rows, left=3)


def _entry(one: Explanation) -> Entry:
    days = ", ".join(one.days[:_DAYS_SHOWN])
    more = f" and {len(one.days) - _DAYS_SHOWN} more" if len(one.days) > _DAYS_SHOWN else ""
    rows = {"": visible(f"{one.evidence[:1].upper()}{one.evidence[1:]}."), "Days:": days + more}
    if one.other is not None:
        rows["Or:"] = f"{CAUSES[one.other]}: the figures allow both"
    title = f"{money(one.amount_nano)}  {one.what}  {named(one.provider, one.model or _ALL)}"
    return Entry(title, tuple(rows.items()))


def _bars(lines: Sequence[Line]) -> Bars:
    by_day: defaultdict[str, int] = defaultdict(int)
    for line in lines:
        by_day[line.day] += abs(line.difference_nano)
    days = sorted(by_day)
    return Bars(
        "What ledger and bill are apart by, day by day, whichever has more", "day", "US dollars",
        tuple(day[5:] for day in days), tuple(by_day[day] / NANO for day in days), dollars,
    )  # fmt: skip


def _table(
    title: str, first: str, lines: Sequence[Line], key: Callable[[Line], tuple[str, ...]]
) -> Table:
    groups: defaultdict[tuple[str, ...], list[Line]] = defaultdict(list)
    for line in lines:
        groups[key(line)].append(line)
    rows = tuple((named(*name), *_sums(some)) for name, some in sorted(groups.items()))
    return Table(title, (first, *_COLUMNS), (*rows, ("all of these", *_sums(lines))))


def _sums(lines: Sequence[Line]) -> tuple[str, ...]:
    return tuple(
        money(sum(getattr(line, f"{name}_nano") for line in lines))
        for name in ("ledger", "bill", "difference", "explained", "unexplained")
    )


def _model(line: Line) -> tuple[str, ...]:
    return (line.provider, line.model or _ALL)


def _apart(apart: Sequence[Line], lines: Sequence[Line]) -> str:
    """What the table of days shows: those that differ, of so many."""
    shown = f"the first {_LINES_SHOWN} of " if len(apart) > _LINES_SHOWN else ""
    same = f"{whole(len(lines) - len(apart))} of {whole(len(lines))} agree"
    return f"Days and models that differ ({shown}{whole(len(apart))}; {same})"


def _place(line: Line) -> tuple[str, ...]:
    return (line.day, line.model or _ALL)


def _left_out(one: Outside) -> str:
    days = one.days[0] if len(one.days) == 1 else f"{one.days[0]} to {one.days[-1]}"
    whose = f" ({visible(one.provider)})" if one.provider else ""
    return (
        f"Not compared: {whole(one.attempts)} attempts{whose} of {money(one.ledger_nano)} by our "
        f"prices, {len(one.days)} days ({days}): {one.why}."
    )


def imported(found: Sequence[Imported], url: str) -> Document:
    """What was imported, file by file."""
    if not found:
        note = Note("No bill was imported so far: budget-proxy billing import FILE.")
        return Document("Bills", "", ((note,),), head=(f"History {url}",))
    rows = tuple(
        (
            named(one.file), f"{named(one.provider)} {one.report}", f"{one.first} to {one.last}",
            whole(one.lines), NONE if one.amount_nano is None else money(one.amount_nano),
            short(one.tokens),
        )
        for one in found
    )  # fmt: skip
    columns = ("File", "report", "days", "lines", "amount", "tokens")
    table = Table("Bills", columns, rows, left=3)
    return Document("Bills", "", ((table,),), head=(f"History {url}",))
