"""Recommended budgets that fit worse than they could, since a rule of thumb makes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from budget_proxy.analytics.calibration import wilson
from budget_proxy.analytics.judgement import judged
from budget_proxy.analytics.suggestions.base import (
    GROUP,
    LEAST,
    Scene,
    Setting,
    Suggestion,
    suggestion,
)
from budget_proxy.types import CallRecord

_TARGET: Final = 0.20  # of the calls over-allocated: mission.md's figure after 30 days
_BEST: Final = 0.80  # use of a budget that fits, the middle of what counts as fully efficient


LEARNING: Final = frozenset({"auto", "learned"})
"""The strategies that learn lengths: of their budgets nothing is suggested."""


def ill_fitting(scene: Scene) -> Iterator[Suggestion]:
    """Task types whose budgets are mostly too large, while ``strategy`` is none that learns."""
    if scene.strategy in LEARNING:
        return
    for group in scene.by("task_type"):
        if group.measured < LEAST:
            continue
        low, high = wilson(group.over, group.measured)
        unlearned = group.measured - group.promised
        freed = group.recommended - group.used / _BEST
        if low <= _TARGET or unlearned < LEAST or freed <= 0:
            continue
        yield suggestion(
            "budget",
            group,
            n=group.measured,
            text=f"{group.over / group.measured:.0%} of {group.measured:,} budgets were used by "
            f"less than half ({low:.0%} to {high:.0%}).",
            action='strategy = "auto", which learns lengths from this history',
            worth="Tokens that budgets of 80 % use would not have held: planning room, no money.",
            tokens=round(scene.monthly(freed)),
            of="budgeted",
            money=(0.0, 0.0),
            effort="one setting",
            setting=Setting(("strategy",), "auto"),
            evidence={
                "over": group.over, "share": group.over / group.measured, "share_low": low,
                "share_high": high, "recommended": group.recommended, "used": group.used,
            },
            calls=_over(scene, group.task_type),
        )  # fmt: skip


def _over(scene: Scene, task_type: str) -> list[CallRecord]:
    """The newest that used less than half, of the group where most did; resends are left out."""
    groups = (one for one in scene.by(*GROUP) if one.task_type == task_type)
    rows = scene.rows.of(max(groups, key=lambda one: one.over))
    return [row for row in rows if row.attempt == 1 and judged(row).verdict == "over"]
