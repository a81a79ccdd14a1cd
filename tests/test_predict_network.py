from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.network import (
    _SUMS,
    LEVELS,
    MEDIAN,
    Training,
    _forward,
    _gaps,
    _parts,
)


def _data(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rests whose median is the first number, and whose spread grows with the second."""
    draw = np.random.default_rng(seed)
    inputs = draw.normal(0, 1, (count, 6)).astype(np.float32)
    noise = draw.normal(0, 1, count) * np.exp(0.5 * inputs[:, 1])
    return inputs, (inputs[:, 0] + noise).astype(np.float32)


def test_quantiles_are_learned_with_their_spread() -> None:
    """On fresh cases each level holds its share, and the spread follows what it depends on."""
    inputs, rests = _data(4000, 1)
    training = Training(inputs, seed=1)
    training.train(inputs, rests, 1500)
    fresh, true = _data(4000, 2)
    found = training.network().predict(fresh)
    assert (true[:, None] <= found).mean(axis=0) == pytest.approx(LEVELS, abs=0.04)
    spread = found[:, 4] - found[:, MEDIAN]
    wide, narrow = spread[fresh[:, 1] > 1].mean(), spread[fresh[:, 1] < -1].mean()
    assert wide > 2 * narrow


def test_quantiles_never_cross() -> None:
    """Whatever comes in, levels ascend."""
    inputs, rests = _data(200, 3)
    training = Training(inputs, seed=1)
    training.train(inputs, rests, 50)
    wild = np.random.default_rng(4).normal(0, 100, (500, 6)).astype(np.float32)
    assert (np.diff(training.network().predict(wild), axis=1) >= 0).all()


def test_the_same_seed_and_cases_give_the_same_network() -> None:
    """To the bit; another seed gives another one."""
    inputs, rests = _data(300, 5)

    def trained(seed: int) -> np.ndarray:
        training = Training(inputs, seed=seed)
        training.train(inputs, rests, 40)
        return training.network().predict(inputs)

    assert (trained(1) == trained(1)).all()
    assert (trained(1) != trained(2)).any()


def test_the_slope_is_the_loss_s_derivative_by_every_kind_of_weight() -> None:
    """By finite differences of the mean pinball loss, at weights from all parts of the network."""
    inputs, rests = _data(3000, 6)
    training = Training(inputs, seed=1)
    training.train(inputs, rests, 20)
    seen, weights = training.standard(inputs), training._weights
    training._derive(seen, rests)

    def loss() -> float:
        _, raw = _forward(seen, _parts(weights, seen.shape[1] - 1))
        found = (_gaps(raw)[0] @ _SUMS).reshape(len(rests), -1, len(LEVELS))
        short = rests[:, None, None] - found.astype(np.float64)
        return float(np.maximum(LEVELS * short, (np.array(LEVELS) - 1) * short).sum() / len(rests))

    slopes = training._slope.copy()
    for part in _parts(np.arange(len(weights), dtype=np.float32), seen.shape[1] - 1):
        for place in part.ravel()[:: max(part.size // 16, 1)].astype(int):
            kept, step = weights[place], np.float32(1e-2)
            weights[place] = kept + step
            above = loss()
            weights[place] = kept - step
            below = loss()
            weights[place] = kept
            assert slopes[place] == pytest.approx((above - below) / 2e-2, abs=0.01)


def test_networks_forecast_as_they_were_trained() -> None:
    """Forecasts take fewer steps than training does: but for the last digits they are the same."""
    inputs, rests = _data(300, 8)
    training = Training(inputs, seed=1)
    training.train(inputs, rests, 60)
    _, raw = _forward(training.standard(inputs), training._parts)
    trained = (_gaps(raw)[0] @ _SUMS).reshape(len(inputs), -1, len(LEVELS)).mean(axis=1)
    assert training.network().predict(inputs) == pytest.approx(trained, abs=1e-5)


def test_a_number_that_never_varied_counts_for_nothing() -> None:
    """The first call to differ in it is forecast as the others; once it varies, it is learned."""
    inputs, rests = _data(2000, 7)
    silent = inputs.copy()
    silent[:, 5] = 0.0
    training = Training(inputs, seed=1)
    training.train(silent, rests, 300)
    told = silent[:50].copy()
    told[:, 5] = 40.0
    assert (training.network().predict(told) == training.network().predict(silent[:50])).all()
    training.train(inputs, rests + inputs[:, 5], 600)
    low, high = np.zeros((2, 1, 6), np.float32)
    low[0, 5], high[0, 5] = -1.0, 1.0
    moved = training.network().predict(high) - training.network().predict(low)
    assert moved[0, MEDIAN] > 1.0
