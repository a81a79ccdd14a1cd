"""The heuristic formula, its multipliers and confidence against sums worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from budget_proxy.classify import classify_task
from budget_proxy.predict.adjustments import Facts, adjust, confidence
from budget_proxy.predict.heuristic import Heuristic
from budget_proxy.types import LEVELS, Characteristics, Features, Observation

CALM = Characteristics(novelty=0.0)
"""Nothing that a multiplier acts on."""


def features(task: Characteristics) -> Features:
    """A call of one agent and model."""
    return Features("coder", "gpt-x", task.task_type, task, now=1_000_000.0)


@pytest.mark.parametrize(
    ("descriptor", "tokens"),
    [
        ({"complexity": 25}, 3_000),  # 1,000 + 80 x 25
        ({"complexity": 60}, 5_800),  # 1,000 + 80 x 60; 60 is not above 60
        ({"complexity": 85}, 10_140),  # (1,000 + 6,800) x 1.3
        ({"complexity": 85, "priority": "critical"}, 14_196),  # 7,800 x 1.3 x 1.4
        ({"complexity": 65, "priority": "High"}, 8_184),  # (1,000 + 5,200) x 1.1 x 1.2
        ({"story_points": 8, "priority": "P1"}, 8_184),  # 8 points are complexity 65
        ({"complexity": 0}, 1_000),
    ],
)
def test_the_missions_tiers(descriptor: dict[str, Any], tokens: int) -> None:
    """A descriptor's budget is the origin's: 3,000, 5,800, about 10,000, 14,000 and 8,200."""
    forecast = Heuristic().predict_one(features(classify_task(descriptor)))
    assert forecast.recommended == tokens


def test_the_forecast_is_one_number_at_every_level() -> None:
    """Every level, and with them the distribution, is the recommended budget."""
    forecast = Heuristic().predict_one(features(replace(CALM, complexity=50.0)))
    assert forecast.levels == LEVELS
    assert forecast.values == (5_000.0,) * 5
    assert (forecast.cdf(4_999), forecast.cdf(5_000)) == (0.0, 1.0)
    assert (forecast.strategy, forecast.source, forecast.support) == ("heuristic", "heuristic", 0)
    assert forecast.group == ("coder", "conversation", "gpt-x")


def test_each_multiplier_gives_its_reason() -> None:
    """Reasons name the base and every multiplier that applied, in order."""
    task = replace(
        CALM, complexity=65.0, uncertainty=0.5, criticality=0.7, creative=True, architecture=True
    )
    forecast = Heuristic().predict_one(features(task))
    # 6,200 x 1.1 x 1.2 x 1.3 x 1.4 x 1.1 = 16,384.368
    assert forecast.recommended == 16_384
    assert forecast.reasons == (
        "complexity 65: 6,200 tokens",
        "uncertainty 0.5 > 0.4: x 1.1",
        "criticality 0.7 > 0.6: x 1.2",
        "creative: x 1.3",
        "architecture: x 1.4",
        "complexity 65 > 60: x 1.1",
    )


def test_novelty_is_left_out() -> None:
    """The heuristic does not multiply by novelty, though the mean of similar tasks does."""
    new = replace(CALM, novelty=1.0, complexity=50.0)
    assert Heuristic().predict_one(features(new)).recommended == 5_000
    assert adjust(5_000, new, novelty=1.0).tokens == 7_500


def test_it_learns_nothing() -> None:
    """Outcomes change no forecast."""
    strategy = Heuristic()
    before = strategy.predict_one(features(CALM))
    strategy.learn_one(features(CALM), Observation(9_999, censored=False, ts=1.0), "a")
    assert strategy.predict_one(features(CALM)) == before


@pytest.mark.parametrize(
    ("task", "novelty", "tokens"),
    [
        (CALM, 0.5, 2_000),
        (CALM, 0.51, 2_400),
        (CALM, 0.7, 2_400),
        (CALM, 0.71, 3_000),
        (replace(CALM, uncertainty=0.4), None, 2_000),
        (replace(CALM, uncertainty=0.41), None, 2_200),
        (replace(CALM, uncertainty=0.61), None, 2_600),
        (replace(CALM, criticality=0.6), None, 2_000),
        (replace(CALM, criticality=0.61), None, 2_400),
        (replace(CALM, criticality=0.81), None, 2_800),
        (replace(CALM, creative=True), None, 2_600),
        (replace(CALM, architecture=True), None, 2_800),
        (replace(CALM, complexity=60.0), None, 2_000),
        (replace(CALM, complexity=61.0), None, 2_200),
        (replace(CALM, complexity=81.0), None, 2_600),
    ],
)
def test_each_step_lies_above_its_bound(
    task: Characteristics, novelty: float | None, tokens: int
) -> None:
    """2,000 tokens times the mission's factor; a value at a bound stays below the step."""
    assert adjust(2_000, task, novelty=novelty).tokens == tokens


def test_budgets_are_clamped_and_say_so() -> None:
    """Nothing below 1,000 or above 32,000 tokens leaves, and the reason tells."""
    low, high = adjust(10, CALM, novelty=None), adjust(40_000, CALM, novelty=None)
    assert (low.tokens, low.reasons) == (1_000, ("raised to the least of 1,000",))
    assert (high.tokens, high.reasons) == (32_000, ("lowered to the most of 32,000",))
    assert adjust(1_000, CALM, novelty=None).reasons == ()


@pytest.mark.parametrize(
    ("facts", "value"),
    [
        (Facts(), 0.0),  # no history: 0 + .3 x 0 + 0 + .15 x 0
        (Facts(size=4, variation=0.5, recent=0.5, novelty=0.4), 0.515),
        # 4/20 = .2; .3 x .5 = .15; .15 x .5 = .075; .15 x .6 = .09
        (Facts(size=8, variation=0.0, recent=1.0, novelty=0.0), 1.0),  # .4 + .3 + .15 + .15
        (Facts(size=10_000, variation=2.5, recent=0.0, novelty=1.0), 0.4),  # variation as 1
    ],
)
def test_confidence_by_hand(facts: Facts, value: float) -> None:
    """The mission's four weights, worked out."""
    assert confidence(facts) == pytest.approx(value)


def test_without_history_only_known_novelty_gives_confidence() -> None:
    """Of a task said to be half new the heuristic is .15 x .5 sure, of a new one not at all."""
    half = Heuristic().predict_one(features(replace(CALM, novelty=0.5)))
    new = Heuristic().predict_one(features(replace(CALM, novelty=1.0)))
    assert (half.confidence, new.confidence) == (0.075, 0.0)
    assert half.novelty == 0.5
