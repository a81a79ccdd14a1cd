"""How well budgets fitted: use, accuracy, truncations, calibration and cost of the history.

One pass over rows as they stream by; what is kept grows with the number of groups, not of
rows. Savings are not claimed here: they need the holdout.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final, Literal

from budget_proxy.analytics.tally import Figures, Group, Tally
from budget_proxy.ledger.settlement import has_length
from budget_proxy.types import CallRecord

By = Literal["agent", "task", "model", "group"]

_MOST_GROUPS: Final = 4096
_MOST_CUT: Final = 10_000
_OTHER: Final = ("(other)", "(other)", "(other)")


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


def efficiency_report(records: Iterable[CallRecord]) -> EfficiencyReport:
    """Sum up rows, given in the order of their ids (a resend after the attempt it repeats)."""
    return _Pass().take(records)


class _Pass:
    """One pass over the rows: a tally by (agent, task type, model), merged at the end.

    A call is measured by its first answer, also if our cap cut it: the resend is another draw,
    and counting it in place of the long first one would make forecasts look better.
    """

    def __init__(self) -> None:
        self._tallies: dict[Group, Tally] = {}
        self._cut: OrderedDict[str, None] = OrderedDict()

    def take(self, records: Iterable[CallRecord]) -> EfficiencyReport:
        """Run through the rows and sum up."""
        start, end = inf, -inf
        for record in records:
            start, end = min(start, record.ts), max(end, record.ts)
            self._add(record)
        known = start <= end
        return EfficiencyReport(
            start=start if known else None,
            end=end if known else None,
            overall=_merged({(): list(self._tallies.values())})[0],
            by_agent=self._by(0),
            by_task_type=self._by(1),
            by_model=self._by(2),
            by_group=_merged({group: [tally] for group, tally in self._tallies.items()}),
        )

    def _add(self, record: CallRecord) -> None:
        tally = self._tally(record)
        tally.attempt(record)
        if record.attempt > 1 and record.call_id in self._cut:
            del self._cut[record.call_id]
            tally.resent += 1
        elif record.exact and has_length(record):
            tally.length(record)
        if record.cut_by_us:
            self._cut[record.call_id] = None
            if len(self._cut) > _MOST_CUT:
                self._cut.popitem(last=False)

    def _tally(self, record: CallRecord) -> Tally:
        group = (record.agent, record.task_type, record.model)
        found = self._tallies.get(group)
        if found is None:
            if len(self._tallies) >= _MOST_GROUPS:
                return self._tallies.setdefault(_OTHER, Tally())
            found = self._tallies[group] = Tally()
        return found

    def _by(self, index: int) -> tuple[Figures, ...]:
        parts: dict[Group, list[Tally]] = {}
        for group, tally in self._tallies.items():
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
