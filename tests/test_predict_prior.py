from __future__ import annotations

import numpy as np
import pytest

from budget_proxy.predict import prior


def test_quantiles_are_those_of_the_log_normal() -> None:
    """The median is 260 tokens and a level lies z standard deviations of 1.6 above it in ln."""
    assert prior.quantile(0.5) == pytest.approx(260.0)
    # z(.95) = 1.64485; 260 * exp(1.6 * 1.64485) = 260 * 13.899 = 3,613.9
    assert prior.quantile(0.95) == pytest.approx(3613.9, abs=1.0)


def test_survival_falls_from_one_to_zero_through_the_quantiles() -> None:
    """At the 95 % quantile 5 % are longer, and the ends of the grid hold all the mass."""
    edges = np.array([0.5, 260.0, prior.quantile(0.95), 2e6])
    assert prior.survival(edges) == pytest.approx([1.0, 0.5, 0.05, 0.0])
