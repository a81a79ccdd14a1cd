"""How long runs are silent between two calls: what a silence says about whether a run is over."""

from __future__ import annotations

from bisect import bisect_right
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_SILENCE: Final = 60.0
MOST_SILENCE: Final = 3600.0
"""Seconds: a run counts as ended after a silence between these, depending on its agent's."""

_MEMORY: Final = 2000.0
_HEAVIEST: Final = 1e30
_PRIOR, _MEDIAN, _SPREAD = 20.0, 10.0, 1.5
_RARE: Final = 0.005
_TIMES: Final = 2.0
_EVERY: Final = 16
_ENDS: Final = 0.08
"""Probability that a call is the last of its run, before the silence after it is known."""

_EDGES: Final[Floats] = np.exp(np.arange(np.log(0.1), np.log(1e6), 0.22))
_LOG_EDGES: Final[Floats] = np.log(_EDGES)
_LIST: Final = _EDGES.tolist()


def _prior() -> Floats:
    normal = NormalDist(np.log(_MEDIAN), _SPREAD)
    reached = np.array([normal.cdf(edge) for edge in _LOG_EDGES[:-1]] + [1.0])
    shares: Floats = _PRIOR * np.diff(reached, prepend=0.0)
    return shares


_FIRST: Final = _prior()


class Gaps:
    """Seconds between calls of one agent's runs, on a logarithmic grid; old ones fade."""

    __slots__ = ("_added", "_counts", "_unit", "silence")

    def __init__(self) -> None:
        self._counts: Floats = _FIRST.copy()
        self._unit = 1.0
        self._added = 0
        self.silence = self._silence()
        """Seconds of silence after which a run counts as ended; set anew every 16 gaps."""

    def add(self, seconds: float) -> None:
        """Count one gap."""
        self._unit *= _MEMORY / (_MEMORY - 1.0)
        if self._unit > _HEAVIEST:
            self._counts /= self._unit
            self._unit = 1.0
        place = min(bisect_right(_LIST, seconds), len(_LIST) - 1)
        self._counts[place] += self._unit
        self._added += 1
        if self._added % _EVERY == 0:
            self.silence = self._silence()

    def over(self, silences: Floats) -> Floats:
        """The probability that a run is over that has been silent so long (n,), by Bayes.

        Less what it was before the silence: a call that was just made says nothing.
        """
        seconds = np.log(np.maximum(silences, _LIST[0]))
        longer = np.interp(seconds, _LOG_EDGES, self._longer())
        ends = _ENDS / (_ENDS + (1.0 - _ENDS) * longer)
        over: Floats = (ends - _ENDS) / (1.0 - _ENDS)
        return over

    def _silence(self) -> float:
        longer = self._longer()
        rare = float(np.interp(-_RARE, -longer, _LOG_EDGES))
        return min(max(_TIMES * float(np.exp(rare)), LEAST_SILENCE), MOST_SILENCE)

    def _longer(self) -> Floats:
        reached = np.add.accumulate(self._counts)
        longer: Floats = 1.0 - reached / reached[-1]
        return longer
