"""The strategy that many use without naming it: the same number for every call.

It stands in every comparison as the yardstick to beat; it learns nothing and claims nothing.
"""

from __future__ import annotations

from budget_proxy.errors import InvalidInput
from budget_proxy.types import LEVELS, Features, Forecast, Observation


class Fixed:
    """``fixed:N``: N tokens at every quantile level, with confidence 0.

    Raises InvalidInput if ``tokens`` is below 1.
    """

    def __init__(self, tokens: int) -> None:
        if tokens < 1:
            raise InvalidInput(f"a fixed budget is a whole number of tokens >= 1, not {tokens}")
        self.name = f"fixed:{tokens}"
        self._forecast = Forecast(
            levels=LEVELS,
            values=(float(tokens),) * len(LEVELS),
            strategy=self.name,
            recommended=tokens,
            confidence=0.0,
            source="fixed",
            reasons=(f"{tokens} tokens for every call",),
        )

    def predict_one(self, features: Features) -> Forecast:  # noqa: ARG002 (every call is alike)
        """Return the same forecast for every call."""
        return self._forecast

    def learn_one(self, features: Features, observation: Observation, call_id: str = "") -> None:
        """Learn nothing: a fixed number stays fixed."""
