"""The rows that other instances write into the same history, asked for now and then."""

from __future__ import annotations

from time import monotonic

from budget_proxy.errors import StoreError
from budget_proxy.store.backlog import BATCH, Listener, OnFault
from budget_proxy.store.base import Store


class Foreign:
    """Hands on what others wrote after the row ``after``, in order of id, each row once.

    ``due`` (monotonic seconds) is when to ask next.
    """

    def __init__(
        self, store: Store, listener: Listener, *, on_fault: OnFault, every: float, after: int
    ) -> None:
        self.due = monotonic() + every
        self._store = store
        self._listener = listener
        self._on_fault = on_fault
        self._every = every
        self._cursor = after

    def ask(self, instance: str, own: int) -> None:
        """Ask if it is time. ``own`` is the id of the newest row that ``instance`` wrote."""
        if monotonic() < self.due:
            return
        self.due = monotonic() + self._every
        try:
            found = self._store.since(self._cursor, besides=instance, limit=BATCH)
        except StoreError as error:
            self._on_fault("poll", error)
            return
        newest = (found[-1].id if found else None) or self._cursor
        if len(found) == BATCH:  # more wait; our own rows are to be written in between
            self._cursor, self.due = newest, monotonic()
        else:  # ids follow the order of commits: nothing foreign below our own is still to come
            self._cursor = max(newest, own)
        if found:
            self._listener(found)
