from __future__ import annotations

import random
from math import exp, log, sqrt
from typing import Any

import pytest
from hypothesis import assume, given
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
    return Use(share, not (over or under), over, under, share / 2, promised, expected=share / 2)


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


@given(
    st.lists(st.sampled_from([0.3, 0.5, 0.6, 0.8, 1.0]), max_size=60),
    st.floats(0.45, 1.0),
    st.sampled_from([0.3, 0.5]),
    st.sampled_from([0.6, 0.8, 1.0]),
)
def test_a_wager_on_a_drop_gains_nothing_while_there_is_none(
    before: list[float], expected: float, low: float, high: float
) -> None:
    """Whatever came before: of efficiencies whose mean is what may be, e ** step is 1 on average.

    What may be is 60 %, or ten points below what was expected. Half of a point less is a gain.
    """
    late = Late()
    for efficiency in before:
        late.learn(use(0.7)._replace(efficiency=efficiency, expected=expected))
    least = min(0.6, expected - 0.1)
    assume(low < least < high or least == high)
    chance = (least - low) / (high - low)  # of the higher one

    def gain(chance: float) -> float:
        steps = [
            late.drop(use(0.7)._replace(efficiency=one, expected=expected)) for one in (low, high)
        ]
        return (1 - chance) * exp(steps[0]) + chance * exp(steps[1])

    assert gain(chance) == pytest.approx(1.0)
    assert gain(chance - 0.005) > 1.0


def test_efficiencies_that_are_no_lower_than_may_be_hardly_ever_alarm() -> None:
    """Of 100,000 calls at the limit the CUSUM alone alarms at most five times."""
    draw = random.Random(4)  # noqa: S311 (no secret)
    late, total, alarms = Late(), 0.0, 0
    for _ in range(100_000):
        # .3 and 1.0 as often as .6 and .5: .58 on average, where .68 was expected
        efficiency = draw.choice([0.3, 1.0, 0.3, 1.0, 0.5, 0.5, 0.5, 0.54])
        one = use(0.7)._replace(efficiency=efficiency, expected=0.68)
        total = max(total + late.drop(one), 0.0)
        late.learn(one)
        if total >= BOUNDS[Probe.INEFFICIENT]:
            total, alarms = 0.0, alarms + 1
    assert alarms <= 5


def test_a_state_of_an_earlier_version_is_taken_up() -> None:
    """It had one test less, and knew of confidence, and not of the efficiency, what to expect."""
    subject = Subject(("a", "t", "m"), group=True)
    for number in range(60):
        subject.learn(sign(number, use=use(0.7)), young=False, known=NOTHING)
    values = subject.dump()
    for place in (2, 3, 4):
        values[place] = values[place][: Probe.INEFFICIENT]
    values[-1] = values[-1][:10]
    old = Subject.load(subject.scope, values, group=True)
    assert old.late.figures()["possible"] == pytest.approx(0.40 + 0.45 * 0.5)
    assert len(old.sums) == len(old.since) == len(old.firsts) == len(BOUNDS)
    old.learn(sign(61, use=use(0.7)), young=False, known=NOTHING)


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
