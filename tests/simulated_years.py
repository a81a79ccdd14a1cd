"""Made-up years of daily costs: weekdays, trends, level shifts, bursts, and days without calls.

Years differ in scale ($0.01 to $1,000 a day), in how weekdays differ, in growth (one sigma: .6 %
a day, either way, which may itself drift), in noise (sd of ln .1 to .6, in some years with a
memory), in how the level wanders or jumps, and in bursts: up to one day in twenty, times or
plus a Pareto number (index 1.7, so that its variance is infinite), some for up to three days.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MONDAY: Final = 0
"""The weekday of a year's first day."""


@dataclass(frozen=True, slots=True)
class Year:
    """The cost of each day, and what is special about the year."""

    costs: Floats
    traits: frozenset[str]


def simulated(seed: int, days: int = 365) -> Year:
    """The year of that number."""
    random = np.random.default_rng(seed)
    traits: set[str] = set()
    scale = 10.0 ** random.uniform(-2, 3)
    weekdays = _weekdays(random, traits)[np.arange(days) % 7]
    level = _level(random, days, traits)
    costs = scale * weekdays * np.exp(level + _noise(random, days))
    _burst(random, costs, scale * np.exp(level), traits)
    if random.random() < 0.15:
        traits.add("days without calls")
        costs[random.random(days) < random.uniform(0.1, 0.5)] = 0.0
    return Year(costs, frozenset(traits))


def _weekdays(random: np.random.Generator, traits: set[str]) -> Floats:
    factors = np.ones(7)
    kind = random.integers(4)
    if kind == 0:
        factors[:] = np.exp(random.normal(0, 0.3, 7))
        return factors
    low = {1: 0.05, 2: 0.3, 3: 0.0}[int(kind)]
    high = {1: 0.3, 2: 0.8, 3: 0.0}[int(kind)]
    factors[5:] = random.uniform(low, high)
    if kind == 3:
        traits.add("nothing on weekends")
    return np.roll(factors, int(random.integers(7)))


def _level(random: np.random.Generator, days: int, traits: set[str]) -> Floats:
    growth = random.normal(0, 0.006)
    if abs(growth) > 0.006:
        traits.add("steep trend")
    level = np.arange(days, dtype=np.float64) * float(growth)
    if random.random() < 0.5:
        level += random.normal(0, 0.0007, days).cumsum().cumsum()
    if random.random() < 0.5:
        level += random.normal(0, random.uniform(0.005, 0.04), days).cumsum()
    if random.random() < 0.4:
        traits.add("level shifts")
        for at in random.integers(20, days, size=random.integers(1, 3)) if days > 20 else ():
            level[at:] += random.normal(0, 0.6)
    return level


def _noise(random: np.random.Generator, days: int) -> Floats:
    noise: Floats = random.normal(0, random.uniform(0.1, 0.6), days)
    if random.random() < 0.3:
        for day in range(1, days):
            noise[day] = 0.5 * noise[day - 1] + np.sqrt(0.75) * noise[day]
    return noise


def _burst(random: np.random.Generator, costs: Floats, level: Floats, traits: set[str]) -> None:
    share, day = random.uniform(0, 0.05), 0
    if share > 0.025:
        traits.add("many bursts")
    while day < len(costs):
        if random.random() < share:
            long = int(random.integers(2, 4)) if random.random() < 0.3 else 1
            size = random.pareto(1.7) + 1
            if random.random() < 0.5:
                costs[day : day + long] += level[day] * random.uniform(1, 3) * size
            else:
                costs[day : day + long] *= size
            day += long
        else:
            day += 1
