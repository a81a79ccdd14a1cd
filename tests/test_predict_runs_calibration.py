from __future__ import annotations

import numpy as np

from budget_proxy.predict.runs.base import LEVELS
from budget_proxy.predict.runs.calibration import MEASURES, STAGES, StageTracking, stage_of

NARROW = np.tile(np.linspace(-0.64, 0.64, len(LEVELS)), (MEASURES, 1))


def _covered(tracking: StageTracking | None) -> float:
    """The share of standard normal lengths within p10..p90 of a forecast half as wide as due."""
    draw = np.random.default_rng(5)
    held = []
    for _ in range(2_000):
        came = draw.normal(size=MEASURES)
        forecast = NARROW if tracking is None else tracking.apply(3, NARROW)
        held.append((forecast[:, 0] <= came) & (came <= forecast[:, -1]))
        if tracking is not None:
            tracking.learn(3, forecast, came)
    return float(np.mean(held[1_000:]))


def test_intervals_that_are_too_narrow_widen() -> None:
    """Coverage of 48 % becomes 73 to 87 %, of each measure by itself."""
    assert _covered(None) < 0.55
    assert 0.73 < _covered(StageTracking()) < 0.87


def test_stages_learn_apart_and_quantiles_ascend() -> None:
    """What one stage learned leaves another as it was; shifted levels never cross."""
    tracking = StageTracking()
    for _ in range(500):
        tracking.learn(1, tracking.apply(1, NARROW), np.array([5.0, -5.0, 0.0]))
    assert (tracking.apply(0, NARROW) == NARROW).all()
    shifted = tracking.apply(1, NARROW)
    assert (np.diff(shifted, axis=1) >= 0.0).all()
    assert shifted[0, 0] > NARROW[0, 0]
    assert shifted[1, -1] < NARROW[1, -1]


def test_every_number_of_calls_has_its_stage() -> None:
    """The last stage that has begun."""
    assert [stage_of(steps) for steps in (0, 1, 2, 3, 4, 31, 32)] == [0, 1, 2, 2, 3, 5, 6]
    assert stage_of(10**6) == len(STAGES) - 1
