"""How long answers take: a line through what was seen, or nothing where it tells nothing."""

from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.ledger.tempo import Tempo


def test_a_pace_is_the_line_through_tokens_and_seconds() -> None:
    """Seconds to the first token and seconds a token, once twenty answers were seen."""
    tempo = Tempo()
    draw = np.random.default_rng(1)
    for number in range(60):
        assert (tempo.of("m") is not None) == (number > 21)
        tokens = int(draw.integers(1, 2_000))
        tempo.learn("m", tokens, 0.8 + 0.02 * tokens)
    pace = tempo.of("m")
    assert pace is not None
    assert pace.before == pytest.approx(0.8)
    assert pace.token == pytest.approx(0.02)
    assert pace.seconds(100) == pytest.approx(2.8)
    assert tempo.of("other") is None


def test_times_that_tokens_do_not_explain_are_no_pace() -> None:
    """Queues, tools or networks that take longer than the tokens leave calls without stages."""
    tempo = Tempo()
    draw = np.random.default_rng(2)
    for _ in range(200):
        tempo.learn("m", int(draw.integers(1, 200)), 0.01 + float(draw.exponential(10.0)))
    assert tempo.of("m") is None


def test_a_pace_that_changes_is_learned_anew() -> None:
    """After some hundred answers at another pace the old one is forgotten."""
    tempo = Tempo()
    draw = np.random.default_rng(3)
    for number in range(2_000):
        tokens = int(draw.integers(1, 2_000))
        tempo.learn("m", tokens, tokens * (0.02 if number < 500 else 0.05))
    pace = tempo.of("m")
    assert pace is not None
    assert pace.token == pytest.approx(0.05, rel=0.02)
