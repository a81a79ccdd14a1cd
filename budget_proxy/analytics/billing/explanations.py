"""The same cause on several days as one explanation, with what speaks for it in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Final

from budget_proxy.analytics.billing.cells import Place, next_day
from budget_proxy.analytics.billing.counts import named
from budget_proxy.analytics.billing.parts import CAUSES, Cause, Part
from budget_proxy.analytics.numbers import percent, short, whole
from budget_proxy.store.billed import NANO, Spent
from budget_proxy.types import frozen

Found = Sequence[tuple[str, Part]]
"""Parts with their days, in order."""

_MILLION: Final = 1_000_000
_HALF: Final = (Fraction(49, 100), Fraction(51, 100))
_FEW: Final = 2
_OF_ALL: Final[frozenset[Cause]] = frozenset({"day-boundary", "rounding"})
"""Causes that are told of all models together."""


@frozen
class Explanation:
    """What one cause makes of the difference; ``model`` is "" where it is about all of them.

    ``amount_nano`` is in nano-dollars, positive where more was billed than our rows cost.
    ``since`` is the first day, where it began amid the days compared and went on to the last.
    ``tokens`` and ``requests`` are those that the bill has beyond our rows, or those it is about.
    ``other`` is a cause that the figures would allow as well.
    """

    cause: Cause
    what: str
    provider: str
    model: str
    days: tuple[str, ...]
    since: str | None
    amount_nano: int
    tokens: int
    requests: int | None
    evidence: str
    other: Cause | None = None


def explanations(
    parts: Mapping[Place, Sequence[Part]],
    ledger: Mapping[Place, Sequence[Spent]],
) -> tuple[Explanation, ...]:
    """All of them, those that move most first."""
    groups: defaultdict[tuple[Cause, str, str, str], list[tuple[str, Part]]] = defaultdict(list)
    spans: dict[tuple[str, str], tuple[str, str]] = {}
    for (provider, day, model), some in sorted(parts.items()):
        for key in ((provider, model), (provider, "")):
            low, high = spans.get(key, (day, day))
            spans[key] = min(day, low), max(day, high)
        for part in some:
            about = "" if part.cause in _OF_ALL else model
            note = part.note if part.cause in {"other-items", "day-boundary"} else ""
            groups[part.cause, provider, about, note].append((day, part))
    known = {(place[0], place[2]) for place, rows in ledger.items() if rows}
    found = [
        _explanation(key[:3], some, spans[key[1], key[2]], known) for key, some in groups.items()
    ]
    moving = [one for one in found if one is not None]
    return tuple(sorted(moving, key=lambda one: (-_weight(one), one.cause, one.model)))


def _weight(one: Explanation) -> int:
    return abs(one.amount_nano)


def _explanation(
    key: tuple[Cause, str, str], some: Found, span: tuple[str, str], known: set[tuple[str, str]]
) -> Explanation | None:
    cause, provider, model = key
    some = [(day, part) for day, part in some if part.amount or part.tokens]
    if not some:
        return None
    days = tuple(sorted({day for day, _ in some}))
    requests = [part.requests for _, part in some if part.requests is not None]
    unsure = [part for _, part in some if part.other is not None]
    half = sum(abs(part.amount) for _, part in some) / 2
    other = unsure[0].other if sum(abs(part.amount) for part in unsure) > half else None
    return Explanation(
        cause=cause,
        what=CAUSES[cause],
        provider=provider,
        model=model,
        days=days,
        since=days[0] if _goes_on(days, *span) else None,
        amount_nano=int(sum((part.amount for _, part in some), Fraction(0))),
        tokens=sum(part.tokens for _, part in some),
        requests=sum(requests) if requests else None,
        evidence=_evidence(cause, some, new=(provider, model) not in known),
        other=other,
    )


def _goes_on(days: Sequence[str], first: str, last: str) -> bool:
    """Whether it began after the first day compared, and went on to the last, with few gaps."""
    if len(days) == 1 or days[0] == first or days[-1] != last:
        return False
    day, count = days[0], 1
    while day < days[-1]:
        day, count = next_day(day), count + 1
    return count - len(days) <= len(days)


def _evidence(cause: Cause, some: Found, *, new: bool) -> str:
    """What speaks for a cause, in words."""
    notes = list(dict.fromkeys(part.note for _, part in some if part.note))
    if cause in {"price", "cache", "tier"}:
        return "; ".join((*_prices(some), *notes))
    if cause == "estimated-usage":
        return "; ".join((*_off(some), *notes))
    said = _counted(cause, some, new=new)
    return "; ".join((*([said] if said else []), *notes))


def _counted(cause: Cause, some: Found, *, new: bool) -> str:
    """Which tokens and requests a cause is about."""
    tokens = sum(part.tokens for _, part in some)
    requests = sum(part.requests or 0 for _, part in some)
    calls = f" and {whole(abs(requests))} requests" if requests else ""
    said = ""
    match cause:
        case "missing-rows":
            said = f"the bill has {short(tokens)} tokens{calls} beyond our rows"
            said = said if tokens else "our rows have nothing of what was billed"
            said += "; none of our rows has this model" if new else ""
        case "unbilled-rows":
            what = f"{short(-tokens)} tokens{calls}" if tokens else f"{whole(abs(requests))} calls"
            said = f"our rows have {what} that the bill does not have"
        case "repeated-rows":
            said = f"{whole(-requests)} rows have time, model and tokens of another row"
        case "unknown-price":
            rate = f", billed at {_rate(_total(some) / tokens)}" if tokens else ""
            said = f"{short(tokens)} tokens without a price in our rows{rate}"
        case "day-boundary":
            over = max(sum(abs(part.tokens) for _, part in some) // 2, abs(tokens))
            said = f"{short(over)} tokens are filed otherwise"
        case "rounding":
            said = "amounts are rounded"
    return said


def _total(some: Found) -> Fraction:
    return sum((part.amount for _, part in some), Fraction(0))


def _off(some: Found) -> Iterator[str]:
    """How far estimates were off, in all."""
    estimate = sum(part.estimate for _, part in some)
    if estimate:
        lacking = sum(part.tokens for _, part in some)
        billed = estimate + lacking
        share = percent(abs(lacking) / billed) if billed else "all"
        how = "too few" if lacking > 0 else "too many"
        told = f"{short(estimate)} tokens were estimated, {short(billed)} billed"
        yield f"{told}: {share} {how}"


def _prices(some: Found) -> Iterator[str]:
    """Old and new price by kind of token; of several the first and the last."""
    by_bucket: defaultdict[str, list[tuple[str, Part]]] = defaultdict(list)
    for day, part in some:
        if part.bucket is not None and part.ours is not None and part.theirs is not None:
            by_bucket[named(part.bucket)].append((day, part))
    days = {day for day, _ in some}
    for name, members in sorted(by_bucket.items()):
        part = members[-1][1]
        yield f"{name} {_rate(part.ours)} in our rows, {_rate(part.theirs)} on the bill"
        if part.ours and part.theirs and _HALF[0] <= part.theirs / part.ours <= _HALF[1]:
            yield "half the price, as for batches or flex"
        several = Counter(_rate(one.theirs) for _, one in members)
        if len(several) > _FEW:
            yield f"{len(several)} different prices"
    if len(days) == 1:
        yield "seen on one day only"


def _rate(price: Fraction | None) -> str:
    """A price of one token in nano-dollars, as dollars a million tokens."""
    dollars = float(price or 0) * _MILLION / NANO
    return f"${dollars:.3g} a million" if dollars < 1 else f"${dollars:,.2f} a million"
