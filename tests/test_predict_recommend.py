from __future__ import annotations

from itertools import pairwise
from math import log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.predict.recommend import recommend

THREE = (0.25, 0.50, 0.75)


def test_the_smallest_of_equally_good_budgets_wins() -> None:
    """Where the whole window fits inside the distribution, the smallest such budget is taken."""
    # F(x) = .25 + .25 log2(x / 100) between 100 and 400. For 200 <= B <= 421 both ends lie
    # inside, and P = .25 log2(.95 / .50) = .25 * .92600 = .23150 throughout.
    budget, chance = recommend(THREE, (100, 200, 400), 150)
    assert budget == 200
    assert chance == pytest.approx(0.23150, abs=1e-5)


def test_the_floor_binds() -> None:
    """A budget is never below the floor, and the probability is that of the floor then."""
    # B = 450: F(427.5) is clamped to .75; F(225) = .25 + .25 log2(2.25) = .54248; P = .20752.
    budget, chance = recommend(THREE, (100, 200, 400), 450)
    assert budget == 450
    assert chance == pytest.approx(0.20752, abs=1e-5)
    assert recommend(THREE, (100, 200, 400), 299.2)[0] == 300


def test_a_narrow_distribution_is_held_whole() -> None:
    """The budget is the least one that leaves 5 % of room above the highest value."""
    # .95 B >= 150 asks for B >= 157.9; .50 B <= 100 for B <= 200; then P = .9 - .1.
    budget, chance = recommend((0.1, 0.9), (100, 150), 0)
    assert budget == 158
    assert chance == pytest.approx(0.8)


def test_a_single_value_is_an_atom_that_counts() -> None:
    """Equal values at all levels hold all the mass between the lowest and highest level."""
    # .95 B >= 100 asks for B >= 105.3; the mass at 100 is .99 - .05.
    budget, chance = recommend((0.05, 0.5, 0.99), (100, 100, 100), 100)
    assert budget == 106
    assert chance == pytest.approx(0.94)


def test_values_below_one_token_count_as_one() -> None:
    """A forecast of nothing still gives a whole budget of at least one token."""
    budget, chance = recommend((0.1, 0.9), (0.0, 0.0), 0.0)
    assert budget == 2  # the least whole B with .95 B >= 1
    assert chance == pytest.approx(0.8)


def _chance(levels: tuple[float, ...], values: list[float], budget: int) -> float:
    """P(.50 B <= used <= .95 B) from the definition, piece by piece."""
    knots = list(zip(levels, values, strict=True))

    def share(tokens: float, *, closed: bool) -> float:
        mass = levels[0]
        for (a, low), (b, high) in pairwise(knots):
            if high < tokens or (closed and high == tokens):
                mass = b
            elif low < tokens:
                mass = a + (b - a) * (log(tokens) - log(low)) / (log(high) - log(low))
        return mass

    return share(0.95 * budget, closed=True) - share(0.50 * budget, closed=False)


@settings(deadline=None)
@given(
    values=st.lists(st.integers(1, 400), min_size=4, max_size=4).map(sorted),
    floor=st.integers(0, 300),
)
def test_no_whole_budget_is_better(values: list[int], floor: int) -> None:
    """The result equals the best of all whole budgets, found by trying every one of them."""
    levels = (0.1, 0.4, 0.7, 0.95)
    tokens = [float(value) for value in values]
    budget, chance = recommend(levels, tokens, floor)
    least = max(floor, 1)
    best = max(_chance(levels, tokens, b) for b in range(least, max(2 * values[-1] + 2, least + 1)))
    assert budget >= least
    assert chance == pytest.approx(_chance(levels, tokens, budget), abs=1e-6)
    assert chance == pytest.approx(max(best, 0.0), abs=1e-6)
