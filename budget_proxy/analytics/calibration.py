"""Do promises hold? Realised coverage beside the promised quantile level, with its margin.

Only strategies that promise a distribution are measured (store/measures.py); mission.md's weights
promise none.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Final

from budget_proxy.store.sums import Sums
from budget_proxy.types import LEVELS

_Z: Final = 1.959963984540054  # the 97.5 % point of the standard normal: a two-sided 95 % interval


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of ``n`` forecasts at ``level``, the share that held: ``realised``, in [``low``, ``high``].

    The interval is Wilson's at 95 %; all three are ``None`` where ``n`` is 0.
    """

    level: float
    n: int
    realised: float | None
    low: float | None
    high: float | None


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share of ``hits`` in ``n`` > 0 (Wilson 1927)."""
    share, square = hits / n, _Z * _Z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = _Z / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def coverage(sums: Sums) -> tuple[Coverage, ...]:
    """The coverage at every promised level."""
    return tuple(
        _coverage(level, getattr(sums, f"held_{percent}"), getattr(sums, f"told_{percent}"))
        for level, percent in ((level, f"{100 * level:.0f}") for level in LEVELS)
    )


def _coverage(level: float, held: int, n: int) -> Coverage:
    if n == 0:
        return Coverage(level, 0, None, None, None)
    low, high = wilson(held, n)
    return Coverage(level, n, held / n, low, high)
