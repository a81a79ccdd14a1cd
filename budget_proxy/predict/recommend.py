"""The recommended budget: the amount that a call most probably uses well, and how probably.

Pure arithmetic on quantiles; it knows nothing of where they come from.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import ceil, exp, floor, inf, log
from typing import Final

LOWEST_USE: Final = 0.50
HIGHEST_USE: Final = 0.95
"""A budget is used well if use / budget lies between these two, both included."""

_HAIR: Final = 1e-9
_MORE: Final = 1.0 + _HAIR  # by less one slope is not above another: it may be rounding
# The hair makes both ends of the interval count where a value is a whole atom of mass.
_LOWEST, _HIGHEST = log(LOWEST_USE) - _HAIR, log(HIGHEST_USE) + _HAIR


def recommend(levels: Sequence[float], values: Sequence[float], least: float) -> tuple[int, float]:
    """Find the whole B >= ``least`` with the greatest P(.50 B <= used <= .95 B), and that.

    ``levels`` ascend and ``values`` (tokens) do not decrease; between them the distribution
    is log-linear, and what lies outside of them counts as missed. The probability is then
    piecewise linear in ln B with its corners at value / .50 and value / .95, so that the best
    whole number is next to a corner from which on it grows no more, or is the least. On ties
    the smallest wins.
    """
    places = [log(value) if value > 1.0 else 0.0 for value in values]
    slopes = [0.0, *map(_slope, levels, levels[1:], places, places[1:]), 0.0]
    lowest = max(ceil(least), 1)
    options = [lowest, *_peaks(places, slopes, lowest)]
    chances = [_chance(levels, places, slopes, log(option)) for option in options]
    enough = max(chances) - _HAIR
    return min([pair for pair in zip(options, chances, strict=True) if pair[1] >= enough])


def _slope(low: float, high: float, start: float, end: float) -> float:
    """The density of ln(tokens) between two levels."""
    return (high - low) / (end - start) if end > start else inf


def _peaks(places: list[float], slopes: list[float], lowest: int) -> list[int]:
    """The whole numbers above ``lowest`` beside where the probability ends to grow."""
    upper, lower = [at - _HIGHEST for at in places], [at - _LOWEST for at in places]
    start = log(lowest)
    enters, leaves = bisect_right(upper, start), bisect_right(lower, start)
    found, grew = [], slopes[enters] > slopes[leaves] * _MORE
    while enters < len(upper):
        at = min(upper[enters], lower[leaves])
        enters += upper[enters] == at
        leaves += lower[leaves] == at
        grows = slopes[enters] > slopes[leaves] * _MORE
        if grew and not grows:
            whole = floor(exp(at))
            found += [number for number in (whole, whole + 1) if number > lowest]
        grew = grows
    return found


def _chance(
    levels: Sequence[float], places: list[float], slopes: list[float], budget: float
) -> float:
    """The probability, of the ln of a budget."""
    return _reached(levels, places, slopes, budget + _HIGHEST) - _reached(
        levels, places, slopes, budget + _LOWEST
    )


def _reached(levels: Sequence[float], places: list[float], slopes: list[float], at: float) -> float:
    """The share of calls that use no more than the exponential of ``at``."""
    passed = bisect_right(places, at)
    if not passed:
        return levels[0]
    return levels[passed - 1] + slopes[passed] * (at - places[passed - 1])
