"""What calls under way hold of a limit together: a quantile of their sum.

Each call alone holds its reserve, the q95 of what it will use. Many calls seldom all use that
much: a quantile of their sum is less than the sum of their quantiles. It is approximated from
the sums of their moments by Cornish and Fisher's expansion (Biometrika 1938), with a part of the
spread that all forecasts of a moment share (they come from one history), and by how earlier
sums came out beside what had been expected of them (``calibration.py``). Where the pace of
answers is known a call's moments change with the time that it has been under way
(``moments.py``). Until some dozens of sums have come out, and where the quantile is not sharper,
the sum of the reserves holds, as long as sums have stayed below theirs.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import Final

from budget_proxy.ledger.calibration import Calibration
from budget_proxy.ledger.moments import Moments
from budget_proxy.ledger.totals import NONE, Share
from budget_proxy.ledger.watch import Watch

_LEVEL: Final = 2.5758293035489004
"""The standard normal distribution's q99.5, so that at most 2 % of moments find more under way:
errors of sums have longer tails than that distribution, and their spread is itself estimated
(docs/holds.md)."""


class _Call:
    """A call under way: its share, when it began, and its moments at its present stage."""

    __slots__ = ("began", "moments", "number", "share", "stage")

    def __init__(self, number: int, share: Share, began: float) -> None:
        self.number = number
        self.share = share
        self.began = began
        self.moments: Share | Moments = share
        self.stage = 0


class Holds:
    """The shares of open calls, with their sums kept up to date. O(1) a call, amortised."""

    __slots__ = ("_begun", "_calibration", "_open", "_totals", "_trusting", "_turns", "_watch")

    def __init__(self, calibration: Calibration | None = None, *, trusting: bool = False) -> None:
        """A ``trusting`` one holds less than reserves from the first call on."""
        self._calibration = calibration or Calibration()
        self._trusting = trusting
        self._watch = Watch(self._calibration)
        self._open: dict[object, _Call] = {}
        self._totals = NONE
        self._begun = 0
        self._turns: list[tuple[float, int, object]] = []  # a heap: when the next stage begins

    def __len__(self) -> int:
        return len(self._open)

    def add(self, key: object, share: Share, now: float = 0.0) -> None:
        """Hold a share under a key, of a call that begins now (seconds)."""
        call = self._open[key] = _Call(self._begun, share, now)
        self._begun += 1
        self._totals = self._totals.plus(share, share)
        self._await_turn(key, call)
        self._watch.look(now, self._begun, self._totals)

    def advance(self, now: float) -> None:
        """Let calls be at the stages that they have reached by now."""
        turns = self._turns
        while turns and turns[0][0] <= now:
            _, number, key = heappop(turns)
            call = self._open.get(key)
            if call is None or call.number != number:
                continue  # it ended before
            before, call.moments = call.moments, call.share.later[call.stage].moments
            call.stage += 1
            after = self._totals.plus(call.share, call.moments)
            self._totals = after.plus(call.share, before, -1)
            self._await_turn(key, call)
        self._watch.look(now, self._begun, self._totals)

    def settle(self, key: object, used: int) -> None:
        """Let a share go of which so much was used."""
        call = self._open.get(key)
        if call is not None:
            self._leave(key, call)
            self._watch.ended(call.number, used)

    def remove(self, key: object) -> None:
        """Let a share go of which nobody knows what was used; one that is not held is nothing."""
        call = self._open.get(key)
        if call is not None:
            self._leave(key, call)
            self._watch.lost(call.number)

    def amount(self, worst: bool, extra: Share | None = None) -> int:  # noqa: FBT001
        """What all of them hold together, with ``extra`` too if that is given."""
        totals = self._totals if extra is None else self._totals.plus(extra, extra)
        if worst:
            return totals.worst
        spread = totals.spread()
        known = self._trusting or self._calibration.proven
        if totals.calls <= 1 or spread <= 0.0 or not known:
            return totals.reserved
        skew = max(totals.third, 0.0) / spread**3
        level = _LEVEL + (_LEVEL**2 - 1) * skew / 6
        held = self._calibration.of(totals.mean, spread, level)
        most = totals.reserved if self._calibration.suffices else totals.worst
        return min(most, max(math.ceil(held), 0))

    @property
    def worst(self) -> int:
        """What all of them use in the worst case."""
        return self._totals.worst

    @property
    def reserved(self) -> int:
        """The sum of their reserves."""
        return self._totals.reserved

    def _await_turn(self, key: object, call: _Call) -> None:
        later = call.share.later
        if call.stage < len(later):
            heappush(self._turns, (call.began + later[call.stage].after, call.number, key))

    def _leave(self, key: object, call: _Call) -> None:
        del self._open[key]
        if self._open:
            self._totals = self._totals.plus(call.share, call.moments, -1)
        else:  # sums of floats drift: they begin anew where that costs nothing
            self._totals = NONE
            self._turns.clear()
            self._watch.pause()
