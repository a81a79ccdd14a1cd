"""The success figures that the origin named (mission.md section 7), beside what was attainable.

Cost reduction is not among them: savings are measured against the held-out sessions, not against
a budget that somebody imagined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from budget_proxy.analytics.figures import Figures

_Value = Callable[[Figures], float | None]


@dataclass(frozen=True, slots=True)
class Success:
    """One figure, a share: the ``value`` reached and what forecasts made of it (``attainable``).

    ``baseline``, ``target`` and ``stretch`` are the origin's. ``reached`` names the best of the
    two that is met: ``stretch``, ``target``, or ``None``.
    """

    name: str
    value: float | None
    attainable: float | None
    baseline: float
    target: float
    stretch: float
    reached: str | None


@dataclass(frozen=True, slots=True)
class _Aim:
    name: str
    value: _Value
    attainable: _Value
    baseline: float
    target: float
    stretch: float


_AIMS: Final = (
    _Aim("budget accuracy", lambda f: f.accuracy, lambda f: f.attainable, 0.50, 0.80, 0.90),
    _Aim(
        "over-allocation rate", lambda f: f.over_allocated, lambda f: f.attainable_over,
        0.60, 0.20, 0.10,
    ),
    _Aim(
        "under-allocation rate", lambda f: f.under_allocated, lambda f: f.attainable_under,
        0.30, 0.10, 0.05,
    ),
    _Aim("prediction confidence", lambda f: f.attainable, lambda _: None, 0.50, 0.75, 0.85),
)  # fmt: skip


def success(figures: Figures) -> tuple[Success, ...]:
    """Every figure, as mission.md lists them."""
    return tuple(
        Success(
            aim.name, aim.value(figures), aim.attainable(figures),
            aim.baseline, aim.target, aim.stretch, _reached(aim, aim.value(figures)),
        )
        for aim in _AIMS
    )  # fmt: skip


def _reached(aim: _Aim, value: float | None) -> str | None:
    if value is None:
        return None
    up = aim.target > aim.baseline
    for name, mark in (("stretch", aim.stretch), ("target", aim.target)):
        if value >= mark if up else value <= mark:
            return name
    return None
