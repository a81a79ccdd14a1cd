"""How hard a model should think: effort and thinking setting from the task's characteristics.

These are the steers that save money, so they are computed and shown for every call; whether
they are written is decided elsewhere. Left out: provider spellings (``wire``), the caller's
own choices, and keeping a session's setting fixed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from budget_proxy.types import Breakdown, Capabilities, Characteristics, Thinking

SCALE: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""Effort levels in rising order; the distance of two levels is that of their places here."""

STEPS: Final = ((30.0, "low"), (60.0, "medium"), (85.0, "high"))
"""A difficulty below the number asks for the level; from the last number on, for xhigh."""

THINKING_FLOOR: Final = 1024
"""The smallest thinking budget that providers accept, in tokens."""

CRITICAL: Final = 0.6
"""Above this criticality thinking is never turned off, and never cut to next to nothing."""

EASY: Final = 20.0
"""Below this difficulty a task needs no thinking."""


def difficulty(characteristics: Characteristics) -> float:
    """Score how hard the task is, 0-100 (docs/guidance.md, "Effort").

    0.6 x complexity + 20 x uncertainty + 20 x criticality + 5 if creative
    + 10 if architecture, at most 100. The first three alone span 0-100.
    """
    score = (
        0.6 * characteristics.complexity
        + 20.0 * characteristics.uncertainty
        + 20.0 * characteristics.criticality
        + 5.0 * characteristics.creative
        + 10.0 * characteristics.architecture
    )
    return min(max(score, 0.0), 100.0)


def effort_for(
    characteristics: Characteristics,
    capabilities: Capabilities,
    *,
    thinking: Thinking | None = None,
) -> str | None:
    """Choose the offered effort level nearest to what the task's difficulty asks for.

    Difficulty below 30 asks for low, below 60 medium, below 85 high, else xhigh; of two
    levels equally near, the higher. "max" is chosen only where nothing else is offered,
    "none" and "minimal" never for critical tasks, and nothing above "high" together with
    disabled ``thinking`` (providers refuse the pair). ``None`` where no level is left.
    """
    return _nearest(
        capabilities.efforts,
        _asked(difficulty(characteristics)),
        critical=characteristics.criticality > CRITICAL,
        unthinking=thinking is not None and thinking.kind == "disabled",
    )


@lru_cache(maxsize=1024)
def _nearest(
    efforts: tuple[str, ...], asked: str, *, critical: bool, unthinking: bool
) -> str | None:
    offered = {level for level in efforts if level in SCALE}
    if critical:
        offered -= {"none", "minimal"}
    if offered != {"max"}:
        offered.discard("max")
    if unthinking:
        offered -= {"xhigh", "max"}
    if not offered:
        return None
    wanted = SCALE.index(asked)
    return min(offered, key=lambda level: (abs(SCALE.index(level) - wanted), -SCALE.index(level)))


def thinking_for(
    recommended: int,
    breakdown: Breakdown,
    characteristics: Characteristics,
    capabilities: Capabilities,
) -> Thinking | None:
    """Choose a task's thinking setting; ``None`` leaves the model's own.

    Off for easy tasks (difficulty below 20) that are not critical, where the model can turn
    it off; else adaptive where the model has that, else enabled with the thinking phase's
    share of ``recommended`` tokens as its budget, at least 1,024.
    """
    modes = capabilities.thinking
    if difficulty(characteristics) < EASY and characteristics.criticality <= CRITICAL:
        return thinking_off(capabilities)
    if "adaptive" in modes:
        return Thinking("adaptive")
    if "enabled" in modes:
        share = breakdown.thinking / max(breakdown.total, 1)
        return Thinking("enabled", max(round(recommended * share), THINKING_FLOOR))
    return None


def thinking_off(capabilities: Capabilities) -> Thinking | None:
    """Disable thinking; ``None`` where the model cannot turn it off."""
    return Thinking("disabled") if "disabled" in capabilities.thinking else None


def _asked(score: float) -> str:
    return next((level for below, level in STEPS if score < below), "xhigh")
