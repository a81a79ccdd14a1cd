"""The router: which tiers qualify, what they cost, and what the choice says of itself."""

from __future__ import annotations

import pytest

from budget_proxy.errors import InvalidInput
from budget_proxy.policy.base import Tier
from budget_proxy.policy.router import Choice, Price, select
from budget_proxy.types import (
    LEVELS,
    Breakdown,
    Capabilities,
    Characteristics,
    Forecast,
    Thinking,
)

TIERS = (
    Tier("small", max_complexity=40),
    Tier("medium", max_complexity=70),
    Tier("large", max_complexity=100, thinking=True),
)
PRICES: dict[str, Price | None] = {
    "small": (1e-6, 4e-6),
    "medium": (2e-6, 8e-6),
    "large": (1e-5, 4e-5),
}


def forecast(q50: float, recommended: int = 1000) -> Forecast:
    """Make a forecast with this median, doubling by each level."""
    values = tuple(q50 * 2**step for step in range(5))
    return Forecast(LEVELS, values, "quantile", recommended, confidence=0.6)


def choose(
    complexity: float = 30.0,
    criticality: float = 0.0,
    *,
    tiers: tuple[Tier, ...] = TIERS,
    lengths: tuple[float, ...] = (500.0, 500.0, 500.0),
    prices: dict[str, Price | None] = PRICES,
    able: Capabilities | None = None,
    recommended: int = 1000,
) -> Choice:
    """Choose for a call of 1,000 input tokens."""
    names = ("small", "medium", "large")
    return select(
        tiers,
        Characteristics(complexity=complexity, criticality=criticality),
        forecasts={n: forecast(q50, recommended) for n, q50 in zip(names, lengths, strict=True)},
        prices=prices,
        capabilities={} if able is None else dict.fromkeys(names, able),
        input_tokens=1000,
    )


def test_the_cheapest_tier_that_takes_the_task_is_chosen() -> None:
    """Complexity 30 fits all three; the small model's call is the cheapest."""
    choice = choose(30)
    assert (choice.model, choice.tier) == ("small", 0)
    assert choice.expected_cost == pytest.approx(0.003)  # 1000 * 1e-6 + 500 * 4e-6
    costs = [each.cost for each in choice.considered]
    # 1000 * 2e-6 + 500 * 8e-6 = .006; 1000 * 1e-5 + 500 * 4e-5 = .03
    assert costs == pytest.approx([0.003, 0.006, 0.03])


def test_a_dearer_model_with_shorter_answers_wins_by_cost() -> None:
    """Cost counts the predicted length: the medium model's short answer is cheaper."""
    choice = choose(30, lengths=(500.0, 100.0, 500.0))
    assert choice.model == "medium"
    assert choice.expected_cost == pytest.approx(0.0028)  # 1000 * 2e-6 + 100 * 8e-6


def test_a_tier_takes_tasks_up_to_and_including_its_complexity() -> None:
    """Complexity 40 still fits the small tier, 40.1 no longer does."""
    assert choose(40).model == "small"
    harder = choose(40.1)
    assert harder.model == "medium"
    assert [each.qualifies for each in harder.considered] == [False, True, True]


def test_a_critical_task_goes_one_tier_up() -> None:
    """Above criticality .8 the first tier that takes the task is passed over."""
    assert choose(30, criticality=0.8).model == "small"
    assert choose(30, criticality=0.81).model == "medium"
    assert choose(60, criticality=0.9).model == "large"


def test_a_critical_task_at_the_top_stays_there() -> None:
    """There is nothing above the last tier."""
    choice = choose(90, criticality=0.9)
    assert choice.model == "large"
    assert "the last tier is the most capable" in choice.explanation


def test_a_task_beyond_every_tier_goes_to_the_last() -> None:
    """Where no tier takes the complexity, the last one does, and the explanation says so."""
    choice = choose(95, tiers=TIERS[:2])
    assert choice.model == "medium"
    assert "no tier takes complexity 95" in choice.explanation


def test_unknown_prices_come_after_the_known_ones() -> None:
    """A model without a price loses to a priced one, however dear, and is named."""
    choice = choose(30, prices={**PRICES, "small": None, "medium": None})
    assert choice.model == "large"
    assert "small and medium coming last for want of a price" in choice.explanation
    assert [each.cost is None for each in choice.considered] == [True, True, False]


def test_without_any_price_the_list_decides() -> None:
    """With no price known the first qualifying tier is chosen, and its cost is unknown."""
    choice = choose(50, prices={})
    assert choice.model == "medium"
    assert choice.expected_cost is None
    assert "its price being unknown" in choice.explanation


def test_a_free_model_has_a_known_price() -> None:
    """Zero dollars is a price, and the lowest."""
    choice = choose(30, prices={**PRICES, "large": (0.0, 0.0)})
    assert choice.model == "large"
    assert choice.expected_cost == 0.0
    assert "predicted cost of $0 is the lowest of 3 tiers" in choice.explanation


def test_no_tiers_is_an_error_that_says_what_to_set() -> None:
    """Without tiers the caller learns which setting is missing, and where."""
    with pytest.raises(InvalidInput, match=r"\[\[tiers\]\].*budget_proxy\.toml"):
        choose(tiers=())


def test_the_choice_carries_budget_and_phases() -> None:
    """Recommended tokens and confidence are the chosen model's; phases are 25/20/40/15 %."""
    choice = choose(30, recommended=2000)
    assert (choice.recommended, choice.confidence) == (2000, 0.6)
    assert choice.breakdown == Breakdown(500, 400, 800, 300)


def test_thinking_follows_the_tier() -> None:
    """A tier without thinking turns it off where it can be; one with it gives a budget."""
    able = Capabilities(thinking=frozenset({"enabled", "disabled"}), efforts=("low", "high"))
    off = choose(60, able=able, recommended=8000)
    assert (off.model, off.thinking) == ("medium", Thinking("disabled"))
    on = choose(80, able=able, recommended=8000)
    assert (on.model, on.thinking) == ("large", Thinking("enabled", 2000))  # 25 % of 8,000


def test_effort_never_exceeds_high_where_the_tier_turns_thinking_off() -> None:
    """A hard task on a tier without thinking gets high, since more is refused with it off."""
    able = Capabilities(
        thinking=frozenset({"adaptive", "disabled"}), efforts=("low", "medium", "high", "xhigh")
    )
    task = Characteristics(complexity=100, uncertainty=1.0, criticality=0.8)
    # .6 * 100 + 20 + 16 = 96: xhigh
    made = {
        thinking: select(
            (Tier("m", thinking=thinking),),
            task,
            forecasts={"m": forecast(500)},
            prices={},
            capabilities={"m": able},
            input_tokens=10,
        )
        for thinking in (False, True)
    }
    assert (made[False].thinking, made[False].effort) == (Thinking("disabled"), "high")
    assert (made[True].thinking, made[True].effort) == (Thinking("adaptive"), "xhigh")


def test_an_unknown_model_keeps_its_own_thinking_and_effort() -> None:
    """Without capabilities nothing is set, and the explanation says whose settings hold."""
    choice = choose(30)
    assert (choice.thinking, choice.effort) == (None, None)
    assert "the model's own thinking and the model's own effort" in choice.explanation


def test_the_explanation_is_one_readable_sentence() -> None:
    """Model, tier, reason, cost, budget, thinking and effort stand in one sentence."""
    able = Capabilities(thinking=frozenset({"enabled"}), efforts=("low", "medium", "high"))
    choice = choose(80, able=able, recommended=8000)
    assert choice.explanation == (
        "large (tier 3 of 3) because it takes complexity 80, at a predicted cost of $0.03; "
        "it gets 8000 tokens, enabled thinking of 2000 tokens and effort medium."
    )
    assert choose(30).explanation == (
        "small (tier 1 of 3) because it takes complexity 30, and its predicted cost of $0.003 is "
        "the lowest of 3 tiers; it gets 1000 tokens, the model's own thinking and the model's own "
        "effort."
    )
