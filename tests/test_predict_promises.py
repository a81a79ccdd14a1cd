from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict.promises import allowed, deciles, group_coverage


def test_a_group_is_told_from_two_hundred_calls_on() -> None:
    """The greatest first; coverage by hand; smaller groups are left out."""
    names = ["big"] * 300 + ["just"] * 200 + ["small"] * 199
    lengths = np.array([10.0] * 150 + [90.0] * 549)
    values = np.tile([50.0, 50.0, 90.0, 90.0, 90.0], (len(names), 1))
    big, just = group_coverage("agent", names, lengths, values)
    assert (big.by, big.name, big.n) == ("agent", "big", 300)
    assert big.coverage == (0.5, 0.5, 1.0, 1.0, 1.0)
    assert (just.name, just.n, just.coverage) == ("just", 200, (0.0, 0.0, 1.0, 1.0, 1.0))
    # at q75 .25 off is too much; at q90 the whole is .10 off; at q95 5 points are just allowed
    assert big.holds == (True, False, False, True, True)


def test_what_is_allowed_is_five_points_or_two_and_a_half_deviations() -> None:
    """Of 200 calls the deviation at q50 is .0354, of 10,000 it is .005."""
    assert allowed(200)[0] == pytest.approx(2.5 * (0.25 / 200) ** 0.5)
    assert allowed(200)[3] == 0.05
    assert allowed(10_000) == (0.05,) * 5


def test_deciles_run_from_the_least_confident_to_the_most() -> None:
    """Twenty calls, two a part: promised is the mean, held the share that was used well."""
    confidence = np.arange(20, 0, -1) / 20
    parts = deciles(confidence, confidence > 0.5)
    assert [part.n for part in parts] == [2] * 10
    assert parts[0].promised == pytest.approx(0.075)
    assert parts[-1].promised == pytest.approx(0.975)
    assert [part.held for part in parts] == [0.0] * 5 + [1.0] * 5


def test_few_calls_make_few_parts() -> None:
    """Three calls are three parts, and none is empty."""
    parts = deciles(np.array([0.3, 0.1, 0.2]), np.array([True, False, True]))
    assert [(part.promised, part.held) for part in parts] == [(0.1, 0.0), (0.2, 1.0), (0.3, 1.0)]
