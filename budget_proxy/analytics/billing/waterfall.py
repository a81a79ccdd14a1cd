"""One place's difference, in parts: from our rows' costs to the bill, step by step.

With tokens T and amounts A of the bill, tokens t and costs l of our rows, by bucket, and the
bill's price P = A / T: A - l = (T - t) P + (t P - l). The first is put down to what counts
differ by, the second to prices; of rows without a price the whole t P is. So parts always add up.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from budget_proxy.analytics.billing.cells import Bill, Bucket, Cell, counted
from budget_proxy.analytics.billing.counts import Counts
from budget_proxy.analytics.billing.parts import Part
from budget_proxy.analytics.billing.prices import Shares, Table, shares
from budget_proxy.store.billed import Kind
from budget_proxy.wire.tariff import OWN

_CACHE: Final[tuple[Kind, ...]] = ("cache_write_1h", "cache_write", "cache_read")
_CLOSE: Final = Fraction(1, 50)
_OTHERWISE: Final = "our rows were not priced by our table as it is now"
_SETTINGS: Final = "our rows were priced by the settings"

AMOUNTS_ALONE: Final = (
    "amounts without tokens: rows and prices cannot be told apart; import the report on usage too"
)
"""Why a difference has no explanation."""


def parts_of(cell: Cell, prices: Table, unit: int, habit: Fraction | None = None) -> list[Part]:
    """The parts of a place's difference; what they lack of it has no explanation.

    ``unit`` is what the bill's amounts are rounded to, in nano-dollars; ``habit`` is what share
    of its tokens the model's estimates usually lack (``counts.habit``).
    """
    found = [
        Part("other-items", Fraction(amount), note=item)
        for item, amount in cell.bill.other.items()
        if amount
    ]
    if cell.bill.tokens is None:
        return found + _by_amounts(cell, unit)
    return found + _whole_ones(list(_Tokens(cell, prices, unit).parts(habit)))


def _by_amounts(cell: Cell, unit: int) -> list[Part]:
    """What amounts alone tell: only where one side has nothing, or both have the same."""
    bill = cell.bill
    amount = bill.total - sum(bill.other.values())
    left = Fraction(amount - cell.ledger)
    attempts = sum(one.attempts for one in cell.spent if not one.failed)
    if not left:
        return []
    if not cell.spent:
        return [Part("missing-rows", left)] if cell.model else []
    if not amount:
        return [Part("unbilled-rows", left, requests=-attempts)]
    if not any(one.priced and one.amount for one in cell.spent):
        return [Part("unknown-price", left, sum(counted(cell.spent).values()))]
    if abs(left) <= _slack(bill, unit) + sum(one.attempts for one in cell.spent):
        return [Part("rounding", left)]
    return []


def _slack(bill: Bill, unit: int) -> Fraction:
    """How far amounts may be off because the export rounds them."""
    return Fraction(bill.lines * unit, 2)


def _whole_ones(parts: Sequence[Part]) -> list[Part]:
    """Parts in whole nano-dollars, which add up to the same; fractions are rounding."""
    whole = [replace(part, amount=Fraction(round(part.amount))) for part in parts]
    rest = round(_sum(parts) - _sum(whole))
    return [*whole, Part("rounding", Fraction(rest))] if rest else whole


def _sum(parts: Sequence[Part]) -> Fraction:
    return sum((part.amount for part in parts), Fraction(0))


class _Tokens:
    """A place whose bill tells tokens."""

    def __init__(self, cell: Cell, prices: Table, unit: int) -> None:
        self._cell = cell
        self._unit = unit
        self._fold = _folding(cell)
        bill = cell.bill
        self._billed = self._folded(bill.tokens or {})
        self._amounts = self._folded(bill.amounts)
        self._ours = self._folded(counted(cell.spent))
        self._priced = self._folded(counted(one for one in cell.spent if one.priced))
        self._shares = shares(cell.spent, prices)
        self._paid = self._sums(self._shares.amounts)
        self._values = self._priced_by_bill()

    def parts(self, habit: Fraction | None) -> Iterator[Part]:
        """All of them."""
        buckets = self._values.keys()
        beyond = {one: self._billed[one] - self._ours[one] for one in buckets}
        counts = Counts(self._cell, beyond, self._values, self._ours, habit)
        yield from counts.parts(self._fold)
        unpriced = {one: self._ours[one] - self._priced[one] for one in buckets}
        if any(unpriced.values()):
            worth = sum((n * self._values[one] for one, n in unpriced.items()), Fraction(0))
            attempts = sum(one.attempts for one in self._cell.spent if not one.priced)
            yield Part("unknown-price", worth, sum(unpriced.values()), requests=attempts)
        for bucket in buckets:
            yield from self._price(bucket)

    def _price(self, bucket: Bucket) -> Iterator[Part]:
        """What another price makes of the tokens that our rows have priced."""
        tokens, paid = self._priced[bucket], self._paid[bucket]
        amount = tokens * self._values[bucket] - paid
        if not amount or not tokens:
            return
        attempts = sum(one.attempts for one in self._cell.spent)
        if abs(amount) <= _slack(self._cell.bill, self._unit) + attempts:
            yield Part("rounding", amount)
            return
        ours, theirs = paid / tokens, self._values[bucket]
        cache = self._is_cache(bucket, ours, theirs)
        note = cache or _priced_by(self._shares)
        yield Part(
            "cache" if cache else "price", amount, tokens,
            bucket=bucket, ours=ours, theirs=theirs, note=note,
        )  # fmt: skip

    def _is_cache(self, bucket: Bucket, ours: Fraction, theirs: Fraction) -> str:
        """What is wrong with the price of cached tokens, if it is that of fresh input."""
        if bucket[0] not in _CACHE:
            return ""
        fresh: Bucket = ("input", bucket[1])
        if self._shares.as_input:
            return "our rows have them at the price of fresh input"
        if not self._priced[fresh]:
            return ""
        paid = self._paid[fresh] / self._priced[fresh]
        billed = self._values[fresh]
        unlike = not _close(ours, theirs)
        if unlike and _close(theirs, billed) and _close(paid, billed):
            return "billed at the price of fresh input"
        if unlike and _close(ours, paid) and _close(paid, billed):
            return "our rows have them at the price of fresh input"
        return ""

    def _priced_by_bill(self) -> dict[Bucket, Fraction]:
        """What the bill takes for a token; where it has none of a kind, what our rows paid."""
        buckets = {*self._billed, *self._ours, *self._priced}
        found = {one: self._own(one) for one in buckets}
        if self._cell.bill.whole:
            weights = {one: n * (found[one] or Fraction(1)) for one, n in self._billed.items()}
            total = sum(weights.values(), Fraction(0))
            for one, tokens in self._billed.items():
                if tokens and total:
                    found[one] = weights[one] * self._cell.bill.whole / (total * tokens)
            return found
        for one, tokens in self._billed.items():
            if tokens:
                found[one] = Fraction(self._amounts[one]) / tokens
        return found

    def _own(self, bucket: Bucket) -> Fraction:
        tokens = self._priced[bucket]
        return self._paid[bucket] / tokens if tokens else Fraction(0)

    def _folded(self, numbers: Mapping[Bucket, int]) -> Counter[Bucket]:
        found: Counter[Bucket] = Counter()
        for bucket, number in numbers.items():
            found[self._fold[bucket]] += number
        return found

    def _sums(self, amounts: Mapping[Bucket, Fraction]) -> dict[Bucket, Fraction]:
        found: defaultdict[Bucket, Fraction] = defaultdict(Fraction)
        for bucket, amount in amounts.items():
            found[self._fold[bucket]] += amount
        return found


def _priced_by(found: Shares) -> str:
    """By which prices rows were priced, where that may be why theirs are others."""
    by = ", ".join(found.versions)
    if found.guessed:
        return f"{_OTHERWISE}, but by {by}" if by else _OTHERWISE
    return _SETTINGS if any(version.startswith(OWN) for version in found.versions) else ""


def _close(one: Fraction, other: Fraction) -> bool:
    return abs(one - other) <= _CLOSE * max(abs(one), abs(other))


def _folding(cell: Cell) -> dict[Bucket, Bucket]:
    """Which buckets both sides can be compared in: those that tokens and amounts both tell.

    A kind of input that the bill counts but does not price apart (or the other way round) is
    compared as fresh input; tiers are told apart where both have the same.
    """
    bill = cell.bill
    told = set(bill.tokens or {}), set(bill.amounts)
    named = {tier for _, tier in told[0]}
    tiers = any(named) and named == {tier for _, tier in told[1]}
    apart: set[Kind] = set(cell.told)
    if bill.amounts:
        apart = {
            kind
            for kind in apart
            if any(one[0] == kind for one in told[1])
            or not sum(n for one, n in (bill.tokens or {}).items() if one[0] == kind)
        }
    own = set(counted(cell.spent))
    found: dict[Bucket, Bucket] = {}
    for kind, tier in {*told[0], *told[1], *own}:
        target: Kind = kind
        if kind == "cache_write_1h" and kind not in apart:
            target = "cache_write"
        if target in _CACHE and target not in apart:
            target = "input"
        found[kind, tier] = (target, tier if tiers else "")
    return found
