from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict import trees
from budget_proxy.predict.network import LEVELS, MEDIAN


def _data(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rests that are higher where the first two numbers both are, and wide where the third is."""
    draw = np.random.default_rng(seed)
    inputs = draw.normal(0, 1, (count, 6)).astype(np.float32)
    both = (inputs[:, 0] > 0) & (inputs[:, 1] > 0)
    noise = draw.normal(0, 0.3, count) * np.where(inputs[:, 2] > 0, 3.0, 1.0)
    return inputs, (2.0 * both + noise).astype(np.float32)


def test_quantiles_are_learned_with_their_spread() -> None:
    """On fresh calls each level holds its share, and the spread follows what it depends on."""
    inputs, rests = _data(4000, 1)
    fresh, true = _data(4000, 2)
    found = trees.fit(inputs, rests, seed=1).predict(fresh)
    assert (true[:, None] <= found).mean(axis=0) == pytest.approx(LEVELS, abs=0.04)
    spread = found[:, LEVELS.index(0.90)] - found[:, MEDIAN]
    assert spread[fresh[:, 2] > 0.2].mean() > 1.7 * spread[fresh[:, 2] < -0.2].mean()


def test_what_only_two_numbers_together_tell_is_learned() -> None:
    """Neither alone says anything: the median is moved where both are high, and there only."""
    inputs, rests = _data(4000, 3)
    corners = np.zeros((4, 6), np.float32)
    corners[:, :2] = (1, 1), (1, -1), (-1, 1), (-1, -1)
    found = trees.fit(inputs, rests, seed=1).predict(corners)[:, MEDIAN]
    assert found[0] == pytest.approx(2.0, abs=0.3)
    assert found[1:] == pytest.approx([0.0] * 3, abs=0.3)


def test_the_same_seed_and_calls_give_the_same_trees() -> None:
    """To the bit; another seed gives other ones."""
    inputs, rests = _data(300, 5)
    one, again, other = (trees.fit(inputs, rests, seed=seed).predict(inputs) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()


def test_a_call_is_forecast_alone_as_among_others() -> None:
    """To the bit, so that what is learned in batches is what was forecast."""
    inputs, rests = _data(500, 6)
    grown = trees.fit(inputs, rests, seed=1)
    alone = np.concatenate([grown.predict(inputs[at : at + 1]) for at in range(50)])
    assert (alone == grown.predict(inputs[:50])).all()


def test_where_nothing_varies_all_calls_get_the_quantiles_of_all() -> None:
    """There is no question to ask; a call that is the first to differ is forecast as the others."""
    _, rests = _data(200, 7)
    grown = trees.fit(np.ones((200, 6), np.float32), rests, seed=1)
    found = grown.predict(np.full((2, 6), 40.0, np.float32))
    assert found == pytest.approx(np.tile(np.quantile(rests, LEVELS), (2, 1)))


def test_a_number_that_never_varied_is_never_asked_for() -> None:
    """A call that is the first to differ in it is forecast as one that does not."""
    inputs, rests = _data(1000, 8)
    inputs[:, 5] = 1.0
    differs = inputs[:50].copy()
    differs[:, 5] = 40.0
    grown = trees.fit(inputs, rests, seed=1)
    assert (grown.predict(differs) == grown.predict(inputs[:50])).all()
