"""How far sums come out is learned, and fades."""

from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.ledger.calibration import Calibration


def test_before_anything_is_seen_levels_are_the_normal_ones() -> None:
    """Nothing is held for wrong that was not seen."""
    assert Calibration().of(2.05) == pytest.approx(2.05)


def test_shifts_and_spreads_are_learned() -> None:
    """Sums one spread too high and twice as wide: so are the levels."""
    found = Calibration()
    for score in np.random.default_rng(1).normal(1.0, 2.0, 500):
        found.learn(float(score))
    assert found.of(0.0) == pytest.approx(1.0, abs=0.4)
    assert found.of(2.0) - found.of(0.0) == pytest.approx(4.0, rel=0.2)


def test_what_was_long_ago_fades() -> None:
    """After a change the new sums decide."""
    found = Calibration()
    for score in [5.0] * 300 + [0.0] * 500:
        found.learn(score)
    assert abs(found.of(0.0)) < 0.1
