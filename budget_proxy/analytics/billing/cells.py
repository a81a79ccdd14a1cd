"""What is compared: a provider, day (UTC) and model, as our rows and as the bill have it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from typing import Final

from budget_proxy.store.billed import DAY, Billed, Kind, Spent
from budget_proxy.types import frozen
from budget_proxy.wire.biller import biller, family, tier_of

Bucket = tuple[Kind, str]
"""A kind of tokens and a service tier ("" is the standard one): what has one price."""

Place = tuple[str, str, str]
"""Provider, day and model."""

POOLED: Final = ""
"""The model of a day whose bill does not tell models apart."""


@frozen
class Bill:
    """What a provider says of one place. Amounts are nano-dollars.

    ``tokens`` are ``None`` where no report tells them, ``requests`` likewise. ``amounts`` are of
    the tokens told, ``whole`` of all a model's tokens together, ``other`` of what is no tokens.
    ``lines`` counts the lines that have an amount; ``names`` are the models' names on them.
    """

    tokens: Mapping[Bucket, int] | None = None
    requests: int | None = None
    amounts: Mapping[Bucket, int] = field(default_factory=dict)
    whole: int = 0
    other: Mapping[str, int] = field(default_factory=dict)
    lines: int = 0
    names: frozenset[str] = frozenset()

    @property
    def total(self) -> int:
        """All that was billed."""
        return sum(self.amounts.values()) + self.whole + sum(self.other.values())


@frozen
class Cell:
    """Both sides of one place. ``told``: the kinds of tokens that the provider's reports know."""

    provider: str
    day: str
    model: str
    spent: tuple[Spent, ...]
    bill: Bill
    told: frozenset[Kind] = frozenset()

    @property
    def ledger(self) -> int:
        """What our rows cost by our prices, in nano-dollars."""
        return sum(one.amount for one in self.spent)

    @property
    def difference(self) -> int:
        """What was billed beyond that."""
        return self.bill.total - self.ledger


def day_of(ts: float) -> str:
    """The day (UTC) of a time in Unix seconds."""
    return datetime.fromtimestamp(ts, UTC).strftime("%Y-%m-%d")


def day_start(day: str) -> int:
    """When a day began, in Unix seconds."""
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())


def next_day(day: str, by: int = 1) -> str:
    """The day after, or so many days after."""
    return day_of(day_start(day) + by * DAY)


def placed(spent: Iterable[Spent]) -> dict[Place, list[Spent]]:
    """Our rows by place; those that nobody bills stand under the provider ""."""
    found: defaultdict[Place, list[Spent]] = defaultdict(list)
    for one in spent:
        provider = biller(one.api, one.host, one.model) or ""
        found[provider, day_of(one.start), family(one.model)].append(one)
    return found


def buckets_of(one: Spent) -> Mapping[Bucket, int]:
    """The tokens of some attempts; cache writes count as short-lived ones."""
    tier = tier_of(one.tier)
    parts: tuple[tuple[Kind, int], ...] = (
        ("input", one.fresh), ("cache_read", one.cached), ("cache_write", one.written),
        ("output", one.output),
    )  # fmt: skip
    return {(kind, tier): tokens for kind, tokens in parts if tokens}


def counted(spent: Iterable[Spent]) -> Counter[Bucket]:
    """The tokens of attempts by bucket."""
    found: Counter[Bucket] = Counter()
    for one in spent:
        found.update(buckets_of(one))
    return found


def bills(lines: Sequence[Billed]) -> dict[Place, Bill]:
    """The bill of every place that has one.

    Tokens are those of the report on usage where it has the model on that day, else those that
    the costs tell: they are the same tokens.
    """
    counting = {(line.provider, line.day) for line in lines if line.report == "usage"}
    by_place: defaultdict[Place, list[Billed]] = defaultdict(list)
    for line in lines:
        by_place[line.provider, line.day, family(line.model)].append(line)
    return {
        place: _bill(members, usage=place[:2] in counting) for place, members in by_place.items()
    }


def _bill(lines: Sequence[Billed], *, usage: bool) -> Bill:
    counts = [line for line in lines if line.report == "usage"] or lines
    tokens: Counter[Bucket] = Counter()
    amounts: Counter[Bucket] = Counter()
    other: Counter[str] = Counter()
    whole = 0
    for line in counts:
        if line.tokens is not None and line.kind not in {"all", "other"}:
            tokens[line.kind, line.tier] += line.tokens
    for line in lines:
        if line.amount is None:
            continue
        if line.kind == "other":
            other[line.item or "items that are no tokens"] += line.amount
        elif line.kind == "all":
            whole += line.amount
        else:
            amounts[line.kind, line.tier] += line.amount
    told = usage or any(line.tokens is not None for line in counts)
    requests = [line.requests for line in counts if line.requests is not None]
    return Bill(
        tokens=tokens if told else None,
        requests=sum(requests) if requests else None,
        amounts=amounts,
        whole=whole,
        other=other,
        lines=sum(1 for line in lines if line.amount),
        names=frozenset(line.model for line in lines if line.model),
    )
