from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.cases import FACTORS
from budget_proxy.predict.effects import STRENGTHS, Backfit, Effects

ONE = (11, 12, 13, 0, 0, 0, 14, 15, 0, 0)
OTHER = (11, 12, 13, 0, 0, 0, 24, 25, 0, 0)


def _learned(effects: Effects, keys: tuple[int, ...], *rests: float) -> None:
    for rest in rests:
        effects.add(keys, effects.look(keys), rest)


def test_an_effect_is_what_was_left_over_shrunk_by_its_strength() -> None:
    """After one outcome that is 1 off, an effect of strength k is 1 / (1 + k); none for key 0."""
    effects = Effects()
    _learned(effects, ONE, 1.0)
    found, counts, *_ = effects.look(ONE)
    for place, key in enumerate(ONE):
        assert found[place] == pytest.approx(1.0 / (1.0 + STRENGTHS[place]) if key else 0.0)
        assert counts[place] == bool(key)


def test_what_others_share_is_all_that_they_learn() -> None:
    """Another prompt of the same model knows the model's effect, and none of the prompt's."""
    effects = Effects()
    _learned(effects, ONE, 1.0, 1.0)
    found, counts, *_ = effects.look(OTHER)
    assert counts == (2, 2, 2, 0, 0, 0, 0, 0, 0, 0)
    assert found[6] == found[7] == 0.0
    assert found[0] > 0.0


def test_the_same_number_under_two_factors_is_two_keys() -> None:
    """A model's key that equals a prompt's is not taken for it."""
    effects = Effects()
    _learned(effects, (7, 0, 0, 0, 0, 0, 0, 0, 0, 0), 1.0)
    assert effects.look((0, 0, 0, 0, 0, 0, 7, 0, 0, 0)).counts == (0,) * len(FACTORS)


def test_a_sweep_tells_prompts_and_models_apart() -> None:
    """Of lengths that are a sum by model and prompt, the sweep finds nearly each cell."""
    draw = np.random.default_rng(3)
    by_model, by_prompt = draw.normal(0, 1, 4), draw.normal(0, 1, 30)
    models, prompts = draw.integers(0, 4, 3000), draw.integers(0, 30, 3000)
    keys = np.zeros((3000, len(FACTORS)), np.uint64)
    keys[:, 0], keys[:, 6] = models + 1, prompts + 100
    lengths = 5.0 + by_model[models] + by_prompt[prompts] + draw.normal(0, 0.1, 3000)
    effects = Effects()
    Backfit(keys).sweep(effects, lengths)
    for row in range(0, 3000, 100):
        told = effects.look(keys[row].tolist())
        expected = 5.0 + by_model[models[row]] + by_prompt[prompts[row]]
        assert effects.general + sum(told.effects) == pytest.approx(expected, abs=0.1)


def test_a_full_table_keeps_what_was_touched_last() -> None:
    """With room for 256 keys, the newest prompts are still known and the oldest are not."""
    effects = Effects(256)
    for number in range(1000):
        effects.tidy()
        _learned(effects, (1, 2, 3, 0, 0, 0, 1000 + number, 0, 0, 0), 0.5)
    assert effects.look((1, 2, 3, 0, 0, 0, 1999, 0, 0, 0)).counts[6] == 1
    assert effects.look((1, 2, 3, 0, 0, 0, 1000, 0, 0, 0)).counts[6] == 0
    assert effects.look((1, 2, 3, 0, 0, 0, 1, 0, 0, 0)).counts[0] == 1000
