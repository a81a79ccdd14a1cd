"""What a SQLite history offers to billing; the SQL is in store/billing.py."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager

from budget_proxy.store import billing
from budget_proxy.store.billed import Billed, Spent, Taken
from budget_proxy.store.faults import storable


class Accounted(ABC):
    """The part of a SQLite store that knows bills. Its methods raise StoreError."""

    @abstractmethod
    def _connection(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection."""

    @abstractmethod
    def _transaction(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection in a transaction that writes."""

    def save_billed(self, lines: Sequence[Billed]) -> Taken:
        """Write an export's lines in place of those of the same provider, report and day.

        Raises InvalidInput, and writes nothing, where a value cannot be stored.
        """
        with self._transaction("written") as connection, storable("a bill"):
            return billing.save(connection, lines)

    def billed(self, first: str, last: str) -> list[Billed]:
        """Give what was billed from one day to another (both included), earliest first."""
        with self._connection("read") as connection:
            return billing.read(connection, first, last)

    def spent(self, start: float, end: float) -> list[Spent]:
        """Give what rows by time [start, end) used and cost, by half hours."""
        with self._connection("read") as connection:
            return billing.spent(connection, start, end)
