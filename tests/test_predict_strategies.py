from __future__ import annotations

import pytest

from budget_proxy.errors import InvalidInput
from budget_proxy.predict.strategies import BASELINES, NAMES, make
from budget_proxy.types import Characteristics, Features, Observation

CALL = Features("a", "m", "question", Characteristics(), 0.0)


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("heuristic", "heuristic"),
        ("similarity", "similarity"),
        ("quantile", "quantile"),
        ("rolling", "rolling"),
        ("auto", "learned"),
        ("learned", "learned"),
        ("fixed:15000", "fixed:15000"),
    ],
)
def test_a_strategy_is_made_by_its_name(asked: str, got: str) -> None:
    """Every known name gives a predictor of that name; auto is learned."""
    assert make(asked).name == got


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_is_a_strategy(name: str) -> None:
    """Each name that comparisons use makes the predictor of that name."""
    assert make(name).name == name


@pytest.mark.parametrize("name", ["", "Quantile", "best", "fixed", "fixed:", "fixed:1k", "fixed:٣"])
def test_an_unknown_strategy_is_refused_with_the_known_ones(name: str) -> None:
    """The message lists what may be asked for instead."""
    with pytest.raises(InvalidInput) as caught:
        make(name)
    assert all(known in str(caught.value) for known in NAMES)


def test_a_fixed_budget_of_nothing_is_refused() -> None:
    """fixed:0 names a known strategy with a wrong number."""
    with pytest.raises(InvalidInput, match=">= 1"):
        make("fixed:0")


def test_two_of_a_name_share_nothing() -> None:
    """What one predictor learns, another of the same name does not know."""
    first, second = make("auto"), make("auto")
    first.learn_one(CALL, Observation(10, censored=False, ts=0.0))
    assert first.predict_one(CALL).support == 1
    assert second.predict_one(CALL).support == 0


def test_the_window_bounds_what_similarity_remembers() -> None:
    """With a window of five, only the last five outcomes count."""
    predictor = make("similarity", window=5)
    for tokens in (9000, 9000, 9000, 2000, 2000, 2000, 2000, 2000):
        predictor.learn_one(CALL, Observation(tokens, censored=False, ts=0.0))
    similar = predictor.predict_one(CALL).similar
    assert [task.used for task in similar] == [2000] * 5
