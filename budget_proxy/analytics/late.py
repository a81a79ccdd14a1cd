"""How budgets were used of late: sums in which a call counts .99 of the one after it.

They tell as much as the newest 200 calls would, and nothing has to be kept of those.
"""

from __future__ import annotations

from math import log1p, sqrt
from typing import Final

from budget_proxy.analytics.calibration import wilson
from budget_proxy.analytics.signs import FITTING, MISSING, Use

MOST_COST: Final = 5.0
"""What one call counts at most, in multiples of the usual."""

MARGIN: Final = 0.10
"""How far accuracy and efficiency must lie below the attainable to be told of."""

LOW: Final = 0.60
"""An efficiency that is told of only where it is lower than that (mission.md section 3)."""

_FADING: Final = 0.99
_FEW: Final = 20.0  # calls of which the variance of the efficiency is not known yet
_USUAL: Final = 0.06  # what it is then
_SMALLEST: Final = 0.05  # the smallest drop below that which is looked for
_BOLDEST: Final = 0.9  # of all that is there, the most that is staked
_BEFORE_EXPECTED: Final = 10  # numbers
_Z: Final = 1.959963984540054


class Late:
    """Shares and means over the newest calls of a group."""

    __slots__ = ("numbers",)

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers) or [0.0] * 11

    def learn(self, use: Use) -> None:
        """Take in how one call used its budget."""
        (
            measured, weight, squares, fits, over, under, share, efficiency, spread, promised,
            expected,
        ) = self.numbers  # fmt: skip
        self.numbers = [
            measured + 1.0,
            _FADING * weight + 1.0,
            _FADING * _FADING * squares + 1.0,
            _FADING * fits + use.fits,
            _FADING * over + use.over,
            _FADING * under + use.under,
            _FADING * share + min(use.share, MOST_COST),
            _FADING * efficiency + use.efficiency,
            _FADING * spread + use.efficiency * use.efficiency,
            _FADING * promised + use.promised,
            _FADING * expected + use.expected,
        ]

    def drop(self, use: Use) -> float:
        """What one more call says of whether the efficiency has dropped, as a logarithm.

        It is the gain of a wager on efficiencies below ``_least``. While their mean is not below,
        1 + stake * (least - efficiency) is 1 at most on average, however they are distributed,
        since the stake is made before the call is known. So a CUSUM of it alarms at h no more than
        once in exp(h) calls, as one of likelihood ratios does (Shin, Ramdas and Rinaldo 2024). The
        stake is about the best one where the mean lies as far below as it did of late.
        """
        weight, variance, gap = self.numbers[1], _USUAL, _SMALLEST
        if weight >= _FEW:
            mean, square, expected = (self.numbers[place] / weight for place in (7, 8, 10))
            variance = max(square - mean * mean, 0.0)
            gap = max(_least(expected) - mean, _SMALLEST)
        least = _least(use.expected)
        stake = min(gap / (variance + gap * gap), _BOLDEST / (1.0 - least))
        return log1p(stake * (least - use.efficiency))

    def is_low(self, name: str = "efficiency") -> bool:
        """Whether the efficiency, or the bound ``efficiency_at_most``, is one to be told of."""
        late = self.figures()
        return bool(late) and late[name] < _least(late["possible"])

    @property
    def measured(self) -> int:
        """Calls whose use is known, in all."""
        return int(self.numbers[0])

    def figures(self) -> dict[str, float]:
        """Shares and means of late, with their bounds at 95 %.

        ``accuracy_at_most`` is Wilson's upper bound, ``efficiency_at_most`` the normal one;
        ``attainable`` is the accuracy, ``possible`` the efficiency that was to be expected.
        """
        weight, squares = self.numbers[1], self.numbers[2]
        if not weight:
            return {}
        calls = weight * weight / squares
        fits, over, under, share, efficiency, spread, promised, expected = (
            number / weight for number in self.numbers[3:]
        )
        deviation = sqrt(max(spread - efficiency * efficiency, 0.0))
        return {
            "accuracy": fits,
            "accuracy_at_most": wilson(fits * calls, calls)[1],
            "attainable": promised,
            "over": over,
            "under": under,
            "utilisation": share,
            "efficiency": efficiency,
            "efficiency_at_most": efficiency + _Z * deviation / sqrt(calls),
            "possible": expected,
        }


def _least(expected: float) -> float:
    return min(LOW, expected - MARGIN)


def late_of(numbers: list[float]) -> Late:
    """Take up ``numbers``, also of a version that did not know what was expected."""
    if len(numbers) == _BEFORE_EXPECTED:
        weight, promised = numbers[1], numbers[9]
        numbers = [*numbers, MISSING * weight + (FITTING - MISSING) * promised]
    return Late(*numbers)
