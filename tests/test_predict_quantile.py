from __future__ import annotations

from dataclasses import replace

import pytest

from budget_proxy.predict import prior
from budget_proxy.predict.quantile import Quantile
from budget_proxy.types import Characteristics, Features, Forecast, Observation

CALL = Features("reviewer", "gpt-x", "review", Characteristics(), 0.0)


def _learn(
    predictor: Quantile, call: Features, *lengths: int, times: int = 1, censored: bool = False
) -> None:
    for _ in range(times):
        for length in lengths:
            predictor.learn_one(call, Observation(length, censored, 0.0))


def _rests_on(forecast: Forecast) -> tuple[str, int, tuple[str, ...]]:
    return forecast.source, forecast.support, forecast.group


def test_the_first_call_gets_the_prior() -> None:
    """Without any history the forecast is the prior, resting on nothing, and says so."""
    forecast = Quantile().predict_one(CALL)
    for level in (0.5, 0.95):
        assert forecast.quantile(level) == pytest.approx(prior.quantile(level), rel=0.01)
    assert _rests_on(forecast) == ("prior", 0, ())
    assert forecast.reasons == ("no history yet: a broad prior",)


def test_the_finest_group_with_an_outcome_is_named() -> None:
    """Each strange part of a call moves its forecast one group up."""
    predictor = Quantile()
    _learn(predictor, CALL, 100, times=3)
    other_task = replace(CALL, task_type="question")
    other_agent = replace(other_task, agent="coder")
    other_model = replace(other_agent, model="claude-y")
    rests = [
        _rests_on(predictor.predict_one(call))
        for call in (CALL, other_task, other_agent, other_model)
    ]
    assert rests == [
        ("agent+task+model", 3, ("reviewer", "review", "gpt-x")),
        ("agent+model", 3, ("reviewer", "gpt-x")),
        ("model", 3, ("gpt-x",)),
        ("all", 3, ()),
    ]


def test_a_group_outgrows_its_parent() -> None:
    """A few outcomes leave a new group near its parent, many make it itself."""
    predictor = Quantile()
    _learn(predictor, CALL, 2000, times=100)
    short = replace(CALL, task_type="question")
    _learn(predictor, short, 20)
    after_one = predictor.predict_one(short).quantile(0.5)
    _learn(predictor, short, 20, times=60)
    after_many = predictor.predict_one(short).quantile(0.5)
    assert after_one > 1500
    assert after_many == pytest.approx(20, abs=1)
    assert predictor.predict_one(CALL).quantile(0.5) == pytest.approx(2000, rel=0.05)


def test_quantiles_of_one_group_are_those_of_its_lengths() -> None:
    """Lengths 1 to 1,000, each once and shuffled, give their own quantiles within 10 %."""
    predictor = Quantile()
    _learn(predictor, CALL, *[number * 577 % 1000 + 1 for number in range(1000)])
    forecast = predictor.predict_one(CALL)
    for level in (0.25, 0.50, 0.75, 0.90, 0.95):
        assert forecast.quantile(level) == pytest.approx(1000 * level, rel=0.10)


def test_answers_cut_at_a_cap_raise_what_is_above_it() -> None:
    """Where half of the answers were cut at 1,000, q75 and up lie above 1,000."""
    predictor = Quantile()
    for _ in range(50):
        _learn(predictor, CALL, 500)
        _learn(predictor, CALL, 1000, censored=True)
    forecast = predictor.predict_one(CALL)
    # Half end near 500; the rest lie above 1,000, somewhere in the tail of the prior.
    assert forecast.quantile(0.40) == pytest.approx(500, rel=0.2)
    assert forecast.quantile(0.75) > 1000
    assert forecast.quantile(0.95) > 2000
    assert forecast.reasons[1] == "50 of them cut off, counted as lower bounds"
    naive = Quantile()
    _learn(naive, CALL, 500, 1000, times=50)
    assert naive.predict_one(CALL).quantile(0.95) < 1300


def test_a_change_is_followed() -> None:
    """When lengths double, q95 holds again after one memory of calls."""
    predictor = Quantile()
    _learn(predictor, CALL, 80, 100, 125, times=300)
    _learn(predictor, CALL, 160, 200, 250, times=100)
    forecast = predictor.predict_one(CALL)
    assert forecast.quantile(0.95) >= 250
    assert forecast.quantile(0.5) > 140


def test_recommended_is_the_band_that_holds_most_and_not_below_q60() -> None:
    """Lengths that hardly vary are recommended 1 / .95 of the longest, with high confidence."""
    predictor = Quantile()
    _learn(predictor, CALL, 1000, times=300)
    forecast = predictor.predict_one(CALL)
    assert forecast.recommended >= forecast.quantile(0.60)
    # The kernel reaches 30 % up: 1.3 * 1,000 / .95 = 1,370 holds even that.
    assert 1100 <= forecast.recommended <= 1400
    # Between q05 and q99, which is all that the forecast says, lies .94.
    assert forecast.confidence == pytest.approx(0.94, abs=0.02)


def test_the_groups_that_learned_longest_ago_are_forgotten() -> None:
    """With room for six groups, a model not heard of for long falls back to all calls."""
    predictor = Quantile(most_groups=6)
    _learn(predictor, CALL, 100, times=5)
    for number in range(3):
        _learn(predictor, replace(CALL, model=f"m{number}"), 300)
    assert predictor.predict_one(CALL).source == "all"
    assert predictor.predict_one(replace(CALL, model="m2")).source == "agent+task+model"
    assert predictor.predict_one(CALL).support == 8


def test_novelty_is_handed_on() -> None:
    """How new the task is was found by others; the forecast passes it on."""
    kind = Characteristics(novelty=0.25)
    assert Quantile().predict_one(replace(CALL, characteristics=kind)).novelty == 0.25
