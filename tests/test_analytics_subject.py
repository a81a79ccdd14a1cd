from __future__ import annotations

from math import log, sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.late import Late
from budget_proxy.analytics.signs import Signs, Use, signs
from budget_proxy.analytics.subject import BOUNDS, WARM_UP, Probe, Subject
from budget_proxy.store.alerts import seen
from tests.makers import NOW, record

NOTHING: frozenset[str] = frozenset()


def sign(number: int, **given: Any) -> Signs:
    """A call that tells nothing but what is given."""
    bare = signs(seen(record(id=number, ts=NOW + number, finish_reason="error")), first=True)
    return bare._replace(**given)


def use(share: float, promised: float = 0.5) -> Use:
    """A budget used to a share."""
    over, under = share < 0.5, share > 0.95
    return Use(share, not (over or under), over, under, share / 2, promised)


@given(st.lists(st.booleans(), min_size=1, max_size=120))
def test_a_sum_is_the_greatest_of_all_sums_up_to_now(estimated: list[bool]) -> None:
    """Page's recursion is the greatest sum of the newest steps, up to its bound, else 0."""
    subject = Subject(("a", "t", "m"), group=True)
    subject.calls = WARM_UP
    steps = [log(0.25 / 0.05) if one else log(0.75 / 0.95) for one in estimated]
    for number, one in enumerate(estimated):
        subject.learn(sign(number, estimated=one), young=False, known=NOTHING)
    sums = [sum(steps[start:]) for start in range(len(steps))]
    expected = max(0.0, *sums) if sums else 0.0
    found = subject.sums[Probe.ESTIMATED]
    if all(
        sum(steps[start:end]) < BOUNDS[Probe.ESTIMATED]
        for end in range(1, len(steps) + 1)
        for start in range(end)
    ):
        assert found == pytest.approx(expected, abs=1e-9)
    else:
        assert found <= BOUNDS[Probe.ESTIMATED]


def test_a_test_alarms_at_its_bound_and_knows_where_it_began() -> None:
    """Eight estimates in a row: 8 x ln 5 = 12.9 is above 12; the first of them is the first."""
    subject = Subject(("a", "t", "m"), group=True)
    alarms = []
    for number in range(WARM_UP + 8):
        late = number >= WARM_UP
        _, found = subject.learn(sign(number, estimated=late), young=False, known=NOTHING)
        alarms.append(found)
    assert alarms[-1] == [Probe.ESTIMATED]
    assert not any(alarms[:-1])
    assert subject.firsts[Probe.ESTIMATED] == WARM_UP
    assert subject.since[Probe.ESTIMATED] == NOW + WARM_UP


@given(st.lists(st.floats(0.0, 4.0), min_size=1, max_size=300))
def test_use_of_late_is_what_a_weighted_mean_says(shares: list[float]) -> None:
    """Every figure agrees with sums of .99 to the power of a call's age."""
    late = Late()
    for share in shares:
        late.learn(use(share))
    weights = [0.99**age for age in range(len(shares) - 1, -1, -1)]
    whole = sum(weights)

    def mean(numbers: list[float]) -> float:
        return sum(w * n for w, n in zip(weights, numbers, strict=True)) / whole

    figures = late.figures()
    assert late.measured == len(shares)
    assert figures["utilisation"] == pytest.approx(mean(shares))
    assert figures["over"] == pytest.approx(mean([float(s < 0.5) for s in shares]))
    assert figures["under"] == pytest.approx(mean([float(s > 0.95) for s in shares]))
    assert figures["accuracy"] == pytest.approx(mean([float(0.5 <= s <= 0.95) for s in shares]))
    calls = whole * whole / sum(w * w for w in weights)
    efficiency = mean([s / 2 for s in shares])
    spread = sqrt(max(mean([s * s / 4 for s in shares]) - efficiency**2, 0.0))
    bound = efficiency + 1.959963984540054 * spread / sqrt(calls)
    assert figures["efficiency_at_most"] == pytest.approx(bound, abs=1e-6)


def test_of_late_tells_as_much_as_two_hundred_calls() -> None:
    """The weights of many calls come to an effective number of 199."""
    late = Late()
    for _ in range(3_000):
        late.learn(use(0.7))
    assert late.numbers[1] ** 2 / late.numbers[2] == pytest.approx(199.0)


def test_misfits_are_judged_by_the_bound_of_the_accuracy() -> None:
    """Fewer fit than promised, but not by ten points for certain: no alarm, whatever the sum."""
    subject = Subject(("a", "t", "m"), group=True)
    alarms: list[Probe] = []
    for number in range(2_000):
        share = 0.7 if number % 10 < 4 else 0.3  # 40 % fit, where 55 % were promised
        _, found = subject.learn(
            sign(number, use=use(share, promised=0.55)), young=False, known=NOTHING
        )
        alarms += found
    assert alarms == []
    for number in range(2_000, 2_060):
        _, found = subject.learn(
            sign(number, use=use(0.3, promised=0.55)), young=False, known=NOTHING
        )
        alarms += found
    assert set(alarms) == {Probe.MISFIT}


def test_nothing_but_the_use_of_budgets_is_tested_while_a_subject_is_new() -> None:
    """Thirty calls only tell what is usual."""
    subject = Subject(("a", "t", "m"), group=True)
    for number in range(WARM_UP):
        _, found = subject.learn(
            sign(number, estimated=True, cut=True, length=3.0), young=False, known=NOTHING
        )
        assert found == []


def test_what_is_known_already_becomes_usual_but_for_cuts() -> None:
    """With an open alert on lengths the level follows; with one on cuts their share does not."""
    subject = Subject(("a", "t", "m"), group=True)
    for number in range(100):
        subject.learn(sign(number, cut=False, length=0.0, tokens=6.0), young=False, known=NOTHING)
    level, share = subject.usual_length(), subject.cut[1] / subject.cut[0]
    known = frozenset({"longer", "truncation"})
    subject.follow()
    for number in range(100, 200):
        subject.learn(sign(number, cut=True, length=0.0, tokens=7.0), young=False, known=known)
    assert level == pytest.approx(6.0)
    assert subject.usual_length() == pytest.approx(7.0, abs=0.25)
    assert subject.cut[1] / subject.cut[0] == share
