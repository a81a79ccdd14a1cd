"""A month's bill as it is asked for: read from the history, compared."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from budget_proxy.analytics.billing.cells import day_of, day_start, next_day
from budget_proxy.analytics.billing.prices import table
from budget_proxy.analytics.billing.reconcile import Reconciliation, reconcile
from budget_proxy.analytics.billing.verdict import verdict
from budget_proxy.errors import InvalidInput
from budget_proxy.store.base import Store
from budget_proxy.store.billed import DAY, NANO, Billed, Spent
from budget_proxy.types import frozen
from budget_proxy.wire.prices import Prices

_MONTH: Final = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")
_EVER: Final = ("0000-00-00", "9999-99-99")
_SUMMED: Final = frozenset(
    {
        "attempts", "folded", "estimated", "priced", "cost", "input_tokens", "output_tokens",
        "cache_read_tokens", "cache_write_tokens",
    }
)  # fmt: skip


@frozen
class Imported:
    """What was imported of one report, from one file: lines and days, and amounts in all.

    ``amount_nano`` is in nano-dollars, ``None`` where the report tells tokens alone.
    """

    provider: str
    report: str
    file: str
    digest: str
    first: str
    last: str
    days: int
    lines: int
    amount_nano: int | None
    tokens: int | None
    imported: float


def reconciled(
    store: Store, prices: Prices, month: str | None, provider: str | None
) -> Reconciliation:
    """A month's bill (2026-10; else that of the newest bill) beside our rows.

    ``prices`` are those in force. Raises InvalidInput where there is no bill.
    """
    lines = [one for one in store.billed(*_EVER) if provider in {None, one.provider}]
    costs = [one for one in lines if one.amount is not None]
    if not costs:
        whose = "" if provider is None else f" of {provider[:60]}"
        raise InvalidInput(
            f"there is no bill{whose}: import one (budget-proxy billing import FILE)"
        )
    chosen = month or max(one.day for one in costs)[:7]
    first, last = days_of(chosen)
    if not any(first <= one.day <= last for one in costs):
        known = sorted({one.day[:7] for one in costs})
        raise InvalidInput(f"there is no bill of {chosen}; there are bills of {', '.join(known)}")
    spent = spent_in(store, next_day(first, -1), next_day(last))
    found = reconcile(spent, lines, first, last, prices=table(prices))
    billed = {line.day for line in found.lines}
    folded = sorted(billed & {day_of(day) for day, _, _ in store.folded()})
    return replace(found, notes=(*found.notes, _folding(folded))) if folded else found


def _folding(days: Sequence[str]) -> str:
    """What sums of folded rows do not tell."""
    return (
        f"rows of {len(days)} days ({days[0]} to {days[-1]}) were folded into sums, which tell "
        "neither hosts, nor failed calls, nor tasks that were only recorded: these count as calls "
        "to the model's own provider"
    )


def days_of(month: str) -> tuple[str, str]:
    """The first and the last day of a month. Raises InvalidInput."""
    match = _MONTH.fullmatch(month)
    if match is None:
        raise InvalidInput(f"a month is written as 2026-10, not {month[:40]!r}")
    year, number = map(int, match.groups())
    following = f"{year + number // 12}-{number % 12 + 1:02}-01"
    return f"{month}-01", next_day(following, -1)


def plain(found: Reconciliation, url: str) -> dict[str, Any]:
    """As programs read it, with its verdict."""
    return {"store": url, "verdict": verdict(found), **asdict(found)}


def spent_in(store: Store, first: str, last: str) -> list[Spent]:
    """What our rows used on some days, those that were folded into sums among them."""
    start, end = day_start(first), day_start(last) + DAY
    rows = store.spent(start, end)
    return [*rows, *_folded(store, rows, start, end)]


def _folded(store: Store, rows: Sequence[Spent], start: int, end: int) -> Iterator[Spent]:
    """Of days of which rows were folded: what the sums have beyond the rows, as if at noon."""
    days = sorted({day for day, _, _ in store.folded() if start <= day < end})
    there: defaultdict[tuple[str, str], list[Spent]] = defaultdict(list)
    for one in rows if days else ():
        there[day_of(one.start), one.model].append(one)
    for day in days:
        for sums in store.sums(start=day, end=day + DAY, by=("model",), only=_SUMMED):
            if sums.folded:
                some = there[day_of(day), sums.model]
                cached = sums.cache_read_tokens - sum(one.cached for one in some)
                written = sums.cache_write_tokens - sum(one.written for one in some)
                given = sums.input_tokens - sum(
                    one.fresh + one.cached + one.written for one in some
                )
                yield Spent(
                    start=day + DAY // 2, api="import", host="", model=sums.model, tier="",
                    prices="", exact=not sums.estimated, priced=bool(sums.priced), failed=False,
                    repeated=False, late=False, attempts=sums.folded,
                    fresh=max(given - cached - written, 0), cached=cached, written=written,
                    output=sums.output_tokens - sum(one.output for one in some),
                    amount=max(round(sums.cost * NANO) - sum(one.amount for one in some), 0),
                )  # fmt: skip


def imports(lines: Sequence[Billed]) -> list[Imported]:
    """What was imported, by file, the newest days first."""
    groups: defaultdict[tuple[str, str, str, str], list[Billed]] = defaultdict(list)
    for one in lines:
        groups[one.provider, one.report, one.file, one.digest].append(one)
    found = [
        Imported(
            *key,
            first=min(one.day for one in some),
            last=max(one.day for one in some),
            days=len({one.day for one in some}),
            lines=len(some),
            amount_nano=_sum([one.amount for one in some]),
            tokens=_sum([one.tokens for one in some]),
            imported=max(one.imported for one in some),
        )
        for key, some in groups.items()
    ]
    return sorted(found, key=lambda one: (one.last, one.provider, one.report), reverse=True)


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def all_lines(store: Store) -> list[Billed]:
    """Every line of every bill."""
    return store.billed(*_EVER)
