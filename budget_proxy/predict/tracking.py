"""Calibration that holds: each level's forecast moves up when it is passed too often.

Quantile tracking (Angelopoulos, Candès and Tibshirani 2023, "Conformal PID control"; Gibbs and
Candès 2021): offset += rate x size x (1[y > q] - (1 - level)), on ln(tokens), where size is the
half the width of the forecast. All calls move one offset. Its groups' own come on top: they begin
at nothing, move by what a call missed beyond those that are learned with it, and fade. A group of
which little is known so stays with its parent, all calls, and so does one that is all of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate, repeat
from operator import add
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Groups = Sequence[Sequence[int]]
"""The keys of the groups of each of n calls, or none at all."""

RATE: Final = 0.01
_HIDDEN_RATE: Final = 0.05
"""Chosen on development rows whose answers were cut at their 90th percentile; what is expected
tells less than what is seen, but it is the sooner told that more answers run into the cap."""

_SHARED: Final = 0.5
"""How much of that each of its groups learns too, though all calls have learned it."""

_SEEN_RATE, _RAREST = 0.01, 0.1
_FARTHEST: Final = 3.0
_NARROWEST: Final = 0.05  # from a forecast's second level to the last but two
_FADING: Final = 0.001
"""What a group's own offset loses with each of its outcomes, so that some 1,000 make it up."""


class Tracking:
    """An offset in ln(tokens) for each of ``levels``, and what each group adds to it.

    Of groups those that learned last are kept, at most ``most`` of them. One forecast is a list: of
    so few numbers plain arithmetic is quicker than that of arrays.
    """

    __slots__ = ("_groups", "_levels", "_most", "_seen", "offsets")

    def __init__(self, levels: Floats, most: int = 4096) -> None:
        self._levels = levels
        self._most = most
        self.offsets: Floats = np.zeros(len(levels))
        self._seen: Floats = np.ones(len(levels))
        self._groups: OrderedDict[int, list[float]] = OrderedDict()

    def apply(self, forecasts: Floats, groups: Groups = ()) -> Floats:
        """Shift forecasts (n, levels) in ln(tokens), by the groups of each; they still ascend."""
        pairs = zip(forecasts.tolist(), groups or repeat(()), strict=False)
        return np.array([self.shifted(forecast, keys) for forecast, keys in pairs])

    def shifted(self, forecast: list[float], keys: Sequence[int] = ()) -> list[float]:
        """Shift one forecast, by the offset of all calls and by those of its groups."""
        shift: list[float] = self.offsets.tolist()
        for own in map(self._groups.get, keys):
            if own is not None:
                shift = list(map(add, shift, own))
        width = max(forecast[-3] - forecast[1], _NARROWEST) / 2.0
        moved = [at + by * width for at, by in zip(forecast, shift, strict=True)]
        return list(accumulate(moved, max))

    def learn(self, lengths: Floats, shifted: Floats, known: Floats, groups: Groups = ()) -> None:
        """Learn from n lengths in ln(tokens) and what was forecast of them, shifted.

        ``known`` are the ln(tokens) that each could have been seen up to. Of a call whose level is
        above that, the level learns what can be expected given the forecast: to learn from the
        short ones alone would bias it. The rarer a level is seen, the more it learns at a time.
        """
        seen = shifted <= known[:, None]
        self._seen += _SEEN_RATE * (seen.sum(axis=0) - len(lengths) * self._seen)
        rate = RATE / np.maximum(self._seen, _RAREST)
        passed = (lengths[:, None] > shifted) - (1.0 - self._levels)
        steps = rate * np.where(seen, passed, 0.0)
        beyond = steps - steps.mean(axis=0)
        if not seen.all():
            hidden = np.where(seen, 0.0, self._expected(lengths, shifted, known))
            steps += _HIDDEN_RATE * hidden
            beyond += _HIDDEN_RATE * _SHARED * hidden
        self.offsets += steps.sum(axis=0)
        np.clip(self.offsets, -_FARTHEST, _FARTHEST, out=self.offsets)
        # Groups may be left out altogether.
        for step, keys in zip(beyond.tolist(), groups, strict=False):
            for key in keys:
                own = self._group(key)
                own[:] = [at + (by - _FADING * at) for at, by in zip(own, step, strict=True)]

    def _group(self, key: int) -> list[float]:
        """What a group that learns adds to the offset of all calls."""
        known = self._groups
        if key in known:
            known.move_to_end(key)
            return known[key]
        if len(known) >= self._most:
            known.popitem(last=False)
        own = known[key] = [0.0] * len(self._levels)
        return own

    def _expected(self, lengths: Floats, shifted: Floats, known: Floats) -> Floats:
        """By how much more often than it should each level is expected to be passed (n, levels).

        Of a length that ran into its cap, the forecast tells what lies beyond; if that is passed
        as often as forecast, the mean over all calls is 0 (as in an EM step; Dempster, Laird and
        Rubin 1977).
        """
        pairs = zip(known.tolist(), shifted, strict=True)
        reached = np.array(
            [np.interp(cap, levels, self._levels, left=0.0) for cap, levels in pairs]
        )
        short = 1.0 - self._levels
        passed = short / np.maximum(1.0 - reached[:, None], short)
        return np.where((lengths >= known)[:, None], passed, 0.0) - short
