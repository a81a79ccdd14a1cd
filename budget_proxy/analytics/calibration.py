"""Do promises hold? What came back beside what quantiles and confidence promised, with margins.

Only strategies that promise a distribution are measured (store/measures.py); mission.md's weights
promise none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Final

from budget_proxy.store.measures import CONFIDENCE_EDGES
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


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of ``n`` calls with a confidence in [``start``, ``end``): ``promised`` and ``held``.

    ``promised`` is their mean confidence, ``held`` the share that used 50-95 % of the recommended
    budget, within Wilson's 95 % interval [``low``, ``high``]; all ``None`` where ``n`` is 0.
    """

    start: float
    end: float
    n: int
    promised: float | None
    held: float | None
    low: float | None
    high: float | None

    @property
    def holds(self) -> bool | None:
        """Whether the promise lies within the interval; ``None`` where there were no calls."""
        if self.promised is None or self.low is None or self.high is None:
            return None
        return self.low <= self.promised <= self.high


def wilson(hits: float, n: float, z: float = _Z) -> tuple[float, float]:
    """Wilson's score interval (95 %) of a share of ``hits`` in ``n`` > 0 (Wilson 1927)."""
    share, square = hits / n, z * z
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = z / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def coverage(sums: Sums) -> tuple[Coverage, ...]:
    """The coverage at every promised level."""
    return tuple(
        _coverage(level, getattr(sums, f"held_{percent}"), getattr(sums, f"told_{percent}"))
        for level, percent in ((level, f"{100 * level:.0f}") for level in LEVELS)
    )


def reliability(sums: Sums) -> tuple[Reliability, ...]:
    """Confidence beside what came of it, by tenths."""
    edges = enumerate(pairwise((0.0, *CONFIDENCE_EDGES, 1.0)), 1)
    return tuple(_tenth(sums, tenth, start, end) for tenth, (start, end) in edges)


def confidence_error(tenths: Iterable[Reliability]) -> float | None:
    """How far confidence is off on average: mean |promised - held| over tenths, by their calls.

    Also known as the expected calibration error. Noise alone makes it greater than 0.
    """
    known = [(one.n, abs((one.promised or 0.0) - (one.held or 0.0))) for one in tenths if one.n]
    return sum(n * error for n, error in known) / sum(n for n, _ in known) if known else None


def _tenth(sums: Sums, tenth: int, start: float, end: float) -> Reliability:
    n: int = getattr(sums, f"promised_{tenth}")
    if n == 0:
        return Reliability(start, end, 0, None, None, None, None)
    held: int = getattr(sums, f"accurate_{tenth}")
    promised = getattr(sums, f"confidence_{tenth}") / n
    return Reliability(start, end, n, promised, held / n, *wilson(held, n))


def _coverage(level: float, held: int, n: int) -> Coverage:
    if n == 0:
        return Coverage(level, 0, None, None, None)
    low, high = wilson(held, n)
    return Coverage(level, n, held / n, low, high)
