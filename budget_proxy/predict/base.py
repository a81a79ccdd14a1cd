"""What every forecasting strategy offers: predict one call, learn from one outcome.

Some also fit to many outcomes at once, now and then, beside the calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from budget_proxy.types import Features, Forecast, Observation


class Predictor(Protocol):
    """Forecasts output tokens and learns online.

    Both methods are deterministic given the calls before them; neither keeps a reference to
    anything that the caller may change. ``predict_one`` changes nothing, but that it may do what
    ``learn_one`` put off.
    """

    name: str

    def predict_one(self, features: Features) -> Forecast:
        """The distribution of output tokens of one choice."""

    def learn_one(self, features: Features, observation: Observation, call_id: str = "") -> None:
        """Take one outcome into the history."""


class Snapshot(Protocol):
    """What a fit rests on. ``position`` counts the outcomes that were learned by then."""

    @property
    def position(self) -> int:
        """How many outcomes the predictor had learned."""


class Fit(Protocol):
    """What a fit found. ``position`` counts the predictor's outcomes that it knows."""

    position: int

    def learn(self, later: Any) -> Iterator[None]:
        """Take in outcomes that came later, as ``Refitting.since`` gives them, step by step.

        A step takes a millisecond or so.
        """


@runtime_checkable
class Refitting(Predictor, Protocol):
    """A predictor that is also fitted: to its newest outcomes, ``window`` of them at most.

    Once it has many, a fit is due every ``interval`` of them.

    What it is after ``adopt`` rests on the rows of the snapshot's window and those learned
    since, and on nothing else. While they go on no call is planned, so that each takes about a
    millisecond: ``adopt`` where next to nothing came since what the fit knows.
    """

    window: int
    interval: int

    def behind(self) -> bool:
        """Whether a part of learning was put off until the next call of its other methods."""

    def settle(self) -> None:
        """Do a part of what was put off: whether and when is no matter to any forecast."""

    def due(self) -> bool:
        """Whether, by the number of outcomes learned, a fit should begin now."""

    def hold(self) -> None:
        """Only keep outcomes from now on, until a fit that knows them is adopted: that is quick."""

    def release(self) -> None:
        """Learn what was only kept: there is no such fit after all."""

    def snapshot(self) -> Snapshot:
        """What a fit rests on: a value that later outcomes do not change."""

    def since(self, fitted: Any) -> Any:
        """The outcomes that a fit does not know yet, from the oldest: they have a length.

        Raises ValueError where some of them are no longer kept, so that it never can know all.
        """

    def adopt(self, fitted: Any) -> Iterator[None]:
        """Put a fit in force, at once, with all that it does not know yet.

        What it replaces is let go of step by step: to do that with so many values takes a while.
        """


@dataclass(frozen=True, slots=True)
class Fitting:
    """How a strategy is fitted.

    ``refit`` makes of a snapshot what is adopted: a pure function, cold from a fixed seed, in
    one thread. ``series`` gives one for a predictor's snapshots in turn, which finds the same,
    sooner. ``shapes`` are the dataclasses that the two consist of.
    """

    refit: Callable[[Any], Any]
    series: Callable[[], Callable[[Any], Any]]
    shapes: tuple[type, ...]
