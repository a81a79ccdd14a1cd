from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.drift import Drift, distances
from budget_proxy.predict.network import LEVELS, MEDIAN
from tests.cases import case


def test_no_change_is_found_where_there_is_none() -> None:
    """Over 5,000 calls of constant spread nothing moves, and nothing is said."""
    drift, one = Drift(), case()
    for distance in np.random.default_rng(1).normal(0, 0.5, 5000).tolist():
        drift.learn(one, distance)
        assert drift.changed(one) is None
    moved, wider = drift.look(one)
    assert abs(moved) < 0.1
    assert wider < 1.02


def test_skewed_lengths_are_no_change() -> None:
    """Where forecasts hold nothing moves, though lengths lie above their medians on the mean."""
    lengths = 0.4 * np.random.default_rng(4).exponential(1.0, 3000) ** 1.5
    forecasts = np.tile(np.quantile(lengths, LEVELS), (3000, 1))
    assert (lengths - forecasts[:, MEDIAN]).mean() > 0.2
    drift, one = Drift(), case()
    for distance in distances(forecasts, lengths).tolist():
        drift.learn(one, distance)
        assert drift.changed(one) is None
    assert abs(drift.look(one)[0]) < 0.1


def test_a_distance_is_of_the_size_that_lengths_moved_by() -> None:
    """Of symmetric forecasts it is the plain one; of none too narrow does it grow beyond that."""
    forecasts = np.full((2, len(LEVELS)), 5.0)
    forecasts[0] += np.array((-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0))
    assert distances(forecasts, np.array((5.7, 5.7))) == pytest.approx([0.7, 0.7])


def test_a_change_is_found_widens_the_forecast_and_settles() -> None:
    """Lengths that double: found within 40 calls, wider then, and after 300 calls settled."""
    drift, one = Drift(), case()
    draw = np.random.default_rng(2)
    for distance in draw.normal(0, 0.5, 500).tolist():
        drift.learn(one, distance)
    widths = []
    for number, distance in enumerate(draw.normal(np.log(2.0), 0.5, 350).tolist()):
        drift.learn(one, distance)
        if number == 40:
            assert drift.changed(one) is not None
        widths.append(drift.look(one)[1])
    moved, wider = drift.look(one)
    assert moved == pytest.approx(np.log(2.0), abs=0.12)
    assert max(widths) > 1.1
    assert wider < 1.03
    assert drift.changed(one) is None  # it was long enough ago


def test_a_change_of_one_model_is_its_own() -> None:
    """Where one of ten models answers longer, its forecasts move and the others' hardly do."""
    drift = Drift()
    models = [case(model=f"m{number}") for number in range(10)]
    draw = np.random.default_rng(3)
    for _ in range(200):
        for number, one in enumerate(models):
            drift.learn(one, float(draw.normal(1.0 if number == 4 else 0.0, 0.3)))
    assert drift.look(models[4])[0] == pytest.approx(1.0, abs=0.2)
    assert abs(drift.look(models[5])[0]) < 0.2


def test_groups_are_bounded_and_the_level_of_all_stays() -> None:
    """Ever new models leave at most as many levels as are kept, all calls' among them."""
    drift = Drift(8)
    for number in range(100):
        drift.learn(case(model=f"m{number}"), 0.3)
    assert len(drift._levels) <= 9
    assert drift.look(case(model="unheard-of"))[0] > 0.0


def test_a_new_start_remembers_when_changes_were_found() -> None:
    """What a fit has learned moves forecasts no more, but is still spoken of."""
    lived, one = Drift(), case()
    for distance in (0.0,) * 100 + (1.0,) * 40:
        lived.learn(one, distance)
    new = Drift()
    new.learn(one, 0.0)
    assert new.changed(one) is None
    new.remember(lived)
    assert new.changed(one) == lived.changed(one) is not None
    assert abs(new.look(one)[0]) < 0.01
