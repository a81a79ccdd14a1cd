"""The origin's multipliers, clamp and confidence, shared by its two strategies (mission, 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from budget_proxy.types import Characteristics

LEAST: Final = 1_000
MOST: Final = 32_000
"""Budgets of these strategies lie between these, in tokens."""

ENOUGH: Final = 20
"""So many rows of history earn the whole of the confidence that history can give."""

_NOVELTY: Final = ((0.7, 1.5), (0.5, 1.2))
_UNCERTAINTY: Final = ((0.6, 1.3), (0.4, 1.1))
_CRITICALITY: Final = ((0.8, 1.4), (0.6, 1.2))
_COMPLEXITY: Final = ((80.0, 1.3), (60.0, 1.1))
_CREATIVE: Final = 1.3
_ARCHITECTURE: Final = 1.4
_Steps = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A base in tokens after its multipliers and the clamp, and a reason for each that applied."""

    tokens: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a confidence rests on.

    ``size`` is the number of rows of history; ``variation`` the coefficient of variation of
    the similar tasks' tokens (1 where there is none to measure); ``recent`` the share of the
    similar tasks that are recent (0 where there are none); ``novelty`` that of the task.
    """

    size: int = 0
    variation: float = 1.0
    recent: float = 0.0
    novelty: float = 1.0


def adjust(base: float, task: Characteristics, *, novelty: float | None) -> Adjusted:
    """Multiply ``base`` as the mission says; without ``novelty`` its multiplier is left out."""
    steps = [
        _step("uncertainty", task.uncertainty, _UNCERTAINTY),
        _step("criticality", task.criticality, _CRITICALITY),
        (_CREATIVE if task.creative else 1.0, "creative"),
        (_ARCHITECTURE if task.architecture else 1.0, "architecture"),
        _step("complexity", task.complexity, _COMPLEXITY),
    ]
    if novelty is not None:
        steps.insert(0, _step("novelty", novelty, _NOVELTY))
    value = base
    reasons = []
    for factor, name in steps:
        value *= factor
        if factor != 1.0:
            reasons.append(f"{name}: x {factor}")
    tokens = round(min(max(value, LEAST), MOST))
    if value < LEAST:
        reasons.append(f"raised to the least of {LEAST:,}")
    elif value > MOST:
        reasons.append(f"lowered to the most of {MOST:,}")
    return Adjusted(tokens, tuple(reasons))


def confidence(facts: Facts) -> float:
    """Weigh the facts: min(size / 20, .4) + .3 (1 - variation) + .15 recent + .15 (1 - novelty).

    A variation above 1 counts as 1. The result lies between 0 and 1 and is no probability.
    """
    return round(
        min(facts.size / ENOUGH, 0.4)
        + 0.3 * (1.0 - min(facts.variation, 1.0))
        + 0.15 * facts.recent
        + 0.15 * (1.0 - facts.novelty),
        6,
    )


def _step(name: str, value: float, steps: _Steps) -> tuple[float, str]:
    for bound, factor in steps:
        if value > bound:
            return factor, f"{name} {value:g} > {bound:g}"
    return 1.0, name
