"""Confidence that can be believed: what was promised, moved to what came true.

Promises are counted in bins, as in a reliability diagram (Murphy and Winkler 1977); a bin with
few of them leaves a promise as it is.
"""

from __future__ import annotations

from typing import Final

BINS: Final = 10
_STRENGTH: Final = 40.0
_MEMORY: Final = 0.995


class Trust:
    """By bin of promised probability: promises, their sum, and how many came true; fading."""

    __slots__ = ("_kept", "_promised", "_true")

    def __init__(self) -> None:
        self._kept = [0.0] * BINS
        self._promised = [0.0] * BINS
        self._true = [0.0] * BINS

    def learn(self, promised: float, *, came_true: bool) -> None:
        """Count one promise."""
        at = _bin(promised)
        self._kept[at] = _MEMORY * self._kept[at] + 1.0
        self._promised[at] = _MEMORY * self._promised[at] + promised
        self._true[at] = _MEMORY * self._true[at] + came_true

    def calibrated(self, promised: float) -> float:
        """The probability with which such a promise comes true."""
        at = _bin(promised)
        away = (self._true[at] - self._promised[at]) / (self._kept[at] + _STRENGTH)
        return min(max(promised + away, 0.0), 1.0)


def _bin(promised: float) -> int:
    return min(int(promised * BINS), BINS - 1)
