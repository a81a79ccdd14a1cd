"""Mean, variance and skewness of calls under way, so that those of several can be added.

A long call is under way for longer than a short one. Of the calls that are found under way at
some moment the long ones are therefore more than of those that were begun: each length counts
in proportion to itself (length-biased sampling; Cox, Renewal Theory, 1962).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final

from budget_proxy.types import Forecast, frozen

_FLAT: Final = 1e-9


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


def moments_of(forecast: Forecast, most: int) -> Moments:
    """The moments of the tokens of one choice of a call under way, ``most`` at most.

    With E(k) the mean of the k-th power of the forecast's length they are E(2) / E(1), and so
    on: those of the length-biased distribution.

    Between two levels the logarithm of the quantile is a straight line (as ``quantile`` has
    it), so that the integrals of a power of it are known exactly. Below the lowest level the
    line to half of the lowest value goes on; beyond the highest one the last line does.
    """
    levels, values = forecast.levels, forecast.values
    marks = [(0.0, math.log(max(values[0] / 2, 1.0)))]
    marks += [
        (level, math.log(max(value, 1.0))) for level, value in zip(levels, values, strict=True)
    ]
    marks.append((1.0, _beyond(marks)))
    top = math.log(max(most, 1))
    sums = [0.0, 0.0, 0.0, 0.0]
    for (left, low), (right, high) in pairwise(marks):
        width = right - left
        if width <= 0.0:
            continue
        if high > top:  # cut where the line reaches the most; flat from there on
            reached = 0.0 if low >= top else (top - low) / (high - low) * width
            _add(sums, low, min(top, high), reached)
            _add(sums, top, top, width - reached)
        else:
            _add(sums, low, high, width)
    first, second, third = (power / sums[0] for power in sums[1:])
    variance = max(second - first**2, 0.0)
    return Moments(first, variance, max(third - 3 * first * second + 2 * first**3, 0.0))


def _beyond(marks: list[tuple[float, float]]) -> float:
    """Where the last line ends at level 1; the last value where there is but one."""
    (left, low), (right, high) = marks[-2:]
    if right >= 1.0 or right <= left:
        return high
    return high + (high - low) / (right - left) * (1.0 - right)


def _add(sums: list[float], low: float, high: float, width: float) -> None:
    """Add the integrals of exp(k x) along a line from ``low`` to ``high`` over ``width``."""
    rise = high - low
    for power in (1, 2, 3, 4):
        if rise < _FLAT:
            mean = math.exp(power * low)
        else:
            mean = (math.exp(power * high) - math.exp(power * low)) / (power * rise)
        sums[power - 1] += width * mean
