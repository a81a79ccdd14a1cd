"""Sums to learn from: calls that are under way together, followed until the last one ends.

Several overlap, so that many sums are seen in the time that one takes. They are begun by the
clock and not as calls end: sums that came out high last longer, and count for as long as that.
A call belongs to every sum that was begun while it was under way: its number, by order of
beginning, tells that. So a call costs no more than there are sums, however many calls each has.
"""

from __future__ import annotations

from math import inf
from typing import Final

from budget_proxy.ledger.calibration import Calibration
from budget_proxy.ledger.totals import Totals

_FEW: Final = 4
"""Calls under way whose sum tells whether the sum of reserves is enough.

What fewer calls come to is learned from too: else a limit that has become so careful that it
lets one call through at a time would stay so."""
_EACH: Final = 8
"""Sums that are begun, on average, while as many calls end as are under way."""
_MOST: Final = 64
"""Sums that are followed at the same time: as many only where some calls hardly end."""
_MEMORY: Final = 20.0
"""Sums after which the time that they were apart counts e times less."""


class _Sum:
    """Calls under way at some moment: those below ``number`` that had not ended."""

    __slots__ = ("left", "mean", "number", "reserved", "seen", "spread", "told")

    def __init__(self, number: int, totals: Totals, told: float) -> None:
        self.number = number
        self.left = totals.calls
        self.mean = totals.mean
        self.spread = totals.spread()
        self.reserved = totals.reserved if totals.calls >= _FEW else inf
        self.told = told
        self.seen = 0.0


class Watch:
    """The sums that are followed. What they come to is learned by a calibration."""

    __slots__ = ("_calibration", "_ended", "_ends", "_last", "_sums", "_time")

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._sums: list[_Sum] = []
        self._last: float | None = None
        self._ended = 0  # calls since the last sum was begun
        self._time = self._ends = 0.0  # seconds, and calls that ended in them

    def look(self, now: float, number: int, totals: Totals) -> None:
        """Follow the calls under way, all numbered below ``number``, if another sum is due."""
        if not totals.calls or not self._due(now, totals.calls):
            return
        if self._last is not None:
            keep = 1.0 - 1.0 / _MEMORY
            self._time = keep * self._time + now - self._last
            self._ends = keep * self._ends + self._ended
        self._last, self._ended = now, 0
        if totals.spread() > 0.0 and len(self._sums) < _MOST:
            told = self._calibration.of(totals.mean, totals.spread(), 0.0)
            self._sums.append(_Sum(number, totals, told))

    def _due(self, now: float, calls: int) -> bool:
        """Whether the time is over in which an eighth of the calls under way usually ends."""
        if self._last is None:
            return True
        if self._time <= 0.0 or self._ends <= 0.0:
            return _EACH * self._ended >= calls
        return _EACH * (now - self._last) * self._ends >= calls * self._time

    def pause(self) -> None:
        """Nothing is under way: the time until something is does not count."""
        self._last = None

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

    def lost(self, number: int) -> None:
        """Nobody knows what a call used: nor what the sums came to that it belongs to."""
        self._sums = [each for each in self._sums if number >= each.number]
