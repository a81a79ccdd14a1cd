"""What every forecasting strategy offers: predict one call, learn from one outcome."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

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


class Snapshot(Protocol):
    """A window of outcomes, copied: a refit of it may run in another thread or process."""

    def fit(self) -> Any:
        """Learn all of it anew: pure, cold, from a fixed seed. Takes seconds."""


@runtime_checkable
class Refitting(Protocol):
    """A predictor that also learns its newest outcomes anew from time to time.

    What it forecasts after ``adopt`` depends on nothing but the snapshot's outcomes and those
    since: a replay of the last ``window`` + 2 x ``interval`` outcomes gives the same.
    """

    window: int
    interval: int

    def due(self) -> bool:
        """Whether, by the number of outcomes, a refit should start now."""

    def snapshot(self) -> Snapshot:
        """Copy what a refit needs. Takes a few milliseconds."""

    def adopt(self, fitted: Any) -> None:
        """Put into force what ``refit`` found, with the outcomes learned since its snapshot."""


def refit(snapshot: Snapshot) -> Any:
    """Learn a snapshot anew, here or in another process; the result is for ``adopt``."""
    return snapshot.fit()
