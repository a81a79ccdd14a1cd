from __future__ import annotations

import pytest

from budget_proxy.predict import prior
from budget_proxy.predict.rolling import Rolling
from budget_proxy.types import LEVELS, Characteristics, Features, Observation


def _call(agent: str = "a", model: str = "m") -> Features:
    return Features(agent, model, "question", Characteristics(), 0.0)


def _learned(*lengths: int, agent: str = "a", model: str = "m") -> Rolling:
    predictor = Rolling()
    _learn(predictor, *lengths, agent=agent, model=model)
    return predictor


def _learn(predictor: Rolling, *lengths: int, agent: str = "a", model: str = "m") -> None:
    for tokens in lengths:
        predictor.learn_one(_call(agent, model), Observation(tokens, censored=False, ts=0.0))


def test_quantiles_are_lengths_of_the_window() -> None:
    """Of 1 to 100 the length at place int(level x 100) is the quantile, whatever the order."""
    forecast = _learned(*range(100, 0, -1)).predict_one(_call())
    assert [forecast.quantile(level) for level in LEVELS] == [51, 76, 91, 96, 100]
    assert (forecast.support, forecast.source, forecast.group) == (100, "model+agent", ("m", "a"))


def test_only_the_last_two_hundred_count() -> None:
    """Two hundred short answers push a hundred long ones out, one by one."""
    predictor = _learned(*[9000] * 100, *[50] * 199)
    assert predictor.predict_one(_call()).quantile(0.99) == 50
    assert predictor.predict_one(_call()).values[-1] == 50
    assert _learned(*[9000] * 100, *[50] * 197).predict_one(_call()).values[-1] == 9000
    assert predictor.predict_one(_call()).support == 200


@pytest.mark.parametrize(
    ("agent", "model", "source", "median"),
    [
        ("a", "m", "model+agent", 10),
        ("b", "m", "model", 10),  # two lengths of its own are too few
        ("c", "m", "model", 10),
        ("a", "other", "all", 10),
    ],
)
def test_a_group_of_fewer_than_three_asks_its_parent(
    agent: str, model: str, source: str, median: float
) -> None:
    """From (model, agent) to the model, and from there to all calls."""
    predictor = _learned(10, 10, 10, 10)
    _learn(predictor, 700, 700, agent="b")
    forecast = predictor.predict_one(_call(agent, model))
    assert (forecast.source, forecast.quantile(0.5)) == (source, median)


def test_without_history_it_is_the_prior() -> None:
    """With two lengths in all nothing is known; the prior speaks, and says so."""
    forecast = _learned(10, 10).predict_one(_call())
    assert (forecast.source, forecast.support, forecast.group) == ("prior", 0, ())
    assert forecast.quantile(0.5) == pytest.approx(prior.MEDIAN)
    assert forecast.reasons == ("no history yet: a broad prior",)


def test_the_groups_that_learned_last_are_kept() -> None:
    """With room for four groups, the pair that learned first has gone."""
    predictor = Rolling(most_groups=4)
    _learn(predictor, 10, 10, 10, agent="a")
    for agent in ("b", "c"):
        _learn(predictor, 700, 700, 700, agent=agent)
    assert predictor.predict_one(_call("a")).source == "model"
    assert predictor.predict_one(_call("c")).source == "model+agent"
