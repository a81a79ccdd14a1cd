from __future__ import annotations

from itertools import pairwise
from math import sqrt
from statistics import NormalDist
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.changes import (
    Change,
    Comparison,
    Span,
    Spread,
    compare,
    newcombe,
    shares,
    welch,
)
from budget_proxy.store.measures import sums_of
from budget_proxy.store.memory import MemoryStore
from budget_proxy.store.sums import total
from budget_proxy.types import CallRecord
from tests.makers import NOW, record

DAY = 86_400.0
MIDNIGHT = NOW - NOW % DAY
BEFORE, AFTER = Span(MIDNIGHT - 14 * DAY, MIDNIGHT - 7 * DAY), Span(MIDNIGHT - 7 * DAY, MIDNIGHT)


def budgeted(day: float, used: int = 800, **given: Any) -> CallRecord:
    """A call some days before MIDNIGHT, with its use of a budget of 1,000, for one cent."""
    facts = {"recommended": 1000, "cost": 0.01, "strategy": "quantile", "q90": 900.0, **given}
    return record(ts=MIDNIGHT - day * DAY, output_tokens=used, **facts)


def of(*rows: CallRecord) -> Comparison:
    """The two weeks of a history side by side, by agent."""
    store = MemoryStore()
    store.append(rows)
    return compare(store.sums, BEFORE, AFTER, "agent")


def change(found: Comparison, measure: str) -> Change:
    """One of its changes."""
    return next(one for one in found.changes if one.measure == measure)


def test_the_interval_of_a_difference_is_newcombes() -> None:
    """His own example (1998, table II a): 56 of 70 and 48 of 80 differ by .0524 to .3339."""
    low, high = newcombe((48, 80), (56, 70), NormalDist().inv_cdf(0.975))
    assert [low, high] == pytest.approx([0.0524, 0.3339], abs=5e-5)


def test_the_interval_of_two_means_is_welchs() -> None:
    """1, 2, 3 and 4, 6, 8: variances 1 and 4, so 1/3 + 4/3 = 5/3 with (5/3)^2 / (17/18) = 2.9.

    Of 2 degrees of freedom t is 4.303: half an interval of 4.303 * sqrt(5/3) = 5.555.
    """
    assert welch(Spread(1.0, 3), Spread(4.0, 3)) == pytest.approx(4.303 * sqrt(5 / 3))
    assert welch(Spread(1.0, 3), Spread(0.0, 1)) is None
    assert welch(Spread(0.0, 5), Spread(0.0, 5)) is None


def test_what_changed_by_hand() -> None:
    """A hundred calls a week; accurate 90 of them before, 60 after: 30 points less."""
    rows = [budgeted(8 + n % 5, 800 if n < 90 else 100) for n in range(100)]
    rows += [budgeted(1 + n % 5, 800 if n < 60 else 100) for n in range(100)]
    found = of(*rows)
    accuracy = change(found, "accuracy")
    assert (accuracy.before, accuracy.after, accuracy.beyond_noise) == (0.9, 0.6, True)
    assert accuracy.difference == pytest.approx(-0.3)
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert -0.5 < accuracy.low < -0.3 < accuracy.high < 0
    assert change(found, "truncated").beyond_noise is False
    # efficiency: .9 * 1.0 + .1 * .3 = .93, then .6 + .4 * .3 = .72
    efficiency = change(found, "efficiency")
    assert [efficiency.before, efficiency.after] == pytest.approx([0.93, 0.72])
    assert efficiency.beyond_noise is True


def test_totals_are_told_by_day_and_judged_by_how_days_differ() -> None:
    """7, 8, 9 ... calls a day; twice as many a week later is no noise, one more is."""
    rows = [budgeted(7.5 + day) for day in range(7) for _ in range(7 + day % 3)]
    twice = [budgeted(0.5 + day) for day in range(7) for _ in range(2 * (7 + day % 3))]
    more = [budgeted(0.5 + day) for day in range(7) for _ in range(7 + (day + 1) % 3)]
    doubled = change(of(*rows, *twice), "calls_a_day")
    assert doubled.before == pytest.approx(len(rows) / 7)
    assert doubled.difference == pytest.approx(len(rows) / 7)
    assert doubled.beyond_noise is True
    assert change(of(*rows, *more), "calls_a_day").beyond_noise is False
    assert change(of(*rows, *twice), "cost_a_day").after == pytest.approx(len(twice) * 0.01 / 7)


def test_an_unknown_price_leaves_the_change_of_cost_unknown() -> None:
    """It is not a cheap week."""
    cost = change(of(budgeted(8), budgeted(1, cost=None)), "cost_a_day")
    assert (cost.before, cost.difference, cost.beyond_noise) == (None, None, None)


def test_what_was_not_measured_has_no_change() -> None:
    """A week without budgets beside one with them."""
    found = of(budgeted(8, recommended=None), budgeted(1))
    accuracy = change(found, "accuracy")
    assert (accuracy.before, accuracy.after, accuracy.difference) == (None, 1.0, None)
    assert change(found, "efficiency").difference is None


def test_two_days_are_too_few_to_tell_noise_from_change() -> None:
    """Totals have a difference then, and no interval."""
    store = MemoryStore()
    store.append([budgeted(1.5), budgeted(0.5), budgeted(0.5)])
    days = Span(MIDNIGHT - 2 * DAY, MIDNIGHT - DAY), Span(MIDNIGHT - DAY, MIDNIGHT)
    calls = change(compare(store.sums, *days, "agent"), "calls_a_day")
    assert (calls.before, calls.after, calls.difference) == (1.0, 2.0, 1.0)
    assert calls.beyond_noise is None


def test_groups_that_changed_are_new_or_are_gone() -> None:
    """One agent gets worse, one stays, one has few calls; one comes, one goes, a rare one rests."""
    rows = [
        *(budgeted(8, agent="worse") for _ in range(80)),
        *(budgeted(1, 100 if n % 2 else 800, agent="worse") for n in range(80)),
        *(budgeted(day, agent="same") for day in (8, 1) for _ in range(80)),
        *(budgeted(8, agent="few") for _ in range(9)),
        *(budgeted(1, 100, agent="few") for _ in range(9)),
        *(budgeted(8, agent="gone") for _ in range(5)),
        *(budgeted(1, agent="new") for _ in range(5)),
        *(budgeted(8, agent="rare") for _ in range(4)),
    ]
    found = of(*rows)
    assert {one.group for one in found.moved} == {("worse",)}
    assert {one.change.measure for one in found.moved} == {
        "accuracy", "over_allocated",
    }  # fmt: skip
    assert (found.new, found.gone) == ((("new",),), (("gone",),))


@pytest.mark.parametrize(("days", "parts"), [(2, 0), (3, 3), (7, 7), (14, 7), (30, 10), (91, 9)])
def test_spans_are_cut_into_ten_parts_of_whole_days_at_most(days: int, parts: int) -> None:
    """Equal ones, side by side, the last of them at the end."""
    found = Span(MIDNIGHT - days * DAY, MIDNIGHT + 100).parts()
    assert len(found) == parts
    assert len({part.days for part in found}) <= 1
    assert not found or found[-1].end == MIDNIGHT
    assert all(one.end == other.start for one, other in pairwise(found))


ROWS = st.lists(
    st.builds(
        budgeted,
        st.floats(0.001, 13.999),
        st.integers(0, 2000),
        truncated=st.booleans(),
        finish_reason=st.sampled_from(["stop", "error"]),
        cost=st.none() | st.floats(0, 1),
        ceiling=st.none() | st.integers(1, 2000),
    ),
    max_size=40,
)


@given(ROWS)
def test_every_change_is_that_of_the_rows(rows: list[CallRecord]) -> None:
    """By brute force: both weeks' sums, and shares from them."""
    found = of(*rows)
    old, new = (
        [row for row in rows if span.start <= row.ts < span.end] for span in (BEFORE, AFTER)
    )
    assert found.changes[3:-1] == tuple(shares(total(sums_of(old)), total(sums_of(new))))
    calls = change(found, "calls_a_day")
    assert calls.before == pytest.approx(len(old) / 7)
    assert calls.after == pytest.approx(len(new) / 7)
    cut = change(found, "truncated")
    if old and new:
        assert cut.before == pytest.approx(sum(row.truncated for row in old) / len(old))
        assert cut.after == pytest.approx(sum(row.truncated for row in new) / len(new))
    for one in found.changes:
        if one.low is not None and one.high is not None and one.difference is not None:
            assert one.low - 1e-12 <= one.difference <= one.high + 1e-12
