"""A level that drifts, its slope, and effects of weekdays, followed day by day.

The local linear trend (Harvey 1989, "Forecasting, Structural Time Series Models and the Kalman
Filter"), for several members side by side that differ in how much level and slope move. A day
further than CLIP standard deviations from what was expected moves the state no further than one
at CLIP would (the rLS filter, Ruckdeschel 2010), so that a burst is no trend; the RUN-th such
day in a row on one side says that the level is another, which is then found anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEVEL: Final = 0
SLOPE: Final = 1
WEEKDAY: Final = 2
"""Where states lie: the level, its slope, and the effects of seven weekdays, if there are any."""

CLIP: Final = 2.5
RUN: Final = 3


@dataclass(frozen=True, slots=True)
class Moves:
    """By member: the variance by which the level and its slope move in a day."""

    level: Floats
    slope: Floats


@dataclass(slots=True)
class State:
    """By member: the ``mean`` of the states (m, s) and their ``spread`` (m, s, s)."""

    mean: Floats
    spread: Floats

    def move(self, moves: Moves) -> None:
        """Let a day pass."""
        self.mean[:, LEVEL] += self.mean[:, SLOPE]
        self.spread[:, LEVEL, :] += self.spread[:, SLOPE, :]
        self.spread[:, :, LEVEL] += self.spread[:, :, SLOPE]
        self.spread[:, LEVEL, LEVEL] += moves.level
        self.spread[:, SLOPE, SLOPE] += moves.slope


@dataclass(frozen=True, slots=True)
class Followed:
    """The state after the last day, and how each day (n) surprised each member (m).

    ``surprise`` (n, m) is in standard deviations, which were ``width`` (n, m). ``lasting``
    (n, m) marks the days of runs that turned out to be another level.
    """

    state: State
    surprise: Floats
    width: Floats
    lasting: NDArray[np.bool_]


def follow(values: Floats, weekdays: NDArray[np.int_], noise: Floats, start: State,
           moves: Moves) -> Followed:  # fmt: skip
    """Follow the values of successive days, each with its weekday and the sd of its noise.

    A day without a value (NaN) passes; it is no surprise.
    """
    state = State(start.mean.copy(), start.spread.copy())
    members, states = state.mean.shape
    surprise, width = np.zeros((2, len(values), members))
    lasting = np.zeros((len(values), members), np.bool_)
    run = np.zeros(members)
    for day, value in enumerate(values):
        state.move(moves)
        if np.isnan(value):
            continue
        seen = [LEVEL, WEEKDAY + weekdays[day]] if states > WEEKDAY else [LEVEL]
        gap = value - state.mean[:, seen].sum(axis=1)
        cover = state.spread[:, :, seen].sum(axis=2)
        size = cover[:, seen].sum(axis=1) + noise[day] ** 2
        surprise[day], width[day] = gap / np.sqrt(size), np.sqrt(size)
        run = _run(run, surprise[day])
        if (new := np.abs(run) >= RUN).any():
            doubt = np.where(new, gap * gap, 0.0)  # the level may be as far away as this day
            state.spread[:, LEVEL, LEVEL] += doubt
            cover[:, LEVEL] += doubt
            size += doubt
            lasting[day + 1 - RUN : day + 1, new] = True
            run[new] = 0
        _learn(state, gap, cover, size)
    return Followed(state, surprise, width, lasting)


def _run(run: Floats, surprise: Floats) -> Floats:
    """How many days in a row were far above (positive) or far below (negative)."""
    side = np.where(np.abs(surprise) > CLIP, np.sign(surprise), 0.0)
    return np.where(side * run > 0, run + side, side)


def _learn(state: State, gap: Floats, cover: Floats, size: Floats) -> None:
    """Correct the state by a day: ``cover`` (m, s) its covariance with the states."""
    far = np.abs(gap) / (CLIP * np.sqrt(size))
    gain = cover / (size * np.maximum(far, 1.0))[:, None]
    state.mean += gain * gap[:, None]
    state.spread -= gain[:, :, None] * cover[:, None, :]
