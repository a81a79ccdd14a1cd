"""What open calls hold together: no more than the sum of reserves, and enough for the sum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.ledger.calibration import Calibration
from budget_proxy.ledger.holds import Holds
from budget_proxy.ledger.moments import Stage, stages_of
from budget_proxy.ledger.totals import Share
from budget_proxy.types import Forecast

LEVELS = (0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)
QUANTILES = (68.0, 125.0, 245.0, 480.0, 881.0, 1268.0, 2504.0)
SPREADS = (0.35, 0.8, 1.2)


def share(sigma: float, median: float = 400.0) -> Share:
    """The share of a lognormal length."""
    square = sigma**2
    mean = median * np.exp(square / 2)
    variance = (np.exp(square) - 1) * mean**2
    third = (np.exp(square) + 2) * np.sqrt(np.exp(square) - 1) * variance**1.5
    reserve = round(median * np.exp(1.6449 * sigma))
    return Share(reserve, 100_000, float(mean), float(variance), float(third))


def proven() -> Calibration:
    """A calibration that has seen sums come out as forecasts promise."""
    found = Calibration()
    for score in np.random.default_rng(7).normal(0.0, 1.0, 400).tolist():
        found.learn(1_000.0 + 100.0 * score, 1_000.0, 100.0, 1_000.0, 10_000.0)
    return found


def test_until_sums_have_come_out_the_sum_of_reserves_is_held() -> None:
    """Nobody knows yet how far forecasts may be trusted together."""
    holds, known, trusting = Holds(), Holds(proven()), Holds(trusting=True)
    for number in range(48):
        for one in (holds, known, trusting):
            one.add(number, share(0.8))
    assert holds.amount(worst=False) == holds.reserved
    assert known.amount(worst=False) < 0.8 * holds.reserved
    assert trusting.amount(worst=False) < 0.8 * holds.reserved


@pytest.mark.parametrize("sigma", SPREADS)
@pytest.mark.parametrize("count", [2, 5, 20, 80])
def test_sums_stay_below_what_is_held(sigma: float, count: int) -> None:
    """98 of 100 sums of lengths of every usual spread; 95 where the sum of q95s is less."""
    holds = Holds(proven())
    for number in range(count):
        holds.add(number, share(sigma))
    held = holds.amount(worst=False)
    lengths = np.random.default_rng(count).lognormal(np.log(400.0), sigma, (20_000, count))
    promised = 0.945 if held == holds.reserved else 0.975
    assert (lengths.sum(axis=1) <= held).mean() >= promised
    assert held <= holds.reserved
    if count >= 20:
        assert held < 0.8 * holds.reserved


def test_one_call_holds_its_reserve_and_in_the_worst_case_its_cap() -> None:
    """A sum of one is no sum."""
    holds = Holds()
    one = share(0.8)
    assert holds.amount(False, one) == one.reserve
    holds.add("a", one)
    assert (holds.amount(False), holds.amount(True)) == (one.reserve, 100_000)
    assert holds.amount(True, one) == 200_000


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.sampled_from(SPREADS)), max_size=60))
def test_what_is_held_follows_from_what_is_open_alone(
    steps: list[tuple[bool, int, float]],
) -> None:
    """In whatever order calls came and went; with none open nothing is held."""
    holds, open_ = Holds(), {}
    for adds, key, sigma in steps:
        if adds and key not in open_:
            open_[key] = share(sigma, 50.0 * (key + 1))
            holds.add(key, open_[key])
        elif not adds:
            open_.pop(key, None)
            holds.remove(key)
    anew = Holds()
    for key, one in open_.items():
        anew.add(key, one)
    assert len(holds) == len(open_)
    assert holds.reserved == anew.reserved
    assert abs(holds.amount(False) - anew.amount(False)) <= 1
    for key in open_:
        holds.remove(key)
    assert (holds.amount(False), holds.amount(True)) == (0, 0)


def test_sums_that_come_out_otherwise_than_expected_are_learned_from() -> None:
    """Lengths twice as long as forecast: held is what they need after some hundred sums."""
    random = np.random.default_rng(5)
    holds, wrong, right = Holds(), share(0.8), share(0.8, 800.0)
    lengths: dict[int, int] = {}
    for number in range(12_000):
        if len(lengths) == 20:
            first = min(lengths)
            holds.settle(first, lengths.pop(first))
            holds.advance(float(number))
        lengths[number] = round(random.lognormal(np.log(800.0), 0.8))
        holds.add(number, wrong)
    true = Holds(proven())
    for number in range(20):
        true.add(number, right)
    told = holds.amount(False) / true.amount(False)
    assert 0.8 < told < 1.25
    assert holds.amount(False) > holds.reserved  # which has been seen to be too little


def test_what_is_held_follows_how_far_calls_have_got() -> None:
    """Less while all calls are young, more of one that goes on, nothing of those that ended."""
    stages = stages_of(Forecast(LEVELS, QUANTILES, "test", 100, 0.5), 4096)
    first, *rest = stages
    later = tuple(Stage(stage.after * 0.02, stage.moments) for stage in rest)
    moments = first.moments
    one = Share(1268, 4096, moments.mean, moments.variance, moments.third, later)
    holds = Holds(proven())
    for number in range(100):
        holds.add(number, one, 100.0)
    young = holds.amount(False)
    for number in range(40):
        holds.settle(number, 50)
    held = [holds.amount(False)]
    for after in (1.5, 3.0, 6.0):
        holds.advance(100.0 + after)
        held.append(holds.amount(False))
    assert held == sorted(set(held))
    assert held[0] < 0.7 * young
    for number in range(100):
        holds.settle(number, 50)
    assert holds.amount(False) == 0


@given(
    st.lists(st.tuples(st.sampled_from("asr"), st.integers(0, 9), st.floats(0, 40)), max_size=80)
)
def test_whatever_happens_what_is_held_stays_within_bounds(
    steps: list[tuple[str, int, float]],
) -> None:
    """Never negative; one call holds its reserve; in the worst case all of them their caps."""
    stages = stages_of(Forecast(LEVELS, QUANTILES, "test", 100, 0.5), 4096)
    later = tuple(Stage(stage.after * 0.02, stage.moments) for stage in stages[1:])
    moments = stages[0].moments
    one = Share(1268, 4096, moments.mean, moments.variance, moments.third, later)
    holds, open_, now = Holds(), set[int](), 0.0
    for what, key, seconds in steps:
        now += seconds
        holds.advance(now)
        if what == "a" and key not in open_:
            holds.add(key, one, now)
            open_.add(key)
        elif what != "a":
            open_.discard(key)
            holds.settle(key, 400) if what == "s" else holds.remove(key)
        assert 0 <= holds.amount(False) <= max(holds.reserved, holds.worst)
        assert holds.amount(True) == 4096 * len(open_)
        if len(open_) == 1:
            assert holds.amount(False) == 1268
