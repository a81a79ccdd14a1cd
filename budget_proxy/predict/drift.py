"""Whether lengths have changed of late, and by how much: of all calls, and by agent and model.

Each is a level of how far ln(y) lies from the forecast's median (``distances``), followed by a
Kalman filter (1960) of no process noise, which therefore hardly moves any more after some hundred
calls. A two-sided cumulative sum (Page 1954) of the standardised distances tells that the level
has changed; the filter then forgets what it knew, so that it moves at once, is uncertain for some
calls, and settles again.
"""

from __future__ import annotations

from collections import OrderedDict
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.cases import ALL, Case
from budget_proxy.predict.network import LEVELS, MEDIAN

Floats = NDArray[np.float64]

SLACK: Final = 0.5
"""Standard deviations of distance that count for nothing."""

ALARM: Final = 16.0
"""The sum of standard deviations beyond SLACK that counts as a change. Chosen on development
rows: none there where nothing was changed, and 20 to 60 calls after lengths were doubled."""

NOTED: Final = 300
"""Calls of a group over which a change is spoken of."""

_MOST_DISTANCE: Final = 1.5
_FIRST_VARIANCE: Final = 0.3
_LEAST_VARIANCE: Final = 1e-3
_VARIANCE_RATE: Final = 0.02
_SURE: Final = 1e-3  # the level's variance at first, in variances of a distance: near to 0
_DOUBT: Final = 5.0  # distances that "no change" counts as
_WIDER: Final = 10.0
_LOW, _HIGH = LEVELS.index(0.10), LEVELS.index(0.90)
_NARROWEST: Final = 0.05


def distances(forecasts: Floats, lengths: Floats) -> Floats:
    """How far ``lengths`` (n) lie from the medians of ``forecasts`` (n, LEVELS), in ln(tokens).

    Each as a share of the forecast's width on its side, times the mean of both sides': lengths
    are skewed, and the plain distance's mean is above 0 where nothing has changed.
    """
    median = forecasts[:, MEDIAN]
    away = lengths - median
    low, high = median - forecasts[:, _LOW], forecasts[:, _HIGH] - median
    side = np.maximum(np.where(away > 0.0, high, low), _NARROWEST)
    return np.asarray(away / side * np.maximum((low + high) / 2.0, _NARROWEST))


class Level:
    """One level, how sure it is, and what speaks for a change."""

    __slots__ = ("down", "level", "since", "unsure", "up", "variance")

    def __init__(self) -> None:
        self.level = 0.0
        self.unsure = _SURE
        self.variance = _FIRST_VARIANCE
        self.quiet()
        self.since = -1

    def quiet(self) -> None:
        """Suspect nothing."""
        self.up = self.down = (0.0, 0.0, 0)

    def learn(self, rest: float) -> bool:
        """Take in what all levels left of a distance; returns whether that was a change."""
        size = sqrt(self.variance)
        score = min(max(rest / size, -_MOST_DISTANCE), _MOST_DISTANCE)
        step = score * size
        self.variance += _VARIANCE_RATE * (step * step - self.variance)
        self.variance = max(self.variance, _LEAST_VARIANCE)
        self.up = _summed(self.up, score, step)
        self.down = _summed(self.down, -score, step)
        suspect = max(self.up, self.down)
        if suspect[0] > ALARM:
            _, total, count = suspect
            self.level += total / (count + _DOUBT)
            self.unsure = 1.0 / (count + _DOUBT)
            self.since = 0
            self.quiet()
            return True
        gain = self.unsure / (self.unsure + 1.0)
        self.level += gain * step
        self.unsure *= 1.0 - gain
        self.since += self.since >= 0
        return False


def _summed(
    suspect: tuple[float, float, int], score: float, step: float
) -> tuple[float, float, int]:
    """The cumulative sum of scores, with the sum and number of the steps that it is of."""
    above = suspect[0] + score - SLACK
    return (above, suspect[1] + step, suspect[2] + 1) if above > 0.0 else (0.0, 0.0, 0)


class Drift:
    """Levels by group, those that learned last, at most ``most`` of them."""

    __slots__ = ("_levels", "_most")

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._levels: OrderedDict[int, Level] = OrderedDict({ALL: Level()})

    def look(self, case: Case) -> tuple[float, float]:
        """By how much ln(tokens) has moved, and by what factor forecasts are to be wider."""
        general = self._levels[ALL]
        own = self._levels.get(case.pair)
        if own is None:
            return general.level, sqrt(1.0 + _WIDER * general.unsure)
        return general.level + own.level, sqrt(1.0 + _WIDER * (general.unsure + own.unsure))

    def changed(self, case: Case) -> int | None:
        """How many calls of the group ago a change was found; ``None`` for none of late."""
        found = [self._levels.get(key) for key in (case.pair, ALL)]
        ago = [level.since for level in found if level is not None and 0 <= level.since < NOTED]
        return min(ago, default=None)

    def remember(self, before: Drift) -> None:
        """Take over when changes were found, though a fit has learned them by now."""
        for key, old in before._levels.items():
            level = self._levels.get(key)
            if level is not None and level.since < 0:
                level.since = old.since

    def learn(self, case: Case, distance: float) -> None:
        """Take one outcome in: its distance from what was forecast before any drift."""
        general = self._levels[ALL]
        own = self._levels.get(case.pair)
        if own is None:
            own = self._levels[case.pair] = Level()
            if len(self._levels) > self._most:
                self._levels.move_to_end(ALL)
                self._levels.popitem(last=False)
        else:
            self._levels.move_to_end(case.pair)
        rest = distance - general.level - own.level
        if general.learn(rest):
            for level in self._levels.values():
                level.quiet()
        else:
            own.learn(rest)
