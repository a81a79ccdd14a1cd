from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.trust import Trust


def test_promises_become_what_came_true() -> None:
    """Promised .8 and true half of the time, .3 and true as promised: reliable afterwards."""
    trust, draw = Trust(), np.random.default_rng(1)
    for _ in range(2000):
        trust.learn(0.8, came_true=bool(draw.random() < 0.5))
        trust.learn(0.3, came_true=bool(draw.random() < 0.3))
    assert trust.calibrated(0.8) == pytest.approx(0.53, abs=0.08)
    assert trust.calibrated(0.3) == pytest.approx(0.3, abs=0.06)


def test_a_promise_stands_until_there_is_evidence() -> None:
    """Nothing learned, or one promise broken, changes little."""
    trust = Trust()
    assert trust.calibrated(0.64) == 0.64
    trust.learn(0.64, came_true=False)
    assert trust.calibrated(0.64) == pytest.approx(0.64, abs=0.02)


def test_it_stays_a_probability() -> None:
    """However many promises broke, it is between 0 and 1."""
    trust = Trust()
    for _ in range(1000):
        trust.learn(1.0, came_true=False)
        trust.learn(0.0, came_true=True)
    assert 0.0 <= trust.calibrated(1.0) <= 1.0
    assert 0.0 <= trust.calibrated(0.0) <= 1.0
