from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from budget_proxy.analytics.presence import presence_of

DAYS = np.arange(56)
WEEKDAYS = DAYS % 7


def drawn(there: NDArray[np.bool_], days: int = 28) -> NDArray[np.float64]:
    """The share of draws in which there is something, by day ahead, from a Monday on."""
    presence = presence_of(there, DAYS[: len(there)] % 7)
    there = presence.drawn(np.random.default_rng(0), 0, 4_000, days)
    return np.asarray(there.mean(axis=0), np.float64)


def test_what_is_there_every_day_will_be() -> None:
    """Eight weeks without a gap: a gap has a chance of less than 2 %."""
    assert (drawn(np.ones(56, bool)) > 0.98).all()


def test_free_weekends_stay_free_and_working_days_full() -> None:
    """Within four weeks that is all but sure; after two it may still be chance."""
    for days, sure in ((56, 0.02), (28, 0.025), (14, 0.1)):
        share = drawn((WEEKDAYS < 5)[:days])
        assert (share[WEEKDAYS[:28] < 5] > 1 - sure).all()
        assert (share[WEEKDAYS[:28] >= 5] < sure).all()


def test_what_comes_now_and_then_goes_on_so() -> None:
    """On about 60 % of the days, whatever the weekday: between 45 and 75 % for each."""
    there = np.random.default_rng(1).random(56) < 0.6
    share = drawn(there)
    assert share.mean() == pytest.approx(there.mean(), abs=0.1)
    assert ((share > 0.45) & (share < 0.75)).all()


def test_an_improbable_run_of_nothing_is_a_stop_that_may_end() -> None:
    """Two days are one for what came daily; the longer it has lasted, the longer it will."""
    for stopped in (2, 10, 30):
        there = np.arange(56) < 56 - stopped
        assert presence_of(there, WEEKDAYS).stopped == stopped
        ends = 1 - (stopped / (stopped + 28)) ** 0.5
        assert drawn(there)[-1] == pytest.approx(ends, abs=0.05)
        assert drawn(there)[0] < drawn(there)[-1]


def test_weekends_are_no_stop() -> None:
    """A history that ends on a Sunday; nor is a free day for what comes now and then."""
    assert presence_of(WEEKDAYS < 5, WEEKDAYS).stopped == 0
    rare = np.random.default_rng(2).random(56) < 0.4
    rare[-4:] = [True, False, False, False]
    assert presence_of(rare, WEEKDAYS).stopped == 0


def test_a_stop_that_ends_comes_back_for_good() -> None:
    """In each draw: nothing, then as before; not now here and now there."""
    presence = presence_of(DAYS < 50, WEEKDAYS)
    there = presence.drawn(np.random.default_rng(0), 0, 500, 28)
    gaps = [np.diff(row.astype(int)).clip(max=0).sum() for row in there]
    assert np.mean([gap == 0 for gap in gaps]) > 0.9


@given(st.lists(st.booleans(), min_size=1, max_size=60).filter(any))
def test_shares_are_probabilities_whatever_was_there(there: list[bool]) -> None:
    """Weights add up to 1, shares lie between 0 and 1."""
    found = presence_of(np.array(there), np.arange(len(there)) % 7)
    assert found.weights.sum() == pytest.approx(1)
    assert ((found.shares > 0) & (found.shares < 1)).all()


def test_beliefs_count_by_their_evidence() -> None:
    """Of now and then, all alike: two Beta functions' ratio is the chance of one order of days.

    With Beta(1/2, 1/2), two days of three: B(2.5, 1.5) / B(.5, .5) = 1/16, by hand; here by
    adding up what the model says of every order of three days, which has to be 1.
    """
    from budget_proxy.analytics.presence import _beta

    orders = [_beta(0.5 + sum(one), 3.5 - sum(one)) for one in product((0, 1), repeat=3)]
    assert np.exp(np.array(orders) - _beta(0.5, 0.5)).sum() == pytest.approx(1)
    assert np.exp(_beta(2.5, 1.5) - _beta(0.5, 0.5)) == pytest.approx(1 / 16)
