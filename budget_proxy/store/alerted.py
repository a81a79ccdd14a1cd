"""What a SQLite history offers to alerting; the SQL is in store/alerting.py."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from budget_proxy.store import alerting
from budget_proxy.store.alerts import Alert, Event, Mute, Progress, Seen, Watched


class Alerted(ABC):
    """The part of a SQLite store that knows alerts. Its methods raise StoreError."""

    @abstractmethod
    def _connection(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection."""

    @abstractmethod
    def _transaction(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection in a transaction that writes."""

    def seen(self, after: int, *, until: int | None = None, limit: int = 10_000) -> list[Seen]:
        """Give what a watch sees of rows with an id in (after, until], oldest first."""
        with self._connection("read") as connection:
            return alerting.seen(connection, after, until, limit)

    def watched(self) -> Watched:
        """Give where the watch over this history has got."""
        with self._connection("read") as connection:
            connection.execute("BEGIN")  # its tables as of one moment
            found = alerting.watched(connection)
            connection.execute("COMMIT")
            return found

    def save_watch(self, progress: Progress) -> bool:
        """Save how far a watch has got, in one transaction; false where another was faster."""
        with self._transaction("written") as connection:
            return alerting.save(connection, progress)

    def alerts(self, *, every: bool = False, limit: int = 1_000) -> list[Alert]:
        """Give the newest open alerts, with ``every`` those that are over too."""
        with self._connection("read") as connection:
            return alerting.alerts(connection, every=every, limit=limit)

    def mark_alert(
        self, id_: int, *, acknowledged: float | None = None, muted_until: float | None = None
    ) -> Alert | None:
        """Set what people say of an alert (``None`` leaves it); the alert, if it is there."""
        with self._transaction("written") as connection:
            return alerting.mark(connection, id_, acknowledged, muted_until)

    def mute(self, mute: Mute) -> None:
        """Mute a cause or a part of the calls, in place of an earlier mute of the same."""
        with self._transaction("written") as connection:
            alerting.mute(connection, mute)

    def mutes(self, now: float) -> list[Mute]:
        """Give what is muted at a time."""
        with self._connection("read") as connection:
            return alerting.mutes(connection, now)

    def claim_events(self, now: float, *, lease: float, limit: int = 20) -> list[Event]:
        """Take events that are to be told, the oldest first, for ``lease`` seconds."""
        with self._transaction("written") as connection:
            return alerting.claim(connection, now, lease, limit)

    def settle_event(
        self, id_: int, *, sent: float | None = None, due: float | None = None
    ) -> None:
        """Note that an event was delivered, or when it is to be tried again."""
        with self._transaction("written") as connection:
            alerting.settle_event(connection, id_, sent, due)
