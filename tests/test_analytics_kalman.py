from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from budget_proxy.analytics.kalman import CLIP, LEVEL, WEEKDAY, Moves, State, follow

MOVES = Moves(np.array([0.01, 0.04]), np.array([0.0, 1e-4]))


def start(states: int) -> State:
    """Two members that know little: sd 2 of the level, .1 of the slope, 1 of each weekday."""
    spread = np.diag([4.0, 0.01, *[1.0] * (states - 2)])
    return State(np.zeros((2, states)), np.stack((spread, spread)))


def textbook(values: list[float], noise: list[float], member: int) -> tuple[Any, Any]:
    """The Kalman filter as it stands in books, with matrices, for weekdays from Monday on."""
    mean, spread = np.zeros(9), start(9).spread[0]
    change = np.eye(9)
    change[0, 1] = 1
    moved = np.diag([MOVES.level[member], MOVES.slope[member], *[0.0] * 7])
    for day, value in enumerate(values):
        mean, spread = change @ mean, change @ spread @ change.T + moved
        see = np.zeros(9)
        see[0] = see[2 + day % 7] = 1
        size = see @ spread @ see + noise[day] ** 2
        gain = spread @ see / size
        mean = mean + gain * (value - see @ mean)
        spread = spread - np.outer(gain, see @ spread)
    return mean, spread


def test_days_without_surprises_are_followed_as_by_the_textbook() -> None:
    """Each member is a Kalman filter of its own: the same mean and spread."""
    random = np.random.default_rng(3)
    values, noise = random.normal(0, 0.5, 25), random.uniform(0.5, 1.0, 25)
    found = follow(values, np.arange(25) % 7, noise, start(9), MOVES)
    assert np.abs(found.surprise).max() < CLIP
    for member in range(2):
        mean, spread = textbook(values.tolist(), noise.tolist(), member)
        np.testing.assert_allclose(found.state.mean[member], mean, atol=1e-12)
        np.testing.assert_allclose(found.state.spread[member], spread, atol=1e-12)


def followed(values: list[float]) -> float:
    """The level of the first member in the end, without weekdays and with noise of sd 1."""
    numbers = np.array(values)
    days = np.zeros(len(numbers), np.int_)
    state = follow(numbers, days, np.ones(len(numbers)), start(2), MOVES).state
    return float(state.mean[0, LEVEL])


def test_a_burst_counts_no_more_than_one_at_the_clip() -> None:
    """A hundred sigma away or a million: the level is the same."""
    calm = [0.1, -0.1] * 10
    assert followed([*calm, 100.0]) == pytest.approx(followed([*calm, 1e6]))
    assert followed([*calm, 100.0]) < 1


def test_two_days_far_off_are_a_burst_and_three_are_a_new_level() -> None:
    """Where the third is on the same side; a day between them ends the run."""
    calm = [0.1, -0.1] * 10
    assert followed([*calm, 50.0, 50.0]) < 2
    assert followed([*calm, 50.0, 50.0, 50.0]) > 40
    assert followed([*calm, 50.0, 50.0, 0.0, 50.0]) < 4
    assert followed([*calm, 50.0, -50.0, 50.0]) < 4


def test_the_days_of_a_new_level_are_marked_and_no_others() -> None:
    """So that they are not taken for bursts that may come again."""
    values = np.array([0.1, -0.1] * 10 + [60.0] + [0.1, -0.1] + [50.0] * 5)
    days = np.zeros(len(values), np.int_)
    found = follow(values, days, np.ones(len(values)), start(2), MOVES)
    assert np.flatnonzero(found.lasting[:, 0]).tolist() == [23, 24, 25]


def test_weekdays_are_told_apart() -> None:
    """Sundays at -3: their effect is far below that of the other days."""
    days = np.arange(70) % 7
    found = follow(np.where(days == 6, -3.0, 0.0), days, np.full(70, 0.3), start(9), MOVES)
    effects = found.state.mean[0, WEEKDAY:]
    assert effects[6] - effects[:6].mean() == pytest.approx(-3, abs=0.1)


def test_the_start_is_left_as_it_was() -> None:
    """Following is no deed: it can be repeated."""
    begun = start(2)
    follow(np.ones(5), np.zeros(5, np.int_), np.ones(5), begun, MOVES)
    np.testing.assert_array_equal(begun.mean, start(2).mean)
    np.testing.assert_array_equal(begun.spread, start(2).spread)
