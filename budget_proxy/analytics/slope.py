"""A straight line through points at equal steps: its slope by least squares, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import Final

from budget_proxy.types import frozen

_Z: Final = NormalDist().inv_cdf(0.975)
_FEW: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
)  # fmt: skip
"""The 97.5 % points of Student's t with 1 to 10 degrees of freedom."""


@frozen
class Slope:
    """Of ``n`` points: the change a step, its 95 % interval, and the line's value at step 0.

    ``low`` and ``high`` are ``None`` for two points, through which every line fits.
    """

    n: int
    slope: float
    low: float | None
    high: float | None
    intercept: float


def slope_of(values: Sequence[float | None]) -> Slope | None:
    """The least-squares line through ``values`` at steps 0, 1, 2 ...; ``None`` leaves a gap.

    ``None`` with fewer than two points. The interval takes deviations for independent and of one
    size; where they come in runs it is too narrow.
    """
    points = [(float(x), y) for x, y in enumerate(values) if y is not None]
    n = len(points)
    if n < 2:  # noqa: PLR2004 (a line needs two)
        return None
    middle, mean = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - middle) ** 2 for x, _ in points)
    slope = sum((x - middle) * (y - mean) for x, y in points) / spread
    intercept = mean - slope * middle
    left = sum((y - intercept - slope * x) ** 2 for x, y in points)
    if n == 2:  # noqa: PLR2004
        return Slope(n, slope, None, None, intercept)
    half = student(n - 2) * sqrt(left / (n - 2) / spread)
    return Slope(n, slope, slope - half, slope + half, intercept)


def student(freedom: int) -> float:
    """The 97.5 % point of Student's t with ``freedom`` >= 1 degrees of freedom.

    Above ten by the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5), which is off
    by less than .0002 there.
    """
    if freedom <= len(_FEW):
        return _FEW[freedom - 1]
    z, v = _Z, freedom
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / v + second / v**2 + third / v**3
