from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from budget_proxy.predict.evaluate import Row, Scored, Tally, evaluate, pinball, static_quantiles
from budget_proxy.predict.fixed import Fixed
from budget_proxy.predict.quantile import Quantile
from budget_proxy.types import LEVELS, Characteristics, Features, Forecast, Observation


def _row(index: int, tokens: int | None, model: str = "m", *, censored: bool = False) -> Row:
    features = Features("a", model, "question", Characteristics(), float(index))
    return Row(index, features, tokens, censored, f"id{index}")


def _forecast(*values: float, recommended: int = 100, confidence: float = 0.5) -> Forecast:
    return Forecast(LEVELS, values, "test", recommended, confidence)


class _Diary:
    """A predictor that writes down the order in which it is used."""

    name = "diary"

    def __init__(self, novelty: float = 1.0) -> None:
        self.pages: list[str] = []
        self.learned: list[Features] = []
        self._forecast = replace(_forecast(10, 10, 10, 10, 10), novelty=novelty)

    def predict_one(self, features: Features) -> Forecast:
        self.pages.append(f"predict {features.now:.0f}")
        return self._forecast

    def learn_one(self, features: Features, observation: Observation, call_id: str = "") -> None:
        cut = " cut" if observation.censored else ""
        self.pages.append(f"learn {features.now:.0f}: {observation.tokens}{cut} {call_id}")
        self.learned.append(features)


def test_each_row_is_predicted_before_it_is_learned_and_before_the_next_is_read() -> None:
    """The order is read, predict, learn; rows without a length are not learned."""
    diary = _Diary()

    def rows() -> Iterator[Row]:
        for row in (_row(0, 7), _row(1, None), _row(2, 9, censored=True)):
            diary.pages.append(f"read {row.index}")
            yield row

    scored = list(evaluate(rows(), diary, lambda: 0.0))
    assert [item.row.index for item in scored] == [0, 1, 2]
    assert diary.pages == [
        "read 0", "predict 0", "learn 0: 7 id0",
        "read 1", "predict 1",
        "read 2", "predict 2", "learn 2: 9 cut id2",
    ]  # fmt: skip


def test_a_row_is_learned_with_the_novelty_that_was_found() -> None:
    """What the forecast says of the task's novelty goes into the history."""
    diary = _Diary(novelty=0.125)
    list(evaluate([_row(0, 7)], diary, lambda: 0.0))
    assert [features.characteristics.novelty for features in diary.learned] == [0.125]


def test_outcomes_from_row_i_on_do_not_touch_prediction_i() -> None:
    """Changing the outcome of a row and of all later ones leaves the forecasts up to it alike."""
    lengths = [50, 400, 90, 700, 20, 310]
    changed = [*lengths[:3], 9000, 9000, 9000]
    first, second = (
        [
            item.forecast
            for item in evaluate(
                (_row(i, tokens) for i, tokens in enumerate(outcomes)), Quantile(), lambda: 0.0
            )
        ]
        for outcomes in (lengths, changed)
    )
    assert first[:4] == second[:4]
    assert first[4] != second[4]


def test_seconds_are_those_of_the_features_and_of_the_forecast() -> None:
    """A clock that ticks once per look adds one second to what the row took before."""
    ticks = count()
    row = Row(0, _row(0, 5).features, 5, seconds=0.25)
    (scored,) = evaluate([row], Fixed(10), lambda: float(next(ticks)))
    assert scored.seconds == 1.25


def test_pinball_is_worked_out_by_hand() -> None:
    """Too short costs the level per token, too long the rest of it."""
    values = np.array([[60.0] * 5, [60.0] * 5])
    # y = 100: 40 short, 40 a. y = 50: 10 long, 10 (1 - a). Mean at a = .5: (20 + 5) / 2.
    losses = pinball(np.array([100.0, 50.0]), values)
    expected = [(40 * a + 10 * (1 - a)) / 2 for a in (0.5, 0.75, 0.9, 0.95, 0.99)]
    assert expected[0] == 12.5
    assert losses.tolist() == pytest.approx(expected)


def test_static_quantiles_come_from_the_first_rows_of_the_model_or_of_all() -> None:
    """Six rows of a model stand for it; one with five or fewer gets the quantiles of all."""
    lengths = np.array([10, 20, 30, 40, 50, 60, 1000, 77, 77], float)
    models = ["m"] * 6 + ["rare", "m", "rare"]
    static = static_quantiles(lengths, models, cut=7)
    # Linear q50 of 10..60 is 35, q75 lies at position 3.75: 47.5.
    assert static[7, :2].tolist() == pytest.approx([35.0, 47.5])
    # Of all seven, q50 is the fourth: 40, and q75 lies at position 4.5: 55.
    assert static[8, :2].tolist() == pytest.approx([40.0, 55.0])


def _tally(*items: tuple[int | None, Forecast]) -> Tally:
    tally = Tally("test")
    for index, (tokens, forecast) in enumerate(items):
        tally.add(Scored(_row(index, tokens), forecast, seconds=0.5))
    return tally


def test_the_scores_are_worked_out_by_hand() -> None:
    """Four calls with a recommended budget of 100: one over, one under, two well used."""
    forecast = _forecast(60, 70, 80, 90, 200, confidence=0.4)
    tally = _tally((50, forecast), (95, forecast), (40, forecast), (96, forecast), (None, forecast))
    scores = tally.summary().all
    assert scores is not None
    assert (tally.summary().rows, scores.n) == (5, 4)
    assert scores.over == 0.25  # 40; exactly 50 % is well used
    assert scores.under == 0.25  # 96; exactly 95 % is well used
    assert scores.accuracy == 0.5
    assert scores.attainable == pytest.approx(0.4)
    assert scores.utilisation == pytest.approx(2.81 / 4)  # (.50 + .95 + .40 + .96) / 4
    assert scores.coverage == (0.5, 0.5, 0.5, 0.5, 1.0)
    # abs(y - 60) / y: .2, .3684, .5, .375; the median is the mean of .3684 and .375.
    assert scores.error == pytest.approx((35 / 95 + 36 / 96) / 2)
    assert scores.reserved == pytest.approx(4 * 90 / 281)
    assert scores.seconds == 0.5


def test_skill_compares_the_last_two_fifths_with_the_static_quantiles() -> None:
    """Ten rows of one model: fitted on six, scored on four."""
    lengths = [100, 100, 100, 100, 100, 200, 100, 100, 100, 100]
    tally = _tally(*((tokens, _forecast(90, 90, 90, 90, 90)) for tokens in lengths))
    summary = tally.summary()
    assert summary.all is not None
    assert summary.last is not None
    assert summary.all.skill is None
    assert summary.last.n == 4
    assert summary.last.skill is None  # static q50 is exact, and nothing compares with no loss
    lengths[6:] = [100, 110, 110, 110]
    tally = _tally(*((tokens, _forecast(105, 110, 110, 150, 150)) for tokens in lengths))
    last = tally.summary().last
    assert last is not None
    assert last.skill is not None
    # q50: static 100 loses (0 + 3 * 5) / 4, ours (2.5 + 3 * 2.5) / 4; 1 - 10 / 15.
    assert last.skill[0] == pytest.approx(1 / 3)
    # q95: static is linear at position 4.75: 175, and loses .05 (75 + 3 * 65) / 4 = .05 * 67.5;
    # ours .05 (50 + 3 * 40) / 4 = .05 * 42.5.
    assert last.skill[3] == pytest.approx(1 - 42.5 / 67.5)


def test_without_lengths_there_is_nothing_to_score() -> None:
    """Rows without outcomes are predicted, and the scores are absent, not zero."""
    summary = _tally((None, _forecast(1, 1, 1, 1, 1))).summary()
    assert (summary.rows, summary.all, summary.last) == (1, None, None)


def test_a_single_row_has_scores_but_no_skill() -> None:
    """Where the first 60 % hold no row, there are no static quantiles to compare with."""
    last = _tally((10, _forecast(1, 1, 1, 1, 1))).summary().last
    assert last is not None
    assert (last.n, last.skill) == (1, None)
