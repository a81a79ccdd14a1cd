"""Bills in memory: the same as store/billing.py keeps in SQLite."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from budget_proxy.store.billed import Billed, Spent, Taken, sorted_out, spent_of
from budget_proxy.types import CallRecord


class KeptBills(ABC):
    """The part of a store in memory that knows bills."""

    _lock: threading.Lock
    _billed: list[Billed]

    @abstractmethod
    def calls(
        self, *, start: float | None = None, end: float | None = None, **where: Any
    ) -> Iterator[CallRecord]:
        """Rows by time, oldest first."""

    def save_billed(self, lines: Sequence[Billed]) -> Taken:
        """Write an export's lines in place of those of the same provider, report and day."""
        scopes = {line.scope for line in lines}
        with self._lock:
            there = [line for line in self._billed if line.scope in scopes]
            going, coming, unchanged = sorted_out(there, lines)
            gone = set(map(id, going))
            self._billed = [line for line in self._billed if id(line) not in gone]
            self._billed += coming
        return Taken(len(coming), unchanged, tuple(going))

    def billed(self, first: str, last: str) -> list[Billed]:
        """Give what was billed from one day to another (both included), earliest first."""
        with self._lock:
            found = [line for line in self._billed if first <= line.day <= last]
        return sorted(found, key=lambda line: line.day)

    def spent(self, start: float, end: float) -> list[Spent]:
        """Give what rows by time [start, end) used and cost, by half hours."""
        return spent_of(self.calls(start=start, end=end))
