"""What calls under way hold of a limit together: a quantile of their sum.

Each call alone holds its reserve, the q95 of what it will use. Many calls seldom all use that
much: a quantile of their sum is less than the sum of their quantiles. It is approximated from
the sums of their moments by Cornish and Fisher's expansion (Biometrika 1938), with a part of the
spread that all forecasts of a moment share (they come from one history), and by how far earlier
sums came out beside what had been expected of them (``calibration.py``). Where that is not
sharper, the sum of the reserves holds.
"""

from __future__ import annotations

import math
from typing import Final

from budget_proxy.ledger.calibration import Calibration
from budget_proxy.types import frozen

_LEVEL: Final = 2.053748910631823
"""The standard normal distribution's q98: at most 2 % of moments find more under way."""
_SHARED: Final = 0.015
"""The part of a forecast's variance that all forecasts share."""
_FEW: Final = 4
"""Calls under way whose sum tells something of more than each of them."""


@frozen
class Share:
    """What one call may use of a limit, in the limit's unit.

    ``reserve`` is its q95, ``worst`` the most; mean, variance and third central moment are
    those of the call while it is under way (``moments.py``).
    """

    reserve: int
    worst: int
    mean: float
    variance: float
    third: float


@frozen
class _Totals:
    """Sums over shares. ``deviation`` is that of standard deviations."""

    calls: int = 0
    reserved: int = 0
    worst: int = 0
    mean: float = 0.0
    variance: float = 0.0
    third: float = 0.0
    deviation: float = 0.0

    def plus(self, share: Share, sign: int = 1) -> _Totals:
        return _Totals(
            self.calls + sign,
            self.reserved + sign * share.reserve,
            self.worst + sign * share.worst,
            self.mean + sign * share.mean,
            self.variance + sign * share.variance,
            self.third + sign * share.third,
            self.deviation + sign * math.sqrt(share.variance),
        )

    def spread(self) -> float:
        """The standard deviation of the sum."""
        shared = (1 - _SHARED) * self.variance + _SHARED * self.deviation**2
        return math.sqrt(max(shared, 0.0))


_NONE: Final = _Totals()


class Holds:
    """The shares of open calls, with their sums kept up to date. O(1) a call."""

    __slots__ = ("_calibration", "_expected", "_open", "_seen", "_totals", "_watched")

    def __init__(self, calibration: Calibration | None = None) -> None:
        self._calibration = calibration or Calibration()
        self._open: dict[object, Share] = {}
        self._totals = _NONE
        self._watched: set[object] = set()
        self._expected = (0.0, 1.0)
        self._seen = 0.0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, key: object, share: Share) -> None:
        """Hold a share under a key."""
        self._open[key] = share
        self._totals = self._totals.plus(share)

    def settle(self, key: object, used: int) -> None:
        """Let a share go of which so much was used."""
        if key in self._watched:
            self._seen += used
        self._leave(key)
        if not self._watched:
            self._watch()

    def remove(self, key: object) -> None:
        """Let a share go of which nobody knows what was used; one that is not held is nothing."""
        self._watched.clear()
        self._leave(key)

    def amount(self, worst: bool, extra: Share | None = None) -> int:  # noqa: FBT001
        """What all of them hold together, with ``extra`` too if that is given."""
        totals = self._totals if extra is None else self._totals.plus(extra)
        if worst:
            return totals.worst
        if totals.calls <= 1:
            return totals.reserved
        spread = totals.spread()
        skew = max(totals.third, 0.0) / spread**3 if spread > 0.0 else 0.0
        level = _LEVEL + (_LEVEL**2 - 1) * skew / 6
        held = totals.mean + spread * self._calibration.of(level)
        return min(totals.reserved, max(math.ceil(held), 0))

    @property
    def worst(self) -> int:
        """What all of them use in the worst case."""
        return self._totals.worst

    @property
    def reserved(self) -> int:
        """The sum of their reserves."""
        return self._totals.reserved

    def _leave(self, key: object) -> None:
        share = self._open.pop(key, None)
        if share is None:
            return
        # sums of floats drift: they begin anew where that costs nothing
        self._totals = self._totals.plus(share, -1) if self._open else _NONE
        if key in self._watched:
            self._watched.remove(key)
            if not self._watched:
                expected, spread = self._expected
                self._calibration.learn((self._seen - expected) / spread)

    def _watch(self) -> None:
        """Take the calls that are under way now as the next sum to learn from."""
        spread = self._totals.spread()
        if len(self._open) >= _FEW and spread > 0.0:
            self._watched = set(self._open)
            self._expected = (self._totals.mean, spread)
            self._seen = 0.0
