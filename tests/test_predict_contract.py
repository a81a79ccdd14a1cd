"""What every strategy keeps to, whatever its method."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.predict.base import Predictor, Refitting
from budget_proxy.predict.strategies import make
from budget_proxy.types import LEVELS, Characteristics, Features, Forecast, Observation

STRATEGIES = ("heuristic", "similarity", "quantile", "rolling", "learned", "fixed:4096")
Outcome = tuple[Features, Observation, str]

_characteristics = st.builds(
    Characteristics,
    complexity=st.floats(0, 100),
    domains=st.frozensets(st.sampled_from(["backend", "testing", "auth"])),
    task_type=st.sampled_from(["question", "bug-fix"]),
    novelty=st.floats(0, 1),
    uncertainty=st.floats(0, 1),
    criticality=st.floats(0, 1),
    creative=st.booleans(),
    architecture=st.booleans(),
    evidence=st.just({"task_type": ("bug",)}),
)
_features = st.builds(
    Features,
    agent=st.sampled_from(["coder", "reviewer", ""]),
    model=st.sampled_from(["gpt-x", "claude-y", "模型"]),
    task_type=st.sampled_from(["question", "bug-fix"]),
    characteristics=_characteristics,
    now=st.floats(1.7e9, 1.8e9),
    input_tokens=st.none() | st.integers(0, 200_000),
    ceiling=st.none() | st.integers(1, 100_000),
)
_observations = st.builds(
    Observation, tokens=st.integers(1, 500_000), censored=st.booleans(), ts=st.floats(1.7e9, 1.8e9)
)
_histories = st.lists(st.tuples(_features, _observations, st.text(max_size=5)), max_size=25)
_every = pytest.mark.parametrize("name", STRATEGIES)


def _trained(name: str, history: Sequence[Outcome]) -> Predictor:
    predictor = make(name, window=100)
    for features, observation, call_id in history:
        predictor.learn_one(features, observation, call_id)
    return predictor


def _check(forecast: Forecast, name: str) -> None:
    assert set(LEVELS) <= set(forecast.levels)
    assert list(forecast.levels) == sorted(set(forecast.levels))
    assert len(forecast.values) == len(forecast.levels)
    assert list(forecast.values) == sorted(forecast.values)
    assert all(0 < value < 1e7 for value in forecast.values)
    assert forecast.recommended >= 1
    assert forecast.recommended >= round(forecast.quantile(0.60))
    assert 0.0 <= forecast.confidence <= 1.0
    assert forecast.support >= 0
    assert 0.0 <= forecast.novelty <= 1.0
    assert forecast.reasons
    assert forecast.strategy in {name, "heuristic"}  # which similarity falls back to


@_every
@settings(max_examples=40, deadline=None)
@given(history=_histories, call=_features)
def test_a_forecast_is_whole_and_its_quantiles_ascend(
    name: str, history: list[Outcome], call: Features
) -> None:
    """Any history gives ascending positive quantiles at all promised levels, and reasons."""
    _check(_trained(name, history).predict_one(call), name)


@_every
@settings(max_examples=40, deadline=None)
@given(history=_histories, call=_features, other=_features)
def test_predicting_changes_nothing(
    name: str, history: list[Outcome], call: Features, other: Features
) -> None:
    """Asking twice, and about others in between, gives the same forecast and the same state.

    What learning put off is done first: whoever asks does nothing but that.
    """
    predictor = _trained(name, history)
    while isinstance(predictor, Refitting) and predictor.behind():
        predictor.settle()
    before = pickle.dumps(predictor)
    first = predictor.predict_one(call)
    predictor.predict_one(other)
    assert predictor.predict_one(call) == first
    assert pickle.dumps(predictor) == before


@_every
@settings(max_examples=40, deadline=None)
@given(history=_histories, call=_features)
def test_a_replay_gives_the_same_forecast(
    name: str, history: list[Outcome], call: Features
) -> None:
    """The state is a fold over the history: the same rows in order, the same forecast."""
    assert _trained(name, history).predict_one(call) == _trained(name, history).predict_one(call)


@_every
@settings(max_examples=40, deadline=None)
@given(history=_histories, call=_features)
def test_what_is_given_is_left_as_it_was(name: str, history: list[Outcome], call: Features) -> None:
    """Neither features nor observations are changed, nor the evidence within them."""
    before = repr((history, call))
    _trained(name, history).predict_one(call)
    assert repr((history, call)) == before


@_every
@settings(max_examples=40, deadline=None)
@given(history=_histories)
def test_strangers_are_served(name: str, history: list[Outcome]) -> None:
    """An agent, model and task type never seen before get a whole forecast too."""
    stranger = Features("nobody", "unheard-of", "poetry", Characteristics(), 1.75e9)
    _check(_trained(name, history).predict_one(stranger), name)


@_every
def test_memory_is_bounded(name: str) -> None:
    """Ten thousand outcomes of ever new agents leave no more state than five thousand did."""
    predictor = make(name, window=500)

    def learn(start: int, stop: int) -> int:
        for number in range(start, stop):
            call = Features(f"a{number:05}", f"m{number:05}", "question", Characteristics(), 1.75e9)
            predictor.learn_one(call, Observation(100, censored=False, ts=1.75e9), f"{number:05}")
        return len(pickle.dumps(predictor))

    learned = learn(0, 5000)
    assert learn(5000, 10_000) <= learned * 1.01
