"""What a SQLite history offers of limits; the SQL is in store/limiting, counting and leasing."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final

from budget_proxy.ledger.accounts import Account, Balance, Grant, Open
from budget_proxy.ledger.limits import Limit
from budget_proxy.store import counting, leasing, limiting
from budget_proxy.store.base import Complete
from budget_proxy.store.faults import storable
from budget_proxy.store.tally import Counter, Tally, differences, same_counting

_PAGE: Final = 1_000


class Limited(ABC):
    """The part of a SQLite store that knows limits. Its methods raise StoreError."""

    _known: Tally = Tally()

    @abstractmethod
    def _connection(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection."""

    @abstractmethod
    def _transaction(
        self, doing: str, *, urgent: bool = False
    ) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection in a transaction that writes."""

    @abstractmethod
    def _snapshot(self) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection whose reads are all of one moment."""

    def limits(self) -> list[Limit]:
        """Give the limits in force, by id."""
        with self._connection("read") as connection:
            return limiting.limits(connection)

    def limits_version(self) -> int:
        """Give a number that grows with every change of the limits."""
        with self._connection("read") as connection:
            return limiting.version(connection)

    def save_limit(self, limit: Limit) -> int:
        """Put a limit into force, in place of that with its id, unless that is 0; its id.

        Where it counts otherwise than before, its accounts begin anew. Raises InvalidInput where
        there is none to replace, or a value cannot be stored.
        """
        with self._transaction("written") as connection:
            return self._save_limit(connection, limit)

    def remove_limit(self, id_: int) -> bool:
        """Take a limit out of force; false if there is none."""
        with self._transaction("written") as connection:
            return limiting.remove(connection, id_)

    def charge(self, charge: Complete, start: float = 0.0) -> int:
        """Have rows from ``start`` on that have no price charged; how many those were."""
        after = number = 0
        while True:
            with self._transaction("written") as connection:
                page = counting.unpriced(connection, start, after, _PAGE)
                with storable("a charge"):
                    counting.charge(
                        connection, self._tally(connection), [(row, charge(row)) for row in page]
                    )
            if not page:
                return number
            after, number = page[-1].id or after, number + len(page)

    def lease(
        self, owner: str, wanted: Mapping[Account, int], now: float, ttl: float
    ) -> dict[Account, Grant]:
        """Hold so much more of each account for ``owner``, for ``ttl`` seconds.

        Where nothing is left, nothing is written: callers that are refused and try again and
        again keep nobody from writing.
        """
        with self._snapshot() as connection:
            if leasing.is_lessee(connection, owner, now):
                offered = leasing.offers(connection, self._tally(connection), owner, wanted, now)
                if not any(one.amount for one in offered.values()):
                    return offered
        with self._transaction("written") as connection:
            return leasing.lease(connection, self._tally(connection), owner, wanted, now, ttl)

    def give_back(self, owner: str, amounts: Mapping[Account, int]) -> None:
        """Hold so much less of each account."""
        with self._transaction("written") as connection:
            leasing.give_back(connection, owner, amounts)

    def renew(self, owner: str, now: float, ttl: float) -> bool:
        """Hold on to all of an owner's leases; false where they were void by then."""
        with self._transaction("written") as connection:
            tally = self._tally(connection)
            counting.prune(connection, tally, now)
            return leasing.renew(connection, tally, owner, now, ttl)

    def tell_open(self, owner: str, open_: Mapping[Account, Open]) -> None:
        """Say which calls an owner has under way, in place of what it said before."""
        with self._transaction("written") as connection:
            leasing.tell(connection, owner, open_)

    def note_expired(self, numbers: Mapping[int, int]) -> None:
        """Note how many calls more nobody settled in time, by the ids of limits they held to."""
        with self._transaction("written") as connection:
            limiting.note_expired(connection, numbers)

    def expired(self) -> dict[int, int]:
        """How many those are since each limit was made, by its id; zeros left out."""
        with self._connection("read") as connection:
            return limiting.expired(connection)

    def balances(self, now: float) -> list[Balance]:
        """Give the accounts that calls are held to, in the windows that a time lies in."""
        with self._snapshot() as connection:
            return leasing.balances(connection, self._tally(connection), now)

    def counted(self, now: float) -> dict[Account, int]:
        """Count the rows of the history anew, and what folded ones counted."""
        with self._snapshot() as connection:
            return counting.counted(connection, self._tally(connection), now)

    def miscounted(self, now: float) -> dict[Account, tuple[int, int]]:
        """Give the accounts whose counter is not what ``counted`` says, with both."""
        with self._snapshot() as connection:
            tally = self._tally(connection)
            return differences(
                counting.used(connection, tally, now), counting.counted(connection, tally, now)
            )

    def recount(self, now: float) -> int:
        """Make those accounts what ``counted`` says, in one transaction; how many changed."""
        with self._transaction("written") as connection:
            return counting.recount(connection, self._tally(connection), now)

    def _save_limit(self, connection: sqlite3.Connection, limit: Limit) -> int:
        # Not by the tally, which would keep what this transaction may take back.
        before = next((one for one in limiting.limits(connection) if one.id == limit.id), None)
        with storable("a limit"):
            limit = replace(limit, id=limiting.save(connection, limit))
        if before is None or not same_counting(before, limit):
            limiting.forget(connection, limit.id)
            if limit.window != "flight":
                counting.begin(connection, Counter(limit))
        return limit.id

    def _tally(self, connection: sqlite3.Connection) -> Tally:
        """The limits in force in this transaction: read once a version."""
        version = limiting.version(connection)
        known = self._known
        if known.version != version:
            self._known = known = Tally(limiting.limits(connection), version)
        return known
