from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.runs.gaps import LEAST_SILENCE, MOST_SILENCE, Gaps


def _of(seconds: float, count: int = 400) -> Gaps:
    gaps = Gaps()
    for number in range(count):
        gaps.add(seconds * (0.5 + number % 11 / 10.0))
    return gaps


def test_the_longer_the_silence_the_surer_it_is_over() -> None:
    """From 0 right after a call to nearly 1 after a time that no gap has lasted."""
    over = _of(5.0).over(np.array([0.0, 3.0, 8.0, 60.0, 1e5]))
    assert over[0] == pytest.approx(0.0, abs=1e-4)
    assert (np.diff(over) > 0.0).all()
    assert over[1] < 0.2
    assert over[3] > 0.6
    assert over[4] > 0.99


def test_a_slow_agents_silence_says_less() -> None:
    """Half a minute is long between calls of 5 seconds, and nothing between calls of a minute."""
    half_a_minute = np.array([30.0])
    assert _of(5.0).over(half_a_minute)[0] > 0.5
    assert _of(60.0).over(half_a_minute)[0] < 0.1


def test_the_silence_that_ends_a_run_is_learned_within_bounds() -> None:
    """Longer for slower agents, between a minute and an hour."""
    instant, slow, slower = (_of(seconds, 4000).silence for seconds in (0.01, 60.0, 1e5))
    assert instant == LEAST_SILENCE
    assert LEAST_SILENCE < slow < MOST_SILENCE
    assert slower == MOST_SILENCE


def test_an_agent_that_changes_is_followed() -> None:
    """After ten thousand quick gaps, as many slow ones: a minute is no sign of an end."""
    gaps = _of(1.0, 10_000)
    before = gaps.over(np.array([60.0]))[0]
    for _ in range(10_000):
        gaps.add(90.0)
    assert gaps.over(np.array([60.0]))[0] < 0.1 < before
