"""The done-when of reconciliation: a simulated month against exports with seeded faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Final

import pytest

from budget_proxy.analytics.billing.explanations import Explanation
from budget_proxy.analytics.billing.reconcile import Reconciliation, reconcile
from budget_proxy.analytics.billing.verdict import verdict
from budget_proxy.store.billed import NANO, spent_of
from budget_proxy.types import CallRecord
from tests.simulated_months import (
    DAYS,
    FIRST,
    LAST,
    Price,
    Real,
    costing,
    day_of,
    exports,
    lines_of,
    listed,
    month,
    row,
)

SEEDS: Final = (0, 1)
LOST: Final = ("2026-10-07", "2026-10-19")
DEARER_SINCE: Final = "2026-10-14"
SHIFTED: Final = "2026-10-22"
TWICE: Final = "2026-10-09"
NOVA: Final = "gpt-9-nova"
HOUR: Final = 3_600


@dataclass(frozen=True)
class Fault:
    """What is done to our rows, or to what is billed, and what has to be named."""

    cause: str
    model: str
    days: Callable[[Sequence[Real]], set[str]]
    amount: Callable[[Sequence[Real]], float]
    off: Callable[[Real], float] = lambda _: 1.0
    rows: Callable[[Real, CallRecord], list[CallRecord]] = lambda _, own: [own]
    billed_as: Callable[[Real], Real] = lambda call: call
    price: Price = listed
    filed: Callable[[Real], str] = lambda call: call.day


def cost(call: Real, price: Price = listed) -> float:
    """What a call costs, in dollars."""
    parts = (("input", call.fresh), ("cache_read", call.cached), ("cache_write", call.written),
             ("output", call.output))  # fmt: skip
    return 0.0 if call.failed else float(sum(n * price(call, kind) for kind, n in parts if n))


def is_lost(call: Real) -> bool:
    """Two of three calls to one model on two days."""
    return call.model == "claude-haiku-4-5" and call.day in LOST and call.number % 3 > 0


def dearer(call: Real, kind: str) -> Decimal:
    """A fifth more for one model since the middle of the month."""
    risen = call.model == "gpt-5-mini" and call.day >= DEARER_SINCE
    return listed(call, kind) * (Decimal("1.2") if risen else 1)


def uncached(call: Real, kind: str) -> Decimal:
    """Cache reads of one model at the price of fresh input."""
    full = call.model == "gpt-5.4" and kind == "cache_read"
    return listed(call, "input" if full else kind)


def later(call: Real) -> str:
    """The last three hours of one day under the next day."""
    return day_of(call.ts + 3 * HOUR) if call.day == SHIFTED else call.day


def is_broken(call: Real) -> bool:
    """Whether what it used is an estimate."""
    return call.broken and not call.failed and call.model == "claude-sonnet-4-5"


def is_nova(call: Real) -> bool:
    """Whether it went to the model that our table does not know."""
    return call.agent == "writer" and call.model == "gpt-5-mini" and not call.failed


def of(test: Callable[[Real], bool]) -> Callable[[Sequence[Real]], set[str]]:
    """The days on which there is such a call."""
    return lambda calls: {call.day for call in calls if test(call)}


def worth(test: Callable[[Real], bool], sign: int = 1) -> Callable[[Sequence[Real]], float]:
    """What such calls cost in all."""
    return lambda calls: sign * sum(cost(call) for call in calls if test(call))


def beyond(price: Price) -> Callable[[Sequence[Real]], float]:
    """What another price makes of all calls."""
    return lambda calls: sum(cost(call, price) - cost(call) for call in calls)


def overestimated(calls: Sequence[Real]) -> float:
    """What the estimates of one model were too high by."""
    return -sum(
        (round(1.4 * call.output) - call.output) * float(listed(call, "output"))
        for call in calls
        if is_broken(call)
    )


def answered(test: Callable[[Real], bool]) -> Callable[[Real], bool]:
    """Such calls, but for those that failed."""
    return lambda call: test(call) and not call.failed


FAULTS: Final[dict[str, Fault]] = {
    "rows lost on two days": Fault(
        "missing-rows", "claude-haiku-4-5", of(answered(is_lost)), worth(is_lost),
        rows=lambda call, own: [] if is_lost(call) else [own],
    ),
    "a price changed amid the month": Fault(
        "price", "gpt-5-mini",
        of(answered(lambda c: c.model == "gpt-5-mini" and c.day >= DEARER_SINCE)), beyond(dearer),
        price=dearer,
    ),
    "cache reads billed as fresh input": Fault(
        "cache", "gpt-5.4", of(answered(lambda c: c.model == "gpt-5.4" and c.cached > 0)),
        beyond(uncached), price=uncached,
    ),
    "estimates 40 % too high": Fault(
        "estimated-usage", "claude-sonnet-4-5", of(is_broken), overestimated,
        off=lambda call: 1.4 if call.model == "claude-sonnet-4-5" else 1.0,
    ),
    "a model that our table does not know": Fault(
        "unknown-price", NOVA, of(is_nova), worth(is_nova),
        rows=lambda call, own: [replace(own, model=NOVA, cost=None, prices=None)]
        if is_nova(call) else [own],
        billed_as=lambda call: replace(call, billed_as=f"{NOVA}-2026-09-01")
        if is_nova(call) else call,
    ),
    "the end of a day billed on the next": Fault(
        "day-boundary", "", lambda _: {SHIFTED, "2026-10-23"}, lambda _: 0.0, filed=later,
    ),
    "calls imported twice": Fault(
        "repeated-rows", "claude-sonnet-4-5",
        of(answered(lambda c: c.day == TWICE and c.model == "claude-sonnet-4-5")),
        worth(lambda c: c.day == TWICE and c.model == "claude-sonnet-4-5", -1),
        rows=lambda call, own: [own, replace(own, call_id=f"again-{own.call_id}")]
        if call.day == TWICE and call.model == "claude-sonnet-4-5" else [own],
    ),
}  # fmt: skip


def compared(calls: Sequence[Real], faults: Iterable[Fault], folder: Path) -> Reconciliation:
    """The month with these faults: rows, and exports written and read again."""
    seeded = list(faults)
    rows: list[CallRecord] = []
    for call in calls:
        off = next((fault.off(call) for fault in seeded if fault.off(call) != 1.0), 1.0)
        own = [row(call, off=off)]
        for fault in seeded:
            own = [one for before in own for one in fault.rows(call, before)]
        rows += own
    billed = list(calls)
    for fault in seeded:
        billed = [fault.billed_as(call) for call in billed]
    changed = [fault.price for fault in seeded if fault.price is not listed]
    moved = [
        fault.filed for fault in seeded if fault.filed(calls[0]) and fault.cause == "day-boundary"
    ]

    def price(call: Real, kind: str) -> Decimal:
        return next((p(call, kind) for p in changed if p(call, kind) != listed(call, kind)),
                    listed(call, kind))  # fmt: skip

    made = exports(billed, price=price, filed=moved[0] if moved else lambda call: call.day)
    found = reconcile(spent_of(rows), lines_of(made.write(folder)), FIRST, LAST)
    assert found.explained_nano + found.unexplained_nano == found.difference_nano
    assert sum(one.amount_nano for one in found.explanations) == found.explained_nano
    return found


def named(found: Reconciliation) -> dict[tuple[str, str], Explanation]:
    """What was named, but for rounding; of a day's boundary both providers' as one."""
    return {(one.cause, one.model): one for one in found.explanations if one.cause != "rounding"}


def check(fault: Fault, calls: Sequence[Real], found: Reconciliation) -> None:
    """The fault is named with its model, its days and about its amount."""
    one = named(found)[fault.cause, fault.model]
    assert set(one.days) == fault.days(calls)
    assert one.amount_nano / NANO == pytest.approx(fault.amount(calls), rel=0.03, abs=1e-6)
    assert one.evidence


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_named_where_there_is_no_fault(seed: int, tmp_path: Path) -> None:
    """Rows and bill agree to the last nano-dollar but for rounding, estimates that hit included."""
    calls = month(seed)
    assert any(call.broken for call in calls)
    assert any(call.failed for call in calls)
    found = compared(calls, (), tmp_path)
    assert named(found) == {}
    assert found.unexplained_nano == 0
    assert abs(found.difference_nano) <= len(calls)
    assert "they agree" in verdict(found)
    assert {line.day for line in found.lines} == {
        day_of(1_790_812_800 + 86_400 * n) for n in range(DAYS)
    }


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_named_and_nothing_else(name: str, seed: int, tmp_path: Path) -> None:
    """One by one: cause, model, days and amount; no other cause, and nothing unexplained."""
    calls, fault = month(seed), FAULTS[name]
    found = compared(calls, (fault,), tmp_path)
    check(fault, calls, found)
    assert set(named(found)) == {(fault.cause, fault.model)}
    assert found.unexplained_nano == 0
    if fault.cause == "price":
        one = named(found)[fault.cause, fault.model]
        assert one.since == min(one.days) >= DEARER_SINCE
        assert "output $2.00 a million in our rows, $2.40 a million on the bill" in one.evidence


@pytest.mark.parametrize("seed", SEEDS)
def test_all_faults_at_once_are_all_named(seed: int, tmp_path: Path) -> None:
    """Seven faults in one month: each with its days and its amount, and nothing else."""
    calls = month(seed)
    found = compared(calls, FAULTS.values(), tmp_path)
    got = named(found)
    assert set(got) == {(fault.cause, fault.model) for fault in FAULTS.values()}
    for fault in FAULTS.values():
        one = got[fault.cause, fault.model]
        if fault.cause == "price":  # some of its calls went to the unknown model
            assert one.since is not None
            assert one.since >= DEARER_SINCE
            continue
        assert set(one.days) == fault.days(calls), fault.cause
        expected = fault.amount(calls)
        if fault.cause == "unknown-price":
            expected = sum(cost(call, dearer) for call in calls if is_nova(call))
        if fault.cause == "repeated-rows":  # the estimates among them were too high as well
            expected += sum(
                -0.4 * call.output * float(listed(call, "output"))
                for call in calls if is_broken(call) and call.day == TWICE
            )  # fmt: skip
        assert one.amount_nano / NANO == pytest.approx(expected, rel=0.05, abs=1e-6), fault.cause


PAIRS: Final = [
    (one, other) for number, one in enumerate(FAULTS) for other in [*FAULTS][number + 1 :]
]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_any_two_faults_are_told_apart(one: str, other: str, tmp_path: Path) -> None:
    """Each pair of faults gives these two causes, and no third."""
    calls = month(7)
    found = compared(calls, (FAULTS[one], FAULTS[other]), tmp_path)
    expected = {(FAULTS[name].cause, FAULTS[name].model) for name in (one, other)}
    assert set(named(found)) == expected


@pytest.mark.parametrize("hours", [-9, -5, 2, 8])
def test_an_export_in_another_time_zone_is_told(hours: int, tmp_path: Path) -> None:
    """All days shifted: the hours are told, and nothing is taken for lost rows."""
    calls = month(3)
    shifted = Fault(
        "day-boundary", "", lambda _: set(), lambda _: 0.0,
        filed=lambda call: day_of(call.ts + hours * HOUR),
    )  # fmt: skip
    found = compared(calls, (shifted,), tmp_path)
    assert {one.cause for one in named(found).values()} == {"day-boundary"}
    side = "before" if hours > 0 else "after"
    assert (
        f"begin about {abs(hours)} h {side} midnight" in named(found)["day-boundary", ""].evidence
    )


def test_calls_billed_when_they_end_are_told(tmp_path: Path) -> None:
    """Calls that began before midnight and ended after it stand on the later day of the bill."""
    calls = [
        replace(call, ts=call.ts - call.ts % 86_400 + 86_400 - 60, seconds=120.0)
        if call.number % 25 == 0 else call
        for call in month(4)
    ]  # fmt: skip
    ending = Fault(
        "day-boundary", "", lambda _: set(), lambda _: 0.0,
        filed=lambda call: day_of(call.ts + call.seconds),
    )  # fmt: skip
    found = compared(calls, (ending,), tmp_path)
    assert {one.cause for one in named(found).values()} == {"day-boundary"}
    assert "ended after midnight" in named(found)["day-boundary", ""].evidence


@pytest.mark.parametrize("off", [0.6, 1.4])
@pytest.mark.parametrize("model", ["gpt-5.4", "claude-haiku-4-5"])
def test_estimates_are_told_from_lost_rows(model: str, off: float, tmp_path: Path) -> None:
    """Where requests, or else input, are the same, tokens that differ are the estimates'."""
    calls = month(5)
    fault = Fault(
        "estimated-usage", model, lambda _: set(), lambda _: 0.0,
        off=lambda call: off if call.model == model else 1.0,
    )  # fmt: skip
    one = named(compared(calls, (fault,), tmp_path))["estimated-usage", model]
    assert "40 % too " + ("few" if off < 1 else "many") in one.evidence
    assert one.other is None


def test_cached_tokens_that_our_rows_do_not_tell_apart_are_named(tmp_path: Path) -> None:
    """As fresh input in our rows, and as cache reads on the bill: cache, and how it was counted."""
    calls = month(6)

    def blind(call: Real, own: CallRecord) -> list[CallRecord]:
        if call.model != "gpt-5.4":
            return [own]
        return [costing(replace(own, cache_read_tokens=None, cost=None))]

    fault = Fault("cache", "gpt-5.4", lambda _: set(), lambda _: 0.0, rows=blind)
    found = compared(calls, (fault,), tmp_path)
    one = named(found)["cache", "gpt-5.4"]
    assert set(named(found)) == {("cache", "gpt-5.4")}
    assert "billed as cache reads, in our rows fresh input" in one.evidence
    assert one.amount_nano < 0


def test_rows_priced_as_if_nothing_were_cached_are_named(tmp_path: Path) -> None:
    """The tokens agree, but our rows' costs are those of fresh input."""
    calls = month(6)

    def full(call: Real, own: CallRecord) -> list[CallRecord]:
        if call.model != "gpt-5.4":
            return [own]
        return [replace(own, cost=costing(replace(own, cache_read_tokens=None, cost=None)).cost)]

    fault = Fault("cache", "gpt-5.4", lambda _: set(), lambda _: 0.0, rows=full)
    found = compared(calls, (fault,), tmp_path)
    assert set(named(found)) == {("cache", "gpt-5.4")}
    assert "our rows have them at the price of fresh input" in (
        named(found)["cache", "gpt-5.4"].evidence
    )


def test_the_verdict_says_it_in_one_line(tmp_path: Path) -> None:
    """Both sides, how far apart, and what makes most of it."""
    faults = (FAULTS["rows lost on two days"], FAULTS["a price changed amid the month"])
    said = verdict(compared(month(0), faults, tmp_path))
    assert "\n" not in said
    assert "% more billed" in said
    assert "rows that we never saw (claude-haiku-4-5, 2 days)" in said
    assert "another price (gpt-5-mini, since 2026-10-14)" in said
