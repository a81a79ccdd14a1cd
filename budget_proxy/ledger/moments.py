"""Mean, variance and skewness of calls under way, so that those of several can be added.

A long call is under way for longer than a short one. Of the calls that are found under way at
some moment the long ones are therefore more than of those that were begun: each length counts
in proportion to itself (length-biased sampling; Cox, Renewal Theory, 1962). A call that has been
under way for a while is longer than that: its stages tell of the lengths that are left.

Between two levels of a forecast the logarithm of the quantile is a straight line (as ``quantile``
has it), so that the integrals of a power of it are known exactly. Below the lowest level the line
to half of the lowest value goes on. Beyond the highest one the tail is Pareto's, as steep as
between the last two (the plot of Zipf; Embrechts et al., Modelling Extremal Events, 1997, 6.4):
the longest answers are few, and under way for longest.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

from budget_proxy.types import Forecast, frozen

_FLAT: Final = 1e-9
_QUARTER: Final = 4.0
_STEPS: Final = 3
_STEEPEST: Final = 1.0
"""Tails whose mean is infinite are none of answers: they all are cut somewhere."""


@frozen
class Moments:
    """Mean, variance and third central moment of an amount. Those of independent ones add up."""

    mean: float
    variance: float
    third: float

    def scaled(self, factor: float, shift: float = 0.0) -> Moments:
        """The moments of ``factor`` times the amount, plus ``shift``."""
        return Moments(
            factor * self.mean + shift, factor**2 * self.variance, factor**3 * self.third
        )


@frozen
class Stage:
    """A part of a call's time under way, from ``after`` on, and its moments during that.

    ``after`` is in tokens of the answer, or in seconds once somebody knows how long they take.
    """

    after: float
    moments: Moments


def moments_of(forecast: Forecast, most: int) -> Moments:
    """The moments of the tokens of one choice of a call under way, ``most`` at most.

    With E(k) the mean of the k-th power of the forecast's length they are E(2) / E(1), and so
    on: those of the length-biased distribution.
    """
    powers = [_powers(*piece) for piece in pairwise(_knots(forecast, most))]
    return _central([sum(column) for column in zip(*powers, strict=True)][1:])


def stages_of(forecast: Forecast, most: int) -> tuple[Stage, ...]:
    """The same, by how many tokens there are already; a stage begins at each level's value.

    In the stage from e to f tokens each length L > e counts by its time in it, min(L, f) - e.
    The stages' moments, each weighed by the time in it, make up those of ``moments_of``.
    """
    knots = _knots(forecast, most)
    found: list[Stage] = []
    beyond = [0.0] * 5
    for number in reversed(range(len(knots) - 1)):
        left, right = knots[number : number + 2]
        begin = left[1] if number else 0.0
        within = _powers(left, right)
        timed = [
            within[power + 1] - begin * within[power] + (right[1] - begin) * beyond[power]
            for power in range(4)
        ]
        beyond = [sum(pair) for pair in zip(beyond, within, strict=True)]
        if timed[0] > _FLAT * beyond[1]:
            found.append(Stage(begin, _central(timed)))
    found.reverse()
    return tuple(found)


def _knots(forecast: Forecast, most: int) -> list[tuple[float, float]]:
    """The ends of the lines, as levels from 0 to 1 and tokens, cut where they reach ``most``."""
    top = float(max(most, 1))
    ends = [(0.0, max(forecast.values[0] / 2, 1.0))]
    ends += [
        (u, max(value, 1.0)) for u, value in zip(forecast.levels, forecast.values, strict=True)
    ]
    ends += _tail(ends)
    found = []
    for (left, low), (right, high) in pairwise(ends):
        if right > left:
            found.append((left, min(low, top)))
        if low < top < high:
            found.append((left + math.log(top / low) / math.log(high / low) * (right - left), top))
    return [*found, (1.0, min(ends[-1][1], top))]


def _tail(ends: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Ends beyond the last level, each a quarter as likely to be passed; flat from there on."""
    (left, low), (right, high) = ends[-2:]
    if right >= 1.0 or right <= left:
        return [(1.0, high)]
    steep = min(math.log(high / low) / math.log((1.0 - left) / (1.0 - right)), _STEEPEST)
    found = [
        (1.0 - (1.0 - right) / _QUARTER**step, high * _QUARTER ** (step * steep))
        for step in range(1, _STEPS + 1)
    ]
    return [*found, (1.0, found[-1][1])]


def _powers(left: tuple[float, float], right: tuple[float, float]) -> list[float]:
    """The integrals of the powers 0 to 4 of the tokens along one line."""
    width, low, high = right[0] - left[0], left[1], right[1]
    if high - low < _FLAT * high:
        return [width * high**power for power in range(5)]
    each = width / math.log(high / low)
    return [width, *(each * (high**power - low**power) / power for power in (1, 2, 3, 4))]


def _central(powers: list[float]) -> Moments:
    """Moments from integrals of the powers 0 to 3. None of them is negative."""
    first, second, third = (power / powers[0] for power in powers[1:])
    variance = max(second - first**2, 0.0)
    return Moments(first, variance, max(third - 3 * first * second + 2 * first**3, 0.0))
