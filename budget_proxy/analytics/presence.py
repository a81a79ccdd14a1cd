"""On which days there is anything at all: always, now and then, on some weekdays, or no more.

Most histories have calls on all days, or on all but weekends; some agents work now and then. Which
it is is not decided but averaged: four beliefs count by how likely they make the days that were
seen, each with a Beta distribution of its shares. Days count by their age, half after four weeks.

Days without anything that would come in a row by chance in one of a hundred cases are a stop. How
long one lasts nobody knows: one of n days goes on for m more with probability (n / (n + m)) ** .5.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_WEEK: Final = 7
_HALVED: Final = 28.0
_CHANCE: Final = 0.01
_LASTS: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Belief:
    """``odds`` before any day, and the Beta's two numbers, for all weekdays alike or each."""

    odds: float
    yes: float
    no: float
    alike: bool


_BELIEFS: Final = (
    _Belief(0.6, 199.0, 1.0, alike=True),  # always
    _Belief(0.15, 0.5, 0.5, alike=True),  # now and then
    _Belief(0.15, 0.03, 0.03, alike=False),  # on some weekdays, on the others never
    _Belief(0.1, 0.5, 0.5, alike=False),  # on some weekdays more often
)


@dataclass(frozen=True, slots=True)
class Presence:
    """By belief its weight (b), and by weekday its Beta's numbers (b, 7).

    Where ``stopped`` is not 0, there has been nothing for so many days.
    """

    weights: Floats
    yes: Floats
    no: Floats
    stopped: int

    @property
    def shares(self) -> Floats:
        """By weekday the probability that there is anything, were there no stop."""
        return np.asarray(self.weights @ (self.yes / (self.yes + self.no)), np.float64)

    def drawn(self, random: np.random.Generator, weekday: int, draws: int, days: int) -> Flags:
        """Whether there is anything on the days ahead (draws, days), from a ``weekday`` on."""
        belief = random.choice(len(self.weights), size=draws, p=self.weights)
        alike = np.array([one.alike for one in _BELIEFS])[belief]
        shares = random.beta(self.yes[belief], self.no[belief])
        shares[alike] = shares[alike, :1]  # one share, whatever the weekday
        there = random.random((draws, days)) < shares[:, (weekday + np.arange(days)) % _WEEK]
        if self.stopped:
            lasting = (self.stopped / (self.stopped + 1.0 + np.arange(days))) ** _LASTS
            there &= random.random((draws, 1)) > lasting
        return np.asarray(there, np.bool_)


def presence_of(there: Flags, weekdays: NDArray[np.int_]) -> Presence:
    """What days that are over tell: whether there was anything, and their weekdays."""
    run = int(there[::-1].argmax())
    before = len(there) - run
    found = _told(there[:before], weekdays[:before], run)
    chance = np.prod(1 - found.shares[weekdays[before:]])
    return found if run and chance < _CHANCE else _told(there, weekdays, 0)


def _told(there: Flags, weekdays: NDArray[np.int_], stopped: int) -> Presence:
    count = 0.5 ** (np.arange(len(there))[::-1] / _HALVED)
    had = np.bincount(weekdays, count * there, _WEEK)
    lacked = np.bincount(weekdays, count * ~there, _WEEK)
    yes, no, likely = [], [], []
    for belief in _BELIEFS:
        if belief.alike:
            seen = [(had.sum(), lacked.sum())]
        else:
            seen = list(zip(had.tolist(), lacked.tolist(), strict=True))
        prior = _beta(belief.yes, belief.no)
        evidence = sum(_beta(belief.yes + a, belief.no + b) - prior for a, b in seen)
        likely.append(np.log(belief.odds) + evidence)
        yes.append(np.resize([belief.yes + a for a, _ in seen], _WEEK))
        no.append(np.resize([belief.no + b for _, b in seen], _WEEK))
    weights = np.exp(np.array(likely) - max(likely))
    return Presence(weights / weights.sum(), np.array(yes), np.array(no), stopped)


def _beta(yes: float, no: float) -> float:
    """The logarithm of the Beta function."""
    return lgamma(yes) + lgamma(no) - lgamma(yes + no)
