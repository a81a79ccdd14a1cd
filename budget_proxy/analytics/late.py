"""How budgets were used of late: sums in which a call counts .99 of the one after it.

They tell as much as the newest 200 calls would, and nothing has to be kept of those.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

from budget_proxy.analytics.calibration import wilson
from budget_proxy.analytics.signs import Use

MOST_COST: Final = 5.0
"""What one call counts at most, in multiples of the usual."""

_FADING: Final = 0.99
_Z: Final = 1.959963984540054


class Late:
    """Shares and means over the newest calls of a group."""

    __slots__ = ("numbers",)

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers) or [0.0] * 10

    def learn(self, use: Use) -> None:
        """Take in how one call used its budget."""
        (
            measured, weight, squares, fits, over, under, share, efficiency, spread, promised,
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
        ]

    @property
    def measured(self) -> int:
        """Calls whose use is known, in all."""
        return int(self.numbers[0])

    def figures(self) -> dict[str, float]:
        """Shares and means of late, with their bounds at 95 %.

        ``accuracy_at_most`` is Wilson's upper bound, ``efficiency_at_most`` the normal one.
        """
        weight, squares = self.numbers[1], self.numbers[2]
        if not weight:
            return {}
        calls = weight * weight / squares
        fits, over, under, share, efficiency, spread, promised = (
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
        }
