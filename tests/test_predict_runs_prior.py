from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.runs import prior

NONE = np.empty(0)


@pytest.mark.parametrize("steps", [0, 1, 5, 40, 1_000, 1_000_000])
def test_runs_go_beyond_what_was_made(steps: int) -> None:
    """By a call at least, ascending, and not by orders of magnitude where a run is long."""
    found = prior.turns(steps, NONE, NONE)
    assert (np.diff(found) >= 0.0).all()
    assert found[0] >= steps + 1
    if steps >= 1_000:
        assert found[-1] < 5 * steps


def test_what_is_known_is_followed() -> None:
    """A hundred runs of about 100 calls: the middle is near them, and narrower than at first."""
    known = 100.0 * np.exp(np.linspace(-0.3, 0.3, 100))
    found, first = prior.turns(0, known, np.ones(100)), prior.turns(0, NONE, NONE)
    assert found[prior.POINTS // 2] == pytest.approx(100.0, rel=0.1)
    assert found[-1] / found[0] < first[-1] / first[0] / 5


def test_tokens_grow_with_the_square_of_the_calls() -> None:
    """A conversation is resent: twice the calls cost more than twice the tokens."""
    more = np.full(prior.POINTS, 10.0)
    tokens, output = prior.remaining(more, 10, 1000.0, 10_000.0, 200.0)
    twice, _ = prior.remaining(2 * more, 10, 1000.0, 10_000.0, 200.0)
    assert tokens[0] == pytest.approx(10 * 10_000 + 1000 * 50 + 2000)
    assert output[0] == 2000
    assert twice[0] > 2.2 * tokens[0]


def test_longer_runs_use_more_a_turn() -> None:
    """Before the first call: tokens by turn, ascending too."""
    turns = prior.turns(0, NONE, NONE)
    tokens, output = prior.whole(turns, NONE, NONE)
    assert (np.diff(tokens / turns) > 0.0).all()
    assert (output < tokens).all()
