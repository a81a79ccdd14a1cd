from __future__ import annotations

import pytest

from budget_proxy.errors import InvalidInput
from budget_proxy.predict.fixed import Fixed
from budget_proxy.types import Characteristics, Features, Observation

CALL = Features("a", "m", "question", Characteristics(), 0.0)


def test_every_level_is_the_number_whatever_happened() -> None:
    """fixed:N says N at every level, before and after outcomes, and claims no confidence."""
    fixed = Fixed(4096)
    fixed.learn_one(CALL, Observation(10, censored=False, ts=0.0))
    forecast = fixed.predict_one(CALL)
    assert {forecast.quantile(level) for level in (0.01, 0.5, 0.99)} == {4096.0}
    assert (forecast.recommended, forecast.confidence, forecast.support) == (4096, 0.0, 0)
    assert forecast.strategy == fixed.name == "fixed:4096"


def test_a_budget_below_one_is_refused() -> None:
    """Zero tokens are the caller's error."""
    with pytest.raises(InvalidInput, match="fixed budget"):
        Fixed(0)
