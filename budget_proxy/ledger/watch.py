"""Sums to learn from: calls that are under way together, followed until the last one ends.

Several overlap, so that many sums are seen in the time that one takes. A call belongs to every
sum that was begun while it was under way: its number, by order of beginning, tells that. So a
call costs no more than there are sums, however many calls each of them has.
"""

from __future__ import annotations

from typing import Final

from budget_proxy.ledger.calibration import Calibration
from budget_proxy.ledger.totals import Totals

_FEW: Final = 4
"""Calls under way whose sum tells something of more than each of them."""
_EACH: Final = 8
"""Sums that are begun while as many calls end as are under way."""
_MOST: Final = 64
"""Sums that are followed at the same time: more than that only where calls never end."""


class _Sum:
    """Calls under way at some moment: those below ``number`` that had not ended."""

    __slots__ = ("left", "mean", "number", "reserved", "seen", "spread", "told")

    def __init__(self, number: int, totals: Totals, told: float) -> None:
        self.number = number
        self.left = totals.calls
        self.mean = totals.mean
        self.spread = totals.spread()
        self.reserved = totals.reserved
        self.told = told
        self.seen = 0.0


class Watch:
    """The sums that are followed. What they come to is learned by a calibration."""

    __slots__ = ("_calibration", "_ended", "_sums")

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._sums: list[_Sum] = []
        self._ended = 0

    def begin(self, number: int, totals: Totals) -> None:
        """Follow the calls under way, all numbered below ``number``, if another sum is due."""
        calls = totals.calls
        if calls < _FEW or len(self._sums) >= _MOST or _EACH * self._ended < calls:
            return
        if totals.spread() > 0.0:
            told = self._calibration.of(totals.mean, totals.spread(), 0.0)
            self._sums.append(_Sum(number, totals, told))
            self._ended = 0

    def ended(self, number: int, used: float) -> None:
        """A call ended that used so much."""
        self._ended += 1
        over = False
        for each in self._sums:
            if number < each.number:
                each.left -= 1
                each.seen += used
                over = over or not each.left
        if over:
            for each in self._sums:
                if not each.left:
                    self._calibration.learn(
                        each.seen, each.mean, each.spread, each.told, each.reserved
                    )
            self._sums = [each for each in self._sums if each.left]
