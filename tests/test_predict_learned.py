from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from budget_proxy.predict import effects
from budget_proxy.predict.fold import START, Fold
from budget_proxy.predict.learned import SHAPES, Learned
from budget_proxy.predict.signals import signals_of
from budget_proxy.predict.strategies import fitting
from budget_proxy.training.arrays import packed, unpacked
from budget_proxy.types import Characteristics, Features, Forecast, Message, Observation
from tests.cases import features
from tests.makers import SALT, call

Row = tuple[Features, Observation]


def _rows(count: int, *, seed: int = 1) -> list[Row]:
    """Two agents ask two models; sessions of five calls; a tenth is cut at 400 tokens."""
    draw = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        agent, model = int(draw.integers(2)), int(draw.integers(2))
        length = math.exp(5 + agent + 0.5 * model + draw.normal(0, 0.4))
        asked = features(
            agent=f"a{agent}", model=f"m{model}", session=f"s{number // 5}", now=float(number)
        )
        cut = length > 400 and number % 10 == 0
        tokens = 400 if cut else round(length)
        rows.append((asked, Observation(tokens, cut, float(number), tokens // 2)))
    return rows


def _learned(rows: Sequence[Row], *, window: int = 500) -> Learned:
    """As in production with an instant worker: a fit that is due is in force at once."""
    predictor = Learned(window)
    for asked, seen in rows:
        predictor.learn_one(asked, seen)
        if predictor.due():
            predictor.adopt(fitting("learned").refit(predictor.snapshot()))
    return predictor


@pytest.fixture(scope="module")
def trained() -> Learned:
    """A predictor that learned 600 outcomes."""
    return _learned(_rows(600))


def _quantiles(forecast: Forecast) -> list[float]:
    return [round(value, 9) for value in forecast.values]


def test_agents_and_models_are_told_apart(trained: Learned) -> None:
    """The agent whose answers are e times as long is forecast so, within a quarter."""
    short = trained.predict_one(features(agent="a0", model="m0")).quantile(0.5)
    long = trained.predict_one(features(agent="a1", model="m0")).quantile(0.5)
    assert long / short == pytest.approx(math.e, rel=0.25)


def test_where_only_the_model_tells_it_alone_counts(trained: Learned) -> None:
    """Of noise by six agents the model's own upper quantiles count; hardly where agents tell."""
    draw, predictor = np.random.default_rng(1), Learned(800)
    for number in range(800):
        agent, model = draw.integers(6), draw.integers(2)
        asked = features(agent=f"a{agent}", model=f"m{model}", session=f"s{number // 5}")
        tokens = round(math.exp(5 + model + draw.normal(0, 0.6)))
        predictor.learn_one(asked, Observation(tokens, censored=False, ts=float(number)))
    noise = fitting("learned").refit(predictor.snapshot()).fold.weights
    upper = START[:, -1] > 0.0
    assert noise[upper, -1].mean() > 0.3
    assert trained._fold.weights[upper, -1].mean() < 0.1
    assert not noise[~upper, -1].any()


def test_fits_come_early_and_then_by_growth() -> None:
    """The first after 40 outcomes; each waits for as much again, at most for the interval."""
    predictor, fits = Learned(100), []
    for number, (asked, seen) in enumerate(_rows(500), 1):
        predictor.learn_one(asked, seen)
        if predictor.due():
            fits.append(number)
            predictor.adopt(fitting("learned").refit(predictor.snapshot()))
    assert fits[0] == 40
    assert np.diff(fits).min() >= 20
    assert np.diff(fits).max() <= predictor.interval


def test_only_the_window_and_what_came_since_count() -> None:
    """Two histories with other beginnings, and the same window and end, forecast the same."""
    rows = _rows(300)
    found = []
    for beginning in (_rows(80, seed=2), _rows(80, seed=3)):
        predictor = Learned(200)
        for asked, seen in [*beginning, *rows[:250]]:
            predictor.learn_one(asked, seen)
        fitted = fitting("learned").refit(predictor.snapshot())
        for asked, seen in rows[250:]:
            predictor.learn_one(asked, seen)
        predictor.adopt(fitted)
        found.append([_quantiles(predictor.predict_one(asked)) for asked, _ in rows[:20]])
    assert found[0] == found[1]


def test_a_fit_that_comes_late_is_the_same_as_one_that_came_at_once() -> None:
    """Outcomes learned while it was made are folded into it in order."""
    rows = _rows(330)
    at_once, late = Learned(300), Learned(300)
    for asked, seen in rows[:300]:
        at_once.learn_one(asked, seen)
        late.learn_one(asked, seen)
    at_once.adopt(fitting("learned").refit(at_once.snapshot()))
    snapshot = late.snapshot()
    for asked, seen in rows[300:]:
        at_once.learn_one(asked, seen)
        late.learn_one(asked, seen)
    late.adopt(fitting("learned").refit(snapshot))
    for asked, _ in rows[:20]:
        assert at_once.predict_one(asked) == late.predict_one(asked)


def test_when_outcomes_that_wait_are_learned_is_no_matter(trained: Learned) -> None:
    """Beside the calls as soon as they may be, or by whoever looks next: the same to the bit."""
    waiting, beside = deepcopy(trained), deepcopy(trained)
    found: list[tuple[Forecast, Forecast]] = []
    settled = 0
    for number, (asked, seen) in enumerate(_rows(660)[600:]):
        for predictor in (waiting, beside):
            predictor.learn_one(asked, seen)
        settled += beside.behind()
        parts = number % 3 * 2  # not at all, half of it, or the whole
        for _ in range(parts):
            beside.settle()
        assert not (parts == 4 and beside.behind())
        if number % 7 == 0:
            found.append((waiting.predict_one(asked), beside.predict_one(asked)))
    assert settled > 1
    assert all(one == other for one, other in found)


def test_a_part_that_fails_is_done_again(trained: Learned, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt, say, amid any of them: the next look does the rest, and says the same."""
    rows = _rows(700)[600:]
    for name in ("by_numbers", "add_groups", "track", "follow"):
        whole, broken = deepcopy(trained), deepcopy(trained)
        for asked, seen in rows:
            if broken.behind():
                break
            whole.learn_one(asked, seen)
            broken.learn_one(asked, seen)
        assert broken.behind()

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(Fold, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                broken.predict_one(rows[-1][0])
        assert deepcopy(broken).behind()
        assert broken.predict_one(rows[-1][0]) == whole.predict_one(rows[-1][0])
        assert not broken.behind()


def test_a_fit_that_lacks_what_is_no_longer_kept_is_refused(trained: Learned) -> None:
    """It would count outcomes twice, or never; all that is kept can be learned still."""
    fitted = fitting("learned").refit(trained.snapshot())
    rows = _rows(100)
    kept = len(trained._columns)
    while trained._columns.total - fitted.position < trained._columns._window:
        trained.learn_one(*rows[trained._columns.total % 100])
    assert len(trained._columns) > kept
    assert len(trained.since(fitted)) == len(trained._columns)
    trained.learn_one(*rows[0])
    with pytest.raises(ValueError, match="no longer kept"):
        trained.since(fitted)
    before = trained.predict_one(rows[0][0])
    with pytest.raises(ValueError, match="no longer kept"):
        trained.adopt(fitted)
    assert trained.predict_one(rows[0][0]) == before


def test_what_a_fit_replaces_is_let_go_of_step_by_step(
    trained: Learned, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many values at most in one, until none is left."""
    monkeypatch.setattr(effects, "_SOME", 50)
    replaced = trained._fold
    rows = replaced.effects._rows
    steps = trained.adopt(fitting("learned").refit(trained.snapshot()))
    assert trained._fold is not replaced
    left = [len(rows), *(len(rows) for _ in steps)]
    assert left[0] > 100
    assert max(before - after for before, after in pairwise(left)) == 50
    assert left[-1] == len(vars(replaced)) == 0


def test_one_call_is_forecast_as_among_others(trained: Learned) -> None:
    """By plain arithmetic, and of many by arrays: but for the last digits it is the same."""
    fold, cases = trained._fold, [case for case, _ in trained._columns.newest(40).rows()]
    fold.settle()
    sights = [fold.look(case) for case in cases]
    centres = np.array([seen.centre for seen in sights])
    mixed = fold.mixed(cases, fold.members(cases, fold.told(cases, sights), centres))
    many = [fold._moved(case, row) for case, row in zip(cases, mixed.tolist(), strict=True)]
    one = [fold.forecast(case, seen) for case, seen in zip(cases, sights, strict=True)]
    assert np.log(one) == pytest.approx(np.maximum(many, 0.0), abs=1e-5)


def test_a_fit_goes_to_another_process_and_back(trained: Learned) -> None:
    """Packed and unpacked, snapshot and fit are what they were, to the last bit."""
    snapshot = unpacked(packed(trained.snapshot(), SHAPES), SHAPES)
    fitted = fitting("learned").refit(snapshot)
    sent = unpacked(packed(fitted, SHAPES), SHAPES)
    rows = _rows(650)[600:]
    found = []
    for fit in (fitted, sent):
        predictor = deepcopy(trained)
        predictor.adopt(fit)
        for asked, seen in rows:
            predictor.learn_one(asked, seen)
        found.append([predictor.predict_one(asked) for asked, _ in rows])
    assert found[0] == found[1]


def test_reasoning_is_forecast_apart_and_within_the_whole(trained: Learned) -> None:
    """Half of each answer was reasoning: forecast so where told, and not at all where not."""
    found = trained.predict_one(features(agent="a0", model="m0"))
    assert len(found.reasoning) == len(found.levels)
    assert list(found.reasoning) == sorted(found.reasoning)
    assert all(part <= whole for part, whole in zip(found.reasoning, found.values, strict=True))
    assert found.reasoning[2] == pytest.approx(found.values[2] / 2, rel=0.3)
    assert trained.predict_one(features(model="unheard-of")).reasoning == ()


def test_a_forecast_says_what_it_rests_on(trained: Learned) -> None:
    """Its group, how many outcomes it has and how new they are; a stranger's falls back."""
    found = trained.predict_one(features(agent="a1", model="m1"))
    assert found.source == "agent+task+model"
    assert found.group == ("a1", "question", "m1")
    assert found.support > 100
    assert f"{found.support} outcomes by agent+task+model" in found.reasons[0]
    stranger = trained.predict_one(features(agent="new", model="m1"))
    assert (stranger.source, stranger.group) == ("model", ("m1",))
    nothing = Learned().predict_one(features())
    assert (nothing.source, nothing.support) == ("prior", 0)
    assert nothing.reasons == ("no history yet: a broad prior",)


def test_a_change_is_spoken_of() -> None:
    """Once all answers are three times as long, the reasons say that lengths have changed."""
    rows = _rows(500)
    longer = [
        (asked, Observation(3 * seen.tokens, seen.censored, seen.ts)) for asked, seen in rows[:80]
    ]
    before, after = _learned(rows), _learned([*rows, *longer])
    asked = features(agent="a0", model="m0")
    assert not any("changed" in reason for reason in before.predict_one(asked).reasons)
    assert any("changed" in reason for reason in after.predict_one(asked).reasons)
    assert after.predict_one(asked).quantile(0.5) > 2 * before.predict_one(asked).quantile(0.5)


def test_cuts_do_not_shorten_the_upper_quantiles() -> None:
    """Answers cut at 200 but for a tenth: q95 is that of whole answers, far above the cut."""
    draw = np.random.default_rng(9)
    lengths = np.exp(draw.normal(5.0, 0.6, 1500))
    rows = []
    for number, length in enumerate(lengths.tolist()):
        free = number % 10 == 0
        cut = not free and length > 200
        asked = features(ceiling=100_000 if free else 200)
        tokens = 200 if cut else round(length)
        rows.append((asked, Observation(tokens, cut, float(number))))
    found = _learned(rows, window=2000).predict_one(features()).quantile(0.95)
    assert found == pytest.approx(np.quantile(lengths, 0.95), rel=0.2)


def test_calls_that_tell_more_than_the_history_are_forecast_like_it() -> None:
    """A history from before signals were kept: the first calls with them are nothing wild."""
    silent = [(replace(asked, signals=b""), seen) for asked, seen in _rows(400)]
    predictor = _learned(silent)
    for number in range(20):
        body = call(messages=(Message("user", f"Explain {number} things in one table:\n- a\n"),))
        told = features(agent="a0", model="m0", signals=signals_of(body, Characteristics(), SALT))
        found = predictor.predict_one(told)
        assert found.quantile(0.5) == pytest.approx(math.exp(5), rel=0.6)
        assert found.quantile(0.99) < 3000
