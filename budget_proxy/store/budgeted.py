"""The part of the SQLite store that knows runs; the SQL is in store/running."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from budget_proxy.ledger.runs import (
    Bounds,
    Extension,
    RunAccount,
    RunBudget,
    RunPage,
    checked,
    page_of,
    raised,
)
from budget_proxy.store import counting, limiting, running
from budget_proxy.store.faults import storable
from budget_proxy.store.limited import Limited


class Budgeted(Limited):
    """A store that knows limits, and runs. Its methods raise StoreError."""

    def save_runs(self, budgets: Sequence[RunBudget]) -> None:
        """Write what runs are given; what one was given already stays."""
        if budgets:
            with (
                self._transaction("written", urgent=True) as connection,
                storable("a run's budget"),
            ):
                running.save(connection, budgets)

    def run_accounts(self, runs: Sequence[str], *, use: bool = True) -> list[RunAccount]:
        """Give what is known of runs, all of one moment, in this order."""
        with self._snapshot() as connection:
            return [running.account(connection, run, use=use) for run in runs]

    def runs(self, before: tuple[float, str] | None = None, limit: int = 50) -> RunPage:
        """Give the names of runs, those of the newest calls first, each with its parts."""
        with self._connection("read") as connection:
            return page_of(running.last_calls(connection), before, limit)

    def extend_run(self, given: Extension, most: Bounds) -> Extension:
        """Give a run more and raise its hard stops, in one transaction. Raises InvalidInput."""
        with self._transaction("written") as connection:
            checked(given, running.extensions(connection, given.run), most)
            with storable("an extension"):
                number = running.extend(connection, given)
            for before, limit in raised(limiting.limits(connection), given):
                heir = self._save_limit(connection, limit)
                if heir != before.id:
                    counting.inherit(connection, before.id, given.run, heir)
        return replace(given, id=number)
