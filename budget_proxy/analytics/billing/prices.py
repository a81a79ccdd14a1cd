"""What one token of each kind costs by our table, and what each kind has cost our rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from budget_proxy.analytics.billing.cells import Bucket, buckets_of, counted
from budget_proxy.store.billed import DAY, NANO, Kind, Spent
from budget_proxy.types import frozen
from budget_proxy.wire.prices import Prices

Listed = Mapping[Kind, Fraction]
"""Nano-dollars of one token by kind."""

Table = Callable[[Spent], Listed | None]
"""The prices of some attempts' model; ``None`` where they are unknown."""

_EXACTLY = Fraction(1, 10_000)


@frozen
class Shares:
    """What each bucket's priced tokens have cost our rows, adding up to what the rows cost.

    ``as_input``: cached tokens were paid for as fresh ones. ``guessed``: the rows were not priced
    by our table as it is now, so that the shares are as the table's. ``versions`` are those of
    the prices that the rows have.
    """

    amounts: Mapping[Bucket, Fraction]
    as_input: bool = False
    guessed: bool = False
    versions: tuple[str, ...] = ()


def table(prices: Prices) -> Table:
    """The prices in force, as of each day's noon; each is asked for once."""
    known: dict[tuple[object, ...], Listed | None] = {}

    def listed(one: Spent) -> Listed | None:
        key = (one.api, one.model, one.host, one.tier, one.start // DAY)
        if key not in known:
            known[key] = _listed(prices, one)
        return known[key]

    return listed


def _listed(prices: Prices, one: Spent) -> Listed | None:
    noon = one.start // DAY * DAY + DAY / 2
    found = prices.rates(one.api, one.model, one.host, one.tier or None, noon)
    if found is None:
        return None
    return {
        "input": Fraction(found.fresh) * NANO,
        "cache_read": Fraction(found.cached) * NANO,
        "cache_write": Fraction(found.written) * NANO,
        "output": Fraction(found.plain) * NANO,
    }


def shares(spent: Iterable[Spent], prices: Table) -> Shares:
    """What each bucket has cost. The rest of an amount that no token explains is in none."""
    priced = [one for one in spent if one.priced]
    paid = sum(one.amount for one in priced)
    versions = tuple(sorted({one.prices for one in priced if one.prices}))
    attempts = sum(one.attempts for one in priced)
    for as_input in (False, True):
        found = _by_table(priced, prices, as_input=as_input)
        if found is None:
            break
        total = sum(found.values(), Fraction(0))
        if abs(total - paid) <= attempts + _EXACTLY * paid:
            return Shares(_scaled(found, paid), as_input=as_input, versions=versions)
    weights = _by_table(priced, prices)
    if not weights:
        weights = {bucket: Fraction(tokens) for bucket, tokens in counted(priced).items()}
    return Shares(_scaled(weights, paid), guessed=True, versions=versions)


def _by_table(
    priced: Iterable[Spent], prices: Table, *, as_input: bool = False
) -> dict[Bucket, Fraction] | None:
    """By the table's prices; ``None`` where a model has none. With cached tokens as fresh ones."""
    found: defaultdict[Bucket, Fraction] = defaultdict(Fraction)
    for one in priced:
        listed = prices(one)
        if listed is None:
            return None
        for bucket, tokens in buckets_of(one).items():
            kind: Kind = "input" if as_input and bucket[0] == "cache_read" else bucket[0]
            found[bucket] += tokens * listed[kind]
    return found


def _scaled(amounts: Mapping[Bucket, Fraction], paid: int) -> dict[Bucket, Fraction]:
    total = sum(amounts.values(), Fraction(0))
    if not total:
        return {}
    return {bucket: amount * paid / total for bucket, amount in amounts.items()}
