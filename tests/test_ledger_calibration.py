"""How far sums come out is learned, and fades."""

from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.ledger.calibration import Calibration

MEAN, SPREAD = 1_000.0, 100.0


def taught(found: Calibration, sums: np.ndarray) -> Calibration:
    """One that has seen these sums, of which MEAN and SPREAD had been expected."""
    for seen in sums.tolist():
        found.learn(seen, MEAN, SPREAD, found.of(MEAN, SPREAD, 0.0), 1_500.0)
    return found


def test_before_anything_is_seen_means_are_as_expected() -> None:
    """Nothing is held for wrong that was not seen."""
    assert Calibration().of(MEAN, SPREAD, 0.0) == pytest.approx(MEAN)
    assert Calibration().suffices


def test_shifts_and_spreads_are_learned() -> None:
    """Sums a half too high and twice as wide: so is what is told of them."""
    sums = np.random.default_rng(1).normal(1_500.0, 200.0, 2_000)
    found = taught(Calibration(), sums)
    assert found.factor == pytest.approx(1.5, rel=0.05)
    assert found.of(MEAN, SPREAD, 1.0) - found.of(MEAN, SPREAD, 0.0) == pytest.approx(200, rel=0.2)
    assert not found.suffices  # half of them lay beyond the reserves


def test_what_was_long_ago_fades() -> None:
    """After a change the new sums decide."""
    found = taught(Calibration(), np.full(300, 3_000.0))
    assert found.factor == pytest.approx(3.0, rel=0.1)
    taught(found, np.full(400, MEAN))
    assert found.factor == pytest.approx(1.0, rel=0.02)
