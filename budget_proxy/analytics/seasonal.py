"""Amounts by day as a level, a trend and weekdays, and what days may follow: drawn paths.

On the scale ln(amount + a little) a day is level + weekday + noise (analytics/kalman.py), unless
there is nothing on it, which is another question (analytics/presence.py). How much level and
slope move is not known: each of MOVES is a member, which counts by how well it foretold the days
that were seen (as if they were of Student's t with 4 degrees of freedom, so that bursts do not
decide). Paths draw a member, a state as uncertain as it is, its moves, and noise from the
surprises of the past, with a few of PRIOR beside them; the draws have a fixed seed, so that the
same history projects the same. docs/analytics.md says how good that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.analytics.kalman import (
    CLIP,
    LEVEL,
    SLOPE,
    WEEKDAY,
    Floats,
    Moves,
    State,
    follow,
)
from budget_proxy.analytics.presence import Presence, presence_of

LEAST: Final = 2
"""Days that it takes to say anything."""
LEAST_WEEKDAYS: Final = 14
"""Days that it takes to tell weekdays apart."""

DRAWS: Final = 2_000

FADE: Final = 0.98
"""What is left of a slope a day later, from now on (Gardner and McKenzie 1985): half in 5 weeks."""

_WEEK: Final = 7
_MOVES: Final = tuple(product((0.05, 0.15, 0.3, 0.6), (0.0, 0.0015, 0.004)))
"""How far the level moves in a day, in standard deviations of noise, and its slope, absolutely."""
_LITTLE: Final = 0.02  # of the median amount of days that have one
_LEVEL_SD, _SLOPE_SD, _WEEKDAY_SD = 2.0, 0.01, 1.0
_PRIOR: Final = np.array([-2.5, -1.3, -0.75, -0.3, 0.3, 0.75, 1.3, 2.5])
_BURST: Final = 3  # days that surprises are drawn in a row, on average: bursts last
_NARROW: Final = 0.03
_WIDEST: Final = 3.0  # a path may reach e ** 3 times the highest day
_SEED: Final = 5


@dataclass(frozen=True, slots=True)
class Seasonal:
    """A series followed to its last day; ``weights`` says how much each member counts."""

    state: State
    moves: Moves
    weights: Floats
    scale: Floats
    surprises: Floats
    noise: Floats
    little: float
    highest: float
    presence: Presence
    weekday: int

    @property
    def has_weekdays(self) -> bool:
        """Whether the series was long enough to tell weekdays apart."""
        return bool(self.state.mean.shape[1] > WEEKDAY)

    def states(self, draws: int = DRAWS) -> Floats:
        """States as they may be (draws, states): level, slope, weekdays."""
        return self._drawn(np.random.default_rng(_SEED), self._members(draws))

    def paths(self, days: int, draws: int = DRAWS) -> Floats:
        """Amounts of the days after the last one, as they may come (draws, days)."""
        random, members = np.random.default_rng(_SEED), self._members(draws)
        state = self._drawn(random, members)
        scale = self.scale[members]
        steps = [np.sqrt(v[members]) * scale for v in (self.moves.level, self.moves.slope)]
        level, slope = state[:, LEVEL].copy(), state[:, SLOPE].copy()
        noise = self._noise(random, draws, days)
        found = np.empty((draws, days))
        for day in range(days):
            weekday = (self.weekday + day) % _WEEK
            slope = FADE * slope
            level += slope + random.standard_normal(draws) * steps[0]
            slope += random.standard_normal(draws) * steps[1]
            found[:, day] = level + noise[:, day] * self.noise[weekday]
            if self.has_weekdays:
                found[:, day] += state[:, WEEKDAY + weekday]
        there = self.presence.drawn(random, self.weekday, draws, days)
        return np.where(there, self.amounts(found), 0.0)

    def week(self, draws: int = DRAWS) -> Floats:
        """What Monday to Sunday may amount to on average, now (draws, 7)."""
        states = self.states(draws)
        return self.amounts(states[:, LEVEL, None] + states[:, WEEKDAY:]) * self.presence.shares

    def amounts(self, found: Floats) -> Floats:
        """Amounts from the scale that they are followed on."""
        highest = self.highest + _WIDEST
        return np.maximum(np.exp(np.minimum(found, highest)) - self.little, 0.0)

    def lowest(self, low: Floats) -> Floats:
        """The lower end of an interval: amounts too small to tell from nothing may be nothing."""
        return np.where(low < self.little, 0.0, low)

    def _members(self, draws: int) -> NDArray[np.intp]:
        """Members as often as they count."""
        places = (np.arange(draws) + 0.5) / draws
        return np.minimum(np.searchsorted(self.weights.cumsum(), places), len(self.weights) - 1)

    def _drawn(self, random: np.random.Generator, members: NDArray[np.intp]) -> Floats:
        turn, size, _ = np.linalg.svd(self.state.spread)
        root = turn * np.sqrt(size)[:, None, :] * self.scale[:, None, None]
        normal = random.standard_normal((len(members), root.shape[1]))
        spread: Floats = np.einsum("mij,mj->mi", root[members], normal)
        return self.state.mean[members] + spread

    def _noise(self, random: np.random.Generator, draws: int, days: int) -> Floats:
        """Surprises (draws, days) in runs as they came (Politis and Romano 1994).

        A surprise stands for those up to halfway to its neighbours.
        """
        many = len(self.surprises)
        starts = random.integers(many, size=(draws, days))
        anew = random.random((draws, days)) < 1 / _BURST
        for day in range(1, days):
            on = (starts[:, day - 1] + 1) % many
            starts[:, day] = np.where(anew[:, day], starts[:, day], on)
        ranks = self.surprises.argsort().argsort()[starts]
        known = np.sort(self.surprises)
        edges = np.concatenate((known[:1], (known[1:] + known[:-1]) / 2, known[-1:]))
        return edges[ranks] + random.random((draws, days)) * np.diff(edges)[ranks]


def fit(amounts: Floats, weekday: int) -> Seasonal:
    """Follow amounts (>= 0) of successive days, the first of which is a ``weekday`` (Monday: 0).

    Takes at least LEAST days, one of them with an amount.
    """
    days = (weekday + np.arange(len(amounts))) % _WEEK
    little, there = little_of(amounts), amounts > 0
    values = np.log(amounts[there] + little)
    noise = _noise_of(values, days[there])
    typical = float(np.sqrt((noise * noise).mean()))
    level, slope = np.array(_MOVES).T
    moves = Moves((level * typical) ** 2, slope**2)
    start = _start(values, weekdays=len(days) >= LEAST_WEEKDAYS)
    gaps = np.full(len(days), np.nan)
    gaps[there] = values
    followed = follow(gaps, days, noise[days], start, moves)
    told = np.flatnonzero(there)[_warm(len(values)) :]
    scale, weights = _trusted(
        followed.surprise[told], followed.width[told] / noise[days[told], None]
    )
    passing = np.where(followed.lasting, 0.0, followed.surprise)[told] @ weights
    surprises = np.concatenate((passing, _PRIOR * (scale @ weights)))
    return Seasonal(
        followed.state, moves, weights, scale, surprises, noise,
        little, float(values.max()), presence_of(there, days), int(days[-1] + 1) % _WEEK,
    )  # fmt: skip


def little_of(amounts: Floats) -> float:
    """What is too little to tell from nothing, among amounts not all of which are 0."""
    return _LITTLE * float(np.median(amounts[amounts > 0]))


def _start(values: Floats, *, weekdays: bool) -> State:
    """What is believed before the first day: all members the same, and little."""
    states = WEEKDAY + _WEEK * weekdays
    spread = np.zeros((len(_MOVES), states, states))
    spread[:, LEVEL, LEVEL] = _LEVEL_SD**2
    spread[:, SLOPE, SLOPE] = _SLOPE_SD**2
    if weekdays:  # effects that add up to nothing
        spread[:, WEEKDAY:, WEEKDAY:] = _WEEKDAY_SD**2 * (np.eye(_WEEK) - 1 / _WEEK)
    mean = np.zeros((len(_MOVES), states))
    mean[:, LEVEL] = np.median(values[:_WEEK])
    return State(mean, spread)


def _warm(days: int) -> int:
    """The first days, whose surprises tell of the start and not of the series."""
    return min(_WEEK, days // 2)


def _trusted(surprise: Floats, width: Floats) -> tuple[Floats, Floats]:
    """By member: by what its standard deviations are to be multiplied, and how much it counts."""
    squares = np.clip(surprise, -CLIP, CLIP) ** 2
    scale = np.sqrt((1.1 * squares.sum(axis=0) + 4) / (len(surprise) + 4))
    likely = -2.5 * np.log1p((surprise / scale) ** 2 / 4) - np.log(scale * width)
    total = likely.sum(axis=0)
    weights = np.exp(total - total.max())
    return scale, weights / weights.sum()


def _noise_of(values: Floats, days: NDArray[np.int_]) -> Floats:
    """The standard deviation of the noise on each weekday, bursts clipped.

    Each weekday's is drawn to that of all, as if six of its days had had that one, and that of
    all to what it was in others' histories, as if three days had.
    """
    many = free = len(values)
    if many < LEAST_WEEKDAYS:
        rest = values - np.median(values)
        usual = 0.2 if many >= _WEEK else 0.6  # weekdays are noise here, and few were seen
    else:
        padded = np.pad(values, _WEEK // 2, mode="edge")
        rest = values - np.median(np.lib.stride_tricks.sliding_window_view(padded, _WEEK), axis=1)
        for day in np.unique(days):
            rest[days == day] -= np.median(rest[days == day])
        usual, free = 0.4, many - _WEEK  # a median was taken of each weekday
    middle = max(1.4826 * float(np.median(np.abs(rest))), _NARROW)  # the MAD as an sd
    squares = np.clip(rest, -3 * middle, 3 * middle) ** 2
    whole = (squares.sum() + 3 * usual**2) / (free + 3)
    if many < LEAST_WEEKDAYS:
        return np.full(_WEEK, np.sqrt(whole))
    by_day = [(squares[days == day].sum(), np.sum(days == day)) for day in range(_WEEK)]
    return np.sqrt([(total + 6 * whole) / (n + 6) for total, n in by_day])
