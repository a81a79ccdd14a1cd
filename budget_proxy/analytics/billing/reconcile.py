"""Bills against our rows: day by day, model by model, the differences put down to causes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby
from typing import Final

from budget_proxy.analytics.billing.boundaries import Move, moves
from budget_proxy.analytics.billing.cells import POOLED, Bill, Bucket, Cell, Place, bills, placed
from budget_proxy.analytics.billing.counts import habit
from budget_proxy.analytics.billing.explanations import Explanation, explanations
from budget_proxy.analytics.billing.parts import Cause, Part
from budget_proxy.analytics.billing.prices import Table, table
from budget_proxy.analytics.billing.waterfall import AMOUNTS_ALONE, parts_of
from budget_proxy.store.billed import Billed, Kind, Spent
from budget_proxy.types import frozen
from budget_proxy.wire.prices import LISTED

_CENT: Final = 10_000_000
_MANY: Final = 20
_NO_MODELS: Final = "the bill tells no models of these days: import costs by model or line item"
_UNKNOWN_KINDS: Final = "amounts of tokens that the report on usage does not have"


@frozen
class Line:
    """One day and model. Amounts are whole nano-dollars.

    ``difference`` = ``bill`` - ``ledger`` = ``explained`` + ``unexplained``; ``causes`` are of
    what is explained.
    """

    provider: str
    day: str
    model: str
    ledger_nano: int
    bill_nano: int
    difference_nano: int
    explained_nano: int
    unexplained_nano: int
    causes: tuple[Cause, ...]


@frozen
class Outside:
    """What is not compared, and why: attempts, and what they cost by our prices."""

    why: str
    provider: str
    days: tuple[str, ...]
    attempts: int
    ledger_nano: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The bill beside our rows, from the day ``first`` to ``last`` (UTC, both included).

    Amounts are whole nano-dollars, and of the days alone for which there is a bill.
    ``difference`` is what was billed beyond our rows' costs; ``explained`` and ``unexplained``
    add up to it. ``notes`` say what would tell more, and which names were taken for the same.
    """

    first: str
    last: str
    providers: tuple[str, ...]
    ledger_nano: int
    bill_nano: int
    difference_nano: int
    explained_nano: int
    unexplained_nano: int
    explanations: tuple[Explanation, ...]
    lines: tuple[Line, ...]
    outside: tuple[Outside, ...]
    notes: tuple[str, ...]


def reconcile(
    spent: Sequence[Spent],
    billed: Sequence[Billed],
    first: str,
    last: str,
    *,
    prices: Table | None = None,
) -> Reconciliation:
    """Compare the bill of some days with our rows, of which some days more may be given.

    Those tell whether calls near midnight are filed otherwise. ``prices`` are by default those
    of the library.
    """
    ledger, lines = placed(spent), [one for one in billed if first <= one.day <= last]
    costs = {(one.provider, one.day) for one in lines if one.amount is not None}
    sides = bills(lines)
    providers = sorted({provider for provider, _ in costs})
    moved = [
        move
        for provider in providers
        for move in moves(ledger, sides, provider, sorted(d for p, d in costs if p == provider))
    ]
    asked = prices or table(LISTED)
    cells = list(_cells(_after(ledger, moved), sides, costs, _told(lines), asked))
    explained = _explained(cells, asked, lines)
    pooled = _pooled_days(cells)
    for move in moved:
        for day, sign in ((move.day, -1), (move.to, 1)):
            if (move.provider, day) in costs:
                model = POOLED if (move.provider, day) in pooled else move.model
                place = (move.provider, day, model)
                part = Part("day-boundary", Fraction(sign * move.amount), sign * move.tokens,
                            note=move.why)  # fmt: skip
                explained.setdefault(place, []).append(part)
    return _result(first, last, ledger, sides, costs, explained, cells, pooled)


def _pooled_days(cells: Iterable[Cell]) -> set[tuple[str, str]]:
    """The days (with their provider) that are one place."""
    models: defaultdict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        models[cell.provider, cell.day].append(cell)
    return {
        day
        for day, (first, *others) in models.items()
        if first.model == POOLED and first.bill.whole and not others
    }


def _told(lines: Iterable[Billed]) -> Mapping[str, frozenset[Kind]]:
    """The kinds of tokens that each provider's reports know."""
    found: defaultdict[str, set[Kind]] = defaultdict(set)
    for line in lines:
        if line.tokens is not None:
            found[line.provider].add(line.kind)
    return {provider: frozenset(kinds) for provider, kinds in found.items()}


def _after(ledger: Mapping[Place, Sequence[Spent]], moved: Sequence[Move]) -> dict[
    Place, list[Spent]
]:  # fmt: skip
    """Our rows as the bill files them."""
    found = {place: list(some) for place, some in ledger.items()}
    for move in moved:
        gone = set(map(id, move.spent))
        source = (move.provider, move.day, move.model)
        found[source] = [one for one in found[source] if id(one) not in gone]
        found.setdefault((move.provider, move.to, move.model), []).extend(move.spent)
    return found


def _cells(
    ledger: Mapping[Place, Sequence[Spent]],
    sides: Mapping[Place, Bill],
    costs: Iterable[tuple[str, str]],
    told: Mapping[str, frozenset[Kind]],
    prices: Table,
) -> Iterator[Cell]:
    """Every place of the days that have a bill."""
    for provider, day in sorted(costs):
        knows = told.get(provider, frozenset())
        ours = {place[2]: some for place, some in ledger.items() if place[:2] == (provider, day)}
        theirs = {place[2]: one for place, one in sides.items() if place[:2] == (provider, day)}
        blank = Bill(tokens={} if any(b.tokens is not None for b in theirs.values()) else None)
        if theirs.get(POOLED, blank).whole and not any(
            bill.amounts or bill.whole for model, bill in theirs.items() if model != POOLED
        ):
            yield from _pooled(provider, day, ours, theirs, knows, prices)
            continue
        for model in sorted({*ours, *theirs}):
            bill = theirs.get(model, blank)
            if ours.get(model) or bill.total or bill.tokens:
                yield Cell(provider, day, model, tuple(ours.get(model, ())), bill, knows)


def _pooled(
    provider: str,
    day: str,
    ours: Mapping[str, Sequence[Spent]],
    theirs: Mapping[str, Bill],
    knows: frozenset[Kind],
    prices: Table,
) -> Iterator[Cell]:
    """The places of a day whose costs are told as one amount.

    Where the usage is told by model, each model is billed what its tokens cost by our table, and
    the rest stands alone; else the day is one place.
    """
    whole = theirs[POOLED]
    models = sorted({*ours, *theirs} - {POOLED})
    amounts = {
        model: _by_table(theirs.get(model, Bill(tokens={})), ours.get(model, ()), prices)
        for model in models
    }
    counted = any(bill.tokens for model, bill in theirs.items() if model != POOLED)
    if not counted or None in amounts.values():
        everything = tuple(one for some in ours.values() for one in some)
        other = Counter[str]()
        for bill in theirs.values():
            other.update(bill.other)  # the sum of counters would leave credits out
        yield Cell(provider, day, POOLED, everything, replace(whole, tokens=None, other=other))
        return
    left = whole.whole
    for model, found in amounts.items():
        bill = replace(theirs.get(model, Bill(tokens={})), amounts=found or {})
        left -= sum(bill.amounts.values())
        yield Cell(provider, day, model, tuple(ours.get(model, ())), bill, knows)
    yield Cell(provider, day, POOLED, (), replace(whole, whole=left, tokens=None))


def _by_table(bill: Bill, some: Sequence[Spent], prices: Table) -> dict[Bucket, int] | None:
    """What a bill's tokens cost by our table; ``None`` where that does not say."""
    if not bill.tokens:
        return {}
    listed = prices(some[0]) if some else None
    if listed is None or any(kind not in listed for kind, _ in bill.tokens):
        return None
    return {bucket: round(n * listed[bucket[0]]) for bucket, n in bill.tokens.items()}


def _explained(
    cells: Sequence[Cell], prices: Table, lines: Sequence[Billed]
) -> dict[Place, list[Part]]:
    units = _units(lines)
    by_model = sorted(cells, key=lambda cell: (cell.provider, cell.model, cell.day))
    found: dict[Place, list[Part]] = {}
    for (provider, _), some in groupby(by_model, key=lambda cell: (cell.provider, cell.model)):
        members = list(some)
        usual = habit(members)
        for cell in members:
            place = (provider, cell.day, cell.model)
            found[place] = parts_of(cell, prices, units[provider], usual)
    return found


def _units(lines: Iterable[Billed]) -> dict[str, int]:
    """What each provider's amounts are rounded to: the coarsest decimal that all are whole in.

    Few amounts may be whole in one by chance; only cents are believed then.
    """
    amounts: defaultdict[str, list[int]] = defaultdict(list)
    for line in lines:
        if line.amount is not None:
            amounts[line.provider].append(line.amount)
    return {provider: _unit(some) for provider, some in amounts.items()}


def _unit(amounts: Sequence[int]) -> int:
    unit = _CENT
    while any(amount % unit for amount in amounts):
        unit //= 10
    return unit if unit == _CENT or sum(map(bool, amounts)) >= _MANY else 1


def _result(
    first: str,
    last: str,
    ledger: Mapping[Place, Sequence[Spent]],
    sides: Mapping[Place, Bill],
    costs: set[tuple[str, str]],
    explained: Mapping[Place, Sequence[Part]],
    cells: Sequence[Cell],
    pooled: set[tuple[str, str]],
) -> Reconciliation:
    implied = {(c.provider, c.day, c.model): c.bill.total for c in cells}
    lines: list[Line] = []
    for place in sorted({*explained, *(p for p in ledger if p[:2] in costs)}):
        provider, day, model = place
        if (provider, day) in pooled and model != POOLED:
            continue
        rows = (
            [one for p, some in ledger.items() if p[:2] == place[:2] for one in some]
            if (provider, day) in pooled
            else ledger.get(place, ())
        )
        line = _line(
            place, sum(one.amount for one in rows), implied.get(place, 0), explained.get(place, ())
        )
        if line.ledger_nano or line.bill_nano or line.causes:
            lines.append(line)
    found = explanations(explained, ledger)
    ours, theirs = sum(one.ledger_nano for one in lines), sum(one.bill_nano for one in lines)
    known = sum(one.explained_nano for one in lines)
    return Reconciliation(
        first, last, tuple(sorted({provider for provider, _ in costs})),
        ours, theirs, theirs - ours, known, theirs - ours - known,
        found, tuple(lines), tuple(_outside(first, last, ledger, costs)),
        tuple(_notes(ledger, sides, costs, cells, lines)),
    )  # fmt: skip


def _line(place: Place, ours: int, theirs: int, parts: Sequence[Part]) -> Line:
    known = int(sum((part.amount for part in parts), Fraction(0)))
    causes = tuple(dict.fromkeys(part.cause for part in parts if part.amount))
    return Line(*place, ours, theirs, theirs - ours, known, theirs - ours - known, causes)


def _outside(
    first: str,
    last: str,
    ledger: Mapping[Place, Sequence[Spent]],
    costs: set[tuple[str, str]],
) -> Iterator[Outside]:
    """Our rows of these days that no bill is about."""
    billing = {provider for provider, _ in costs}
    found: defaultdict[tuple[str, str], list[tuple[str, Spent]]] = defaultdict(list)
    for (provider, day, _), some in ledger.items():
        if first <= day <= last and (provider, day) not in costs:
            why = "days without a bill" if provider in billing else "no bill of this provider"
            why = why if provider else "nobody is known to bill for them"
            found[why, provider].extend((day, one) for one in some)
    for (why, provider), members in sorted(found.items()):
        days = tuple(sorted({day for day, _ in members}))
        rows = [one for _, one in members]
        yield Outside(
            why, provider, days, sum(one.attempts for one in rows), sum(one.amount for one in rows)
        )


def _notes(
    ledger: Mapping[Place, Sequence[Spent]],
    sides: Mapping[Place, Bill],
    costs: set[tuple[str, str]],
    cells: Sequence[Cell],
    lines: Sequence[Line],
) -> Iterator[str]:
    """What would tell more, and which names were taken for the same."""
    unexplained = {(line.provider, line.day, line.model) for line in lines if line.unexplained_nano}
    some = [cell for cell in cells if (cell.provider, cell.day, cell.model) in unexplained]
    if any(cell.model == POOLED for cell in some):
        yield _NO_MODELS
    if any(cell.model != POOLED and cell.bill.tokens is None for cell in some):
        yield AMOUNTS_ALONE
    if any(cell.bill.tokens is not None for cell in some):
        yield _UNKNOWN_KINDS
    counted = sorted({place[:2] for place in sides} - costs)
    if counted:
        days = sorted({day for _, day in counted})
        yield f"usage without costs on {len(days)} days ({days[0]} to {days[-1]}): import the costs"
    names: defaultdict[str, set[str]] = defaultdict(set)
    theirs: defaultdict[str, set[str]] = defaultdict(set)
    for (provider, day, model), rows in ledger.items():
        if (provider, day) in costs:
            names[model] |= {one.model for one in rows}
    for (_, _, model), bill in sides.items():
        theirs[model] |= bill.names
    same = [
        f"{', '.join(sorted(names[model]))} = {', '.join(sorted(theirs[model]))}"
        for model in sorted(names)
        if theirs[model] - names[model]
    ]
    if same:
        yield f"models of our rows that have another name on the bill: {'; '.join(same)}"
