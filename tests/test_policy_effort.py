"""Difficulty, effort levels and thinking settings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.policy.effort import SCALE, difficulty, effort_for, thinking_for, thinking_off
from budget_proxy.types import Breakdown, Capabilities, Characteristics, Thinking

FULL = Capabilities(efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"))


def task(
    complexity: float = 0.0, *, uncertainty: float = 0.0, criticality: float = 0.0
) -> Characteristics:
    """Make characteristics without creativity or architecture."""
    return Characteristics(complexity=complexity, uncertainty=uncertainty, criticality=criticality)


def offering(*efforts: str) -> Capabilities:
    """Make a model with these effort levels."""
    return Capabilities(efforts=efforts)


def modes(*names: str) -> Capabilities:
    """Make a model with these thinking modes."""
    return Capabilities(thinking=frozenset(names))


def test_difficulty_is_the_documented_weighted_sum() -> None:
    """Difficulty adds complexity, uncertainty, criticality and the two flags by their weights."""
    # .6 * 65 + 20 * .3 + 20 * .5 = 39 + 6 + 10 = 55; creative + 5; architecture + 10
    plain = task(65, uncertainty=0.3, criticality=0.5)
    assert difficulty(plain) == pytest.approx(55.0)
    both = Characteristics(
        complexity=65, uncertainty=0.3, criticality=0.5, creative=True, architecture=True
    )
    assert difficulty(both) == pytest.approx(70.0)


def test_difficulty_stays_within_0_and_100() -> None:
    """The hardest task scores 100, not the 115 that its parts add up to."""
    hardest = Characteristics(
        complexity=100, uncertainty=1, criticality=1, creative=True, architecture=True
    )
    assert difficulty(hardest) == 100.0
    assert difficulty(task()) == 0.0


@pytest.mark.parametrize(
    ("complexity", "level"),
    [
        (49, "low"),  # .6 * 49 = 29.4
        (50, "medium"),  # .6 * 50 = 30
        (99, "medium"),  # .6 * 99 = 59.4
        (100, "high"),  # .6 * 100 = 60
    ],
)
def test_effort_follows_the_thresholds(complexity: float, level: str) -> None:
    """Below 30 low, below 60 medium, from 60 on high."""
    assert effort_for(task(complexity), FULL) == level


def test_effort_is_xhigh_from_85_on_and_never_max_beside_others() -> None:
    """A difficulty of 85 asks for xhigh; max stays unused while anything else is offered."""
    # .6 * 85 + 20 * .85 + 20 * .85 = 51 + 17 + 17 = 85; with criticality .84: 84.8
    assert effort_for(task(85, uncertainty=0.85, criticality=0.85), FULL) == "xhigh"
    assert effort_for(task(85, uncertainty=0.85, criticality=0.84), FULL) == "high"
    hardest = task(100, uncertainty=1, criticality=1)
    assert effort_for(hardest, offering("low", "medium", "high", "max")) == "high"
    assert effort_for(task(10), offering("max")) == "max"


def test_effort_takes_the_nearest_offered_level_and_of_two_the_higher() -> None:
    """Low becomes medium where only medium and above exist; a tie goes up."""
    assert effort_for(task(10), offering("medium", "high", "xhigh")) == "medium"
    assert effort_for(task(50), offering("low", "high")) == "high"
    assert effort_for(task(10), offering("minimal", "high")) == "minimal"


def test_critical_tasks_never_get_none_or_minimal() -> None:
    """Above criticality .6 the levels none and minimal are out, even if nothing else is left."""
    # .6 * 10 + 20 * .7 = 20: low is asked for, minimal is nearest
    assert effort_for(task(10, criticality=0.6), offering("minimal", "high")) == "minimal"
    assert effort_for(task(10, criticality=0.61), offering("minimal", "high")) == "high"
    assert effort_for(task(10, criticality=0.9), offering("none", "minimal")) is None


def test_no_effort_for_models_without_known_levels() -> None:
    """No levels, or only unheard-of ones, leave the model's own effort."""
    assert effort_for(task(50), offering()) is None
    assert effort_for(task(50), offering("ludicrous")) is None


def test_disabled_thinking_bounds_the_effort_at_high() -> None:
    """With thinking disabled nothing above high is chosen, since providers refuse the pair."""
    hardest, off = task(100, uncertainty=1, criticality=1), Thinking("disabled")
    assert effort_for(hardest, FULL, thinking=off) == "high"
    assert effort_for(hardest, FULL, thinking=Thinking("adaptive")) == "xhigh"
    assert effort_for(hardest, offering("max"), thinking=off) is None


@given(
    st.floats(0, 100),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sets(st.sampled_from(SCALE)),
)
def test_effort_is_always_an_offered_level(
    complexity: float, uncertainty: float, criticality: float, offered: set[str]
) -> None:
    """Whatever the task and the model, a chosen level is one the model offers."""
    chosen = effort_for(
        task(complexity, uncertainty=uncertainty, criticality=criticality), offering(*offered)
    )
    assert chosen is None or chosen in offered
    assert chosen != "max" or offered - {"none", "minimal"} == {"max"} or offered == {"max"}


PHASES = Breakdown(thinking=250, planning=200, execution=400, reflection=150)


def test_thinking_budget_is_the_phase_share_of_the_recommended_tokens() -> None:
    """On models with token budgets the thinking phase's quarter of 8,000 tokens is 2,000."""
    given_ = thinking_for(8000, PHASES, task(65), modes("enabled", "disabled"))
    assert given_ == Thinking("enabled", 2000)  # 250 / 1000 * 8000


def test_thinking_budget_is_at_least_what_providers_accept() -> None:
    """A quarter of 1,000 tokens is below the providers' minimum of 1,024."""
    assert thinking_for(1000, PHASES, task(65), modes("enabled")) == Thinking("enabled", 1024)


def test_adaptive_is_preferred_to_a_token_budget() -> None:
    """Where a model has both, adaptive is written: token budgets are deprecated there."""
    able = modes("adaptive", "enabled", "disabled")
    assert thinking_for(8000, PHASES, task(65), able) == Thinking("adaptive")


@pytest.mark.parametrize(
    ("complexity", "criticality", "kind"),
    [
        (33, 0.0, "disabled"),  # .6 * 33 = 19.8
        (34, 0.0, "adaptive"),  # .6 * 34 = 20.4
        (12, 0.6, "disabled"),  # .6 * 12 + 20 * .6 = 19.2
        (5, 0.65, "adaptive"),  # .6 * 5 + 20 * .65 = 16, but critical
    ],
)
def test_thinking_is_turned_off_for_easy_uncritical_tasks(
    complexity: float, criticality: float, kind: str
) -> None:
    """Below difficulty 20, and only up to criticality .6, thinking is off."""
    able = modes("adaptive", "disabled")
    chosen = thinking_for(1000, PHASES, task(complexity, criticality=criticality), able)
    assert chosen == Thinking(kind)


def test_a_difficulty_of_exactly_20_is_not_easy() -> None:
    """The threshold itself keeps thinking on."""
    able = modes("adaptive", "disabled")
    # 20 * uncertainty 1 = 20
    assert thinking_for(1000, PHASES, task(uncertainty=1.0), able) == Thinking("adaptive")


def test_thinking_that_cannot_be_turned_off_is_left_alone() -> None:
    """An easy task leaves the model's own setting where there is no "disabled"."""
    assert thinking_for(1000, PHASES, task(10), modes("adaptive")) is None
    assert thinking_off(modes("adaptive")) is None
    assert thinking_off(modes("adaptive", "disabled")) == Thinking("disabled")


def test_models_without_thinking_settings_get_none() -> None:
    """Nothing is written for a model that knows no thinking setting."""
    assert thinking_for(8000, PHASES, task(65), Capabilities()) is None


def test_an_empty_breakdown_still_gives_a_valid_budget() -> None:
    """A breakdown of no tokens gives the minimum, not a division by zero."""
    empty = Breakdown(0, 0, 0, 0)
    assert thinking_for(8000, empty, task(65), modes("enabled")) == Thinking("enabled", 1024)
