"""A backtest's promises in parts: quantiles by model and by agent, confidence by decile.

Arithmetic on what came back beside what was promised; it knows nothing of strategies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from budget_proxy.types import LEVELS

Floats = NDArray[np.float64]
By = Literal["model", "agent"]

ENOUGH: Final = 200
"""Scored calls from which on a group's coverage is told."""

_POINTS: Final = 0.05
_DEVIATIONS: Final = 2.5
_DECILES: Final = 10
_HAIR: Final = 1e-9  # a share that misses by exactly what is allowed holds


@dataclass(frozen=True, slots=True)
class GroupCoverage:
    """``coverage`` at LEVELS of the ``n`` scored calls of one model or agent.

    ``allowed`` is how far from its level each may lie: 5 points, or 2.5 standard deviations of
    the share of ``n`` independent calls, whichever is more.
    """

    by: By
    name: str
    n: int
    coverage: tuple[float, ...]
    allowed: tuple[float, ...]

    @property
    def holds(self) -> tuple[bool, ...]:
        """At each of LEVELS, whether the coverage lies within what is allowed."""
        return tuple(
            abs(found - level) <= most + _HAIR
            for found, level, most in zip(self.coverage, LEVELS, self.allowed, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Decile:
    """A tenth of the calls by confidence: the mean ``promised``, and the share that ``held``."""

    n: int
    promised: float
    held: float


def group_coverage(
    by: By, names: Sequence[str], lengths: Floats, values: Floats
) -> tuple[GroupCoverage, ...]:
    """The groups of at least 200 calls, the greatest first.

    ``names`` and ``lengths`` (tokens) have one entry a call, ``values`` one row of the quantiles
    at LEVELS.
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(name, []).append(place)
    within = lengths[:, None] <= values
    found = [
        GroupCoverage(by, name, len(its), _numbers(within[its].mean(axis=0)), allowed(len(its)))
        for name, its in places.items()
        if len(its) >= ENOUGH
    ]
    return tuple(sorted(found, key=lambda group: (-group.n, group.name)))


def allowed(n: int) -> tuple[float, ...]:
    """How far the coverage of ``n`` calls may lie from each of LEVELS."""
    levels = np.array(LEVELS)
    return _numbers(np.maximum(_POINTS, _DEVIATIONS * np.sqrt(levels * (1 - levels) / n)))


def deciles(confidence: Floats, well: NDArray[np.bool_]) -> tuple[Decile, ...]:
    """Ten parts by confidence, the lowest first; ``well`` says which calls used 50-95 %.

    Parts differ by one call at most; with fewer than ten calls there are fewer parts.
    """
    ascending = np.argsort(confidence, kind="stable")
    parts = np.array_split(ascending, min(_DECILES, len(ascending)))
    return tuple(
        Decile(len(part), float(confidence[part].mean()), float(well[part].mean()))
        for part in parts
    )


def _numbers(values: Floats) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
