from __future__ import annotations

from math import log

import numpy as np
import pytest

from budget_proxy.analytics.rates import Rate, Tokens, tokens_of

FRESH, CACHED, OUTPUT = 3e-6, 3e-7, 1.5e-5


def tokens(count: int, seed: int = 1) -> list[Tokens]:
    """Calls whose three counts vary independently."""
    draw = np.random.default_rng(seed)
    found = np.exp(draw.normal((6.0, 7.0, 5.0), 1.0, (count, 3))).round()
    return [(float(a), float(b), float(c)) for a, b, c in found]


def cost(one: Tokens, factor: float = 1.0) -> float:
    """What a call costs at the three prices."""
    return factor * (FRESH * one[0] + CACHED * one[1] + OUTPUT * one[2])


def learned(count: int, factor: float = 1.0) -> Rate:
    """A rate that has seen so many calls."""
    rate = Rate()
    for one in tokens(count):
        rate.learn(cost(one, factor), one)
    return rate


def test_prices_are_learned_whatever_the_mix_of_tokens() -> None:
    """After 60 calls a call's cost is known within 5 %, be it all input or all output."""
    rate = learned(60)
    for one in [(1000.0, 0.0, 10.0), (10.0, 0.0, 1000.0), (10.0, 30_000.0, 10.0)]:
        assert rate.surprise(cost(one), one) == pytest.approx(0.0, abs=0.05)
        assert rate.surprise(cost(one, 3.0), one) == pytest.approx(log(3.0), abs=0.05)


def test_calls_that_are_all_alike_still_tell_a_price() -> None:
    """Where the three cannot be told apart the usual proportions stand in."""
    rate, one = Rate(), (500.0, 0.0, 200.0)
    for _ in range(40):
        rate.learn(cost(one), one)
    assert rate.surprise(cost(one), one) == pytest.approx(0.0, abs=1e-6)
    assert rate.surprise(cost(one, 2.0), one) == pytest.approx(log(2.0), abs=1e-6)


def test_nothing_is_said_before_twenty_calls_or_of_no_cost() -> None:
    """Few calls do not make a price, and a free call is no surprise."""
    one = (10.0, 0.0, 10.0)
    assert learned(19).surprise(cost(one), one) is None
    assert learned(20).surprise(cost(one), one) is not None
    assert learned(20).surprise(0.0, one) is None


def test_a_price_that_changed_is_forgotten() -> None:
    """Two hundred calls at a new price make it the usual one."""
    rate = learned(100)
    for one in tokens(600, seed=2):
        rate.learn(cost(one, 2.0), one)
    assert rate.surprise(cost((300.0, 0.0, 300.0), 2.0), (300.0, 0.0, 300.0)) == pytest.approx(
        0.0, abs=0.05
    )


def test_a_saved_rate_says_the_same() -> None:
    """Dump and load change nothing."""
    rate = learned(73)
    again = Rate.load(rate.dump())
    for one in tokens(20, seed=3):
        assert again.surprise(cost(one), one) == rate.surprise(cost(one), one)
        rate.learn(cost(one), one)
        again.learn(cost(one), one)


def test_cached_tokens_lie_within_the_input() -> None:
    """Usage is inclusive; unknown counts give no tokens, and writing costs a quarter on top."""
    assert tokens_of(100, 7, 60, None) == (40.0, 60.0, 7.0)
    assert tokens_of(100, 7, None, 40) == (110.0, 0.0, 7.0)
    assert tokens_of(100, 7, 400, None) == (0.0, 100.0, 7.0)
    assert tokens_of(None, 7, None, None) is None
    assert tokens_of(100, None, None, None) is None
