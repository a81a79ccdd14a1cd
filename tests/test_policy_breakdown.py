"""Phases and alternatives against sums worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.errors import InvalidInput
from budget_proxy.policy.breakdown import alternatives, breakdown
from budget_proxy.types import LEVELS, Alternative, Breakdown, Characteristics, Forecast


@pytest.mark.parametrize(
    ("uncertainty", "criticality", "creative", "phases"),
    [
        (0.4, 0.6, False, (2_500, 2_000, 4_000, 1_500)),  # at the bounds: 25 20 40 15
        (0.41, 0.61, False, (3_000, 2_000, 3_000, 2_000)),  # 25+5, 20, 15+5, 30 left
        (0.61, 0.81, False, (3_500, 2_500, 1_500, 2_500)),  # 25+10, 20+5, 15+10, 15 left
        (0.61, 0.81, True, (4_000, 2_500, 1_000, 2_500)),  # 25+10+5, 20+5, 15+10, 10 left
        (0.0, 0.0, True, (3_000, 2_000, 3_500, 1_500)),  # 25+5, 20, 15, 35 left
    ],
)
def test_phases_by_hand(
    uncertainty: float, criticality: float, *, creative: bool, phases: tuple[int, int, int, int]
) -> None:
    """10,000 tokens split by the mission's points; execution takes what is left."""
    task = Characteristics(uncertainty=uncertainty, criticality=criticality, creative=creative)
    assert breakdown(10_000, task) == Breakdown(*phases)


def test_left_over_tokens_go_to_the_largest_remainders() -> None:
    """Rounding down leaves tokens; the phases that lost most get one each, the earlier first."""
    # 25 20 40 15 of 7 tokens: 1.75 1.40 2.80 1.05, so 1 1 2 1 = 5; execution and thinking gain
    assert breakdown(7, Characteristics()) == Breakdown(2, 1, 3, 1)
    # of 2: .50 .40 .80 .30, so 0 0 0 0; execution, then thinking
    assert breakdown(2, Characteristics()) == Breakdown(1, 0, 1, 0)
    # of 10: 2.5 2.0 4.0 1.5, so 2 2 4 1 = 9; thinking and reflection tie, the earlier gains
    assert breakdown(10, Characteristics()) == Breakdown(3, 2, 4, 1)
    assert breakdown(0, Characteristics()) == Breakdown(0, 0, 0, 0)


def test_a_negative_budget_is_the_callers_error() -> None:
    """There is nothing to split below zero."""
    with pytest.raises(InvalidInput, match="must be >= 0 tokens, not -1"):
        breakdown(-1, Characteristics())


@given(
    budget=st.integers(0, 10**9),
    uncertainty=st.floats(0, 1),
    criticality=st.floats(0, 1),
    creative=st.booleans(),
)
def test_the_phases_always_add_up(
    *, budget: int, uncertainty: float, criticality: float, creative: bool
) -> None:
    """Whatever the task and the budget, no token is lost or made, and no phase is negative."""
    task = Characteristics(uncertainty=uncertainty, criticality=criticality, creative=creative)
    split = breakdown(budget, task)
    assert split.total == budget
    assert min(split.thinking, split.planning, split.execution, split.reflection) >= 0


def test_alternatives_carry_their_forecast_risk() -> None:
    """.6 x and 1.5 x the budget, each with the chance that the forecast exceeds it."""
    forecast = Forecast(LEVELS, (600.0, 800.0, 1_200.0, 1_500.0, 3_000.0), "quantile", 1_000, 0.5)
    # P(used <= 600) = .50 and P(used <= 1,500) = .95
    assert alternatives(1_000, forecast) == (
        Alternative(600, 0.5, "lower"),
        Alternative(1_500, 0.05, "higher"),
    )


def test_a_forecast_of_one_number_makes_lower_budgets_fail_and_higher_ones_hold() -> None:
    """Under the origin's strategies .6 x never suffices and 1.5 x always does."""
    forecast = Forecast(LEVELS, (1_000.0,) * 5, "heuristic", 1_000, 0.5)
    assert [choice.risk for choice in alternatives(1_000, forecast)] == [1.0, 0.0]


@pytest.mark.parametrize(("budget", "tokens"), [(1, [1, 2]), (3, [2, 5]), (4, [2, 6]), (0, [1, 0])])
def test_alternatives_round_half_up_and_ask_for_a_token_at_least(
    budget: int, tokens: list[int]
) -> None:
    """.6 and 1.5; 1.8 and 4.5; 2.4 and 6: whole tokens, halves upward."""
    forecast = Forecast(LEVELS, (1.0,) * 5, "heuristic", 1, 0.5)
    assert [choice.tokens for choice in alternatives(budget, forecast)] == tokens
