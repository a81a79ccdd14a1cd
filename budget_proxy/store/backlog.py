"""Rows between the queue and the store: priced, written in batches, kept while it is broken.

Answers that come after their row, as they do in the background, wait here too: behind all rows,
since theirs may be among them.

Belongs to the one thread that writes; it knows neither threads nor how long to sleep.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from time import monotonic
from typing import Final

from budget_proxy.errors import StoreError
from budget_proxy.store.base import Complete, Store
from budget_proxy.store.late import Late
from budget_proxy.types import CallRecord

BATCH: Final = 500
"""Rows a transaction."""

_FIRST_RETRY: Final = 0.2
_LONGEST_RETRY: Final = 30.0
_PRICE_FAULTS: Final = (
    LookupError, ValueError, ArithmeticError, TypeError, AttributeError, ImportError,
)  # fmt: skip

Price = Callable[[CallRecord], CallRecord]
Listener = Callable[[list[CallRecord]], None]
OnFault = Callable[[str, Exception], None]


class Backlog:
    """At most ``limit`` rows that are to be written; ``last`` is the id of the newest written.

    As many late answers at most; ``on_late`` is told of each row that one has replaced. Where
    there is no such row, it is looked for ``every`` so many seconds, a few times; its answer is
    not counted as one that is to be written.

    ``retry_at`` (monotonic seconds) is when a broken store is tried again.
    """

    def __init__(
        self,
        store: Store,
        *,
        price: Price | None,
        on_fault: OnFault,
        on_stored: Listener | None,
        on_late: Listener | None,
        limit: int,
        every: float,
    ) -> None:
        self.retry_at = 0.0
        self.last = 0
        self._retry_in = 0.0
        self._store = store
        self._price = price
        self._on_fault = on_fault
        self._on_stored = on_stored
        self._on_late = on_late
        self._limit = limit
        self._rows: deque[CallRecord] = deque()
        self._late = Late(every)

    def __len__(self) -> int:
        return len(self._rows) + len(self._late)

    @property
    def due(self) -> float | None:
        """When there is something to do (monotonic seconds); ``None`` if there is nothing."""
        due = self.retry_at if self else self._late.due
        return None if due is None else max(due, self.retry_at)

    def waiting(self) -> list[CallRecord]:
        """The rows, as far as another thread can tell."""
        return list(self._rows.copy())

    def clear(self) -> None:
        """Forget the rows, and that the store was broken."""
        self._rows.clear()
        self._late.clear()
        self.retry_at = self._retry_in = 0.0

    def add(self, record: CallRecord, instance: str) -> None:
        """Take a row, stamped and priced."""
        if record.instance != instance:
            record = replace(record, instance=instance)
        priced = record
        try:
            priced = self._priced(record)
        finally:  # also where the thread ends by it: a row is not lost for its price
            self._rows.append(priced)

    def add_late(self, response: str, complete: Complete, instance: str) -> None:
        """Take what a late answer makes of its pending row."""
        self._late.add(
            response, lambda row: self._priced(replace(complete(row), instance=instance))
        )

    def trim(self) -> int:
        """Drop the oldest rows above the limit, and the oldest late answers; their number."""
        excess = max(len(self._rows) - self._limit, 0)
        for _ in range(excess):
            self._rows.popleft()
        return excess + self._late.trim(self._limit)

    def write(self) -> int:
        """Write all; on a fault of the store keep the rest. How many could never be stored."""
        unstorable = self._write_rows()
        if not self._rows:
            self._write_late()
        return unstorable

    def _write_rows(self) -> int:
        unstorable, size = 0, BATCH
        while self._rows:
            batch = list(islice(self._rows, size))
            try:
                ids = self._store.append(batch)
            except StoreError as error:
                self._postpone(error)
                break
            except ValueError as error:  # a row of this batch cannot be stored: look for it
                if len(batch) == 1:
                    self._rows.popleft()
                    unstorable += 1
                    self._on_fault("row", error)
                size = 1
                continue
            self._written(batch, ids)
        return unstorable

    def _write_late(self) -> None:
        while (answer := self._late.take()) is not None:
            try:
                row = self._store.settle_late(answer.response, answer.complete)
            except StoreError as error:
                self._late.put_back(answer)
                self._postpone(error)
                break
            except ValueError as error:  # cannot be stored: its row stays an estimate
                self._on_fault("row", error)
                continue
            self.retry_at = self._retry_in = 0.0
            if row is None:
                self._late.missed(answer)
                continue
            self.last = row.id or self.last
            for listener in filter(None, (self._on_stored, self._on_late)):
                listener([row])

    def _postpone(self, error: StoreError) -> None:
        self._retry_in = min(max(self._retry_in * 2, _FIRST_RETRY), _LONGEST_RETRY)
        self.retry_at = monotonic() + self._retry_in
        self._on_fault("store", error)

    def _priced(self, record: CallRecord) -> CallRecord:
        """The row with its price; one that the price list stumbles over goes without."""
        try:
            return record if self._price is None else self._price(record)
        except _PRICE_FAULTS as error:
            self._on_fault("price", error)
            return record

    def _written(self, batch: list[CallRecord], ids: list[int]) -> None:
        for _ in batch:
            self._rows.popleft()
        self.retry_at = self._retry_in = 0.0
        self.last = ids[-1]
        if self._on_stored is not None:
            pairs = zip(batch, ids, strict=True)
            self._on_stored([replace(record, id=id_) for record, id_ in pairs])
