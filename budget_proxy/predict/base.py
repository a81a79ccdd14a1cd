"""What every forecasting strategy offers: predict one call, learn from one outcome."""

from __future__ import annotations

from typing import Protocol

from budget_proxy.types import Features, Forecast, Observation


class Predictor(Protocol):
    """Forecasts output tokens and learns online.

    Both methods are deterministic given the calls before them; neither keeps a reference to
    anything that the caller may change. ``predict_one`` changes nothing.
    """

    name: str

    def predict_one(self, features: Features) -> Forecast:
        """The distribution of output tokens of one choice."""

    def learn_one(self, features: Features, observation: Observation, call_id: str = "") -> None:
        """Take one outcome into the history."""
