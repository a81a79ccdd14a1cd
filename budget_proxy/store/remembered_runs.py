"""Budgets of runs in memory: the same as store/running keeps in SQLite."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import replace

from budget_proxy.ledger.limits import runs_of
from budget_proxy.ledger.runs import (
    Bounds,
    Extension,
    RunAccount,
    RunBudget,
    RunPage,
    RunUse,
    alarms_of,
    checked,
    page_of,
    raised,
    use_of,
)
from budget_proxy.store.reckoned import Reckoning
from budget_proxy.types import CallRecord


class RememberedRuns:
    """The part of a store in memory that knows runs."""

    _lock: threading.Lock
    _rows: deque[CallRecord]
    _last: int
    _reckoning: Reckoning
    _budgets: dict[str, RunBudget]
    _extensions: defaultdict[str, list[Extension]]

    def save_runs(self, budgets: Sequence[RunBudget]) -> None:
        """Write what runs are given; what one was given already stays."""
        with self._lock:
            for budget in budgets:
                self._budgets.setdefault(budget.run, budget)

    def run_accounts(self, runs: Sequence[str], *, use: bool = True) -> list[RunAccount]:
        """Give what is known of runs, in this order."""
        with self._lock:
            found = [self._account(run) for run in runs]
        return found if use else [replace(one, use=RunUse()) for one in found]

    def runs(self, before: tuple[float, str] | None = None, limit: int = 50) -> RunPage:
        """Give the names of runs, those of the newest calls first, each with its parts."""
        newest: dict[str, float] = {}
        with self._lock:
            for row in self._rows:
                if row.run:
                    newest[row.run] = max(row.ts, newest.get(row.run, row.ts))
        return page_of(newest.items(), before, limit)

    def extend_run(self, given: Extension, most: Bounds) -> Extension:
        """Give a run more, and raise its hard stops. Raises InvalidInput."""
        with self._lock:
            known = self._extensions[given.run]
            checked(given, known, most)
            made = replace(given, id=sum(map(len, self._extensions.values())) + 1)
            known.append(made)
            for before, limit in list(raised(list(self._reckoning.tally.limits.values()), given)):
                heir = self._reckoning.save(limit, self._rows)
                if heir != before.id:
                    self._reckoning.inherit(before.id, given.run, heir)
        return made

    def _account(self, run: str) -> RunAccount:
        rows = [row for row in self._rows if run in runs_of(row.run)]
        use = RunUse()
        for row in rows:
            use = use.plus(use_of(row))
        budget = self._budgets.get(run)
        first = min(rows, key=lambda row: (row.ts, row.id or 0), default=None)
        return RunAccount(
            run,
            agent=budget.agent if budget is not None else first.agent if first is not None else "",
            budget=budget,
            use=use,
            extensions=tuple(self._extensions.get(run, ())),
            alarms=tuple(
                alarm for row in rows for alarm in alarms_of(run, row.ts, row.seconds, row.alarms)
            ),
            row=self._last,
        )
