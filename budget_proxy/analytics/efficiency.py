"""How well budgets fitted: use, accuracy, truncations, calibration and cost of the history.

Made of sums, which a store keeps: rows that were folded count as they did. Savings are not
claimed here: they need the holdout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from budget_proxy.analytics.figures import Figures, figures_of
from budget_proxy.store.sums import OTHER, Sums, merged, total

By = Literal["agent", "task", "model", "group"]

COLUMNS: Final[dict[By, tuple[str, ...]]] = {
    "agent": ("agent",),
    "task": ("task_type",),
    "model": ("model",),
    "group": ("agent", "task_type", "model"),
}
"""The columns that each way of grouping tells calls apart by."""

_MOST: Final = 4096


@dataclass(frozen=True, slots=True)
class EfficiencyReport:
    """The figures of a history between ``start`` and ``end`` (first and last row), by group.

    Groups with the most calls come first; ``by_group`` is by (agent, task type, model).
    """

    start: float | None
    end: float | None
    overall: Figures
    by_agent: tuple[Figures, ...]
    by_task_type: tuple[Figures, ...]
    by_model: tuple[Figures, ...]
    by_group: tuple[Figures, ...]

    def groups(self, by: By) -> tuple[Figures, ...]:
        """The figures by one way of grouping."""
        return {
            "agent": self.by_agent,
            "task": self.by_task_type,
            "model": self.by_model,
            "group": self.by_group,
        }[by]


def efficiency_report(sums: Sequence[Sums]) -> EfficiencyReport:
    """What the sums of a history say that are told apart by (agent, task type, model)."""
    whole = total(sums)
    return EfficiencyReport(
        start=whole.first if whole.attempts else None,
        end=whole.last if whole.attempts else None,
        overall=figures_of(whole),
        by_agent=by_group(sums, "agent"),
        by_task_type=by_group(sums, "task"),
        by_model=by_group(sums, "model"),
        by_group=by_group(sums, "group"),
    )


def by_group(sums: Iterable[Sums], by: By) -> tuple[Figures, ...]:
    """The figures of each group, most calls first; beyond 4,096 groups the rest is "(other)"."""
    columns = COLUMNS[by]
    parts = merged(sums, columns)
    if len(parts) > _MOST:
        other: dict[str, Any] = dict.fromkeys(columns, OTHER)
        parts = parts[:_MOST] + merged([replace(part, **other) for part in parts[_MOST:]], columns)
    found = [figures_of(part, tuple(getattr(part, name) for name in columns)) for part in parts]
    return tuple(sorted(found, key=lambda figures: (-figures.calls, figures.group)))
