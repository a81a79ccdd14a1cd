"""How well budgets fitted: use, accuracy, truncations, calibration and cost of the history.

One pass over rows as they stream by; what is kept grows with the number of groups, not of
rows. Days that old rows were folded into count as the rows did. Savings are not claimed here:
they need the holdout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from budget_proxy.analytics.days import tally_of
from budget_proxy.analytics.groups import Groups
from budget_proxy.analytics.tally import Figures, Group, Tally
from budget_proxy.store.days import Day
from budget_proxy.types import CallRecord

By = Literal["agent", "task", "model", "group"]


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


def efficiency_report(records: Iterable[CallRecord], days: Iterable[Day] = ()) -> EfficiencyReport:
    """Sum up rows, given in the order of their ids (a resend after the attempt it repeats).

    ``days`` are the sums of rows that are there no more.
    """
    groups, span = Groups(_group), _Span()
    for day in days:
        span.reach(day.first, day.last)
        groups.tally((day.agent, day.task_type, day.model)).merge(tally_of(day))
    for record in records:
        span.reach(record.ts, record.ts)
        groups.add(record)
    tallies = groups.tallies
    return EfficiencyReport(
        start=span.start,
        end=span.end,
        overall=_merged({(): list(tallies.values())})[0],
        by_agent=_by(tallies, 0),
        by_task_type=_by(tallies, 1),
        by_model=_by(tallies, 2),
        by_group=_merged({group: [tally] for group, tally in tallies.items()}),
    )


class _Span:
    """The times of the first and the last call; ``None`` where there is none."""

    def __init__(self) -> None:
        self.start: float | None = None
        self.end: float | None = None

    def reach(self, first: float, last: float) -> None:
        """Take in calls between these times."""
        self.start = first if self.start is None else min(self.start, first)
        self.end = last if self.end is None else max(self.end, last)


def _group(record: CallRecord) -> Group:
    return (record.agent, record.task_type, record.model)


def _by(tallies: Mapping[Group, Tally], index: int) -> tuple[Figures, ...]:
    parts: dict[Group, list[Tally]] = {}
    for group, tally in tallies.items():
        parts.setdefault((group[index],), []).append(tally)
    return _merged(parts)


def _merged(parts: Mapping[Group, list[Tally]]) -> tuple[Figures, ...]:
    found = []
    for group, tallies in parts.items():
        whole = Tally()
        for tally in tallies:
            whole.merge(tally)
        found.append(whole.figures(group))
    return tuple(sorted(found, key=lambda figures: (-figures.calls, figures.group)))
