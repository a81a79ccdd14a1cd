"""What rows count, by account: the one place where rows and limits meet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from budget_proxy.ledger.accounts import Account
from budget_proxy.ledger.limits import ENFORCED, Limit, Whose, amount_of, beaten, whose_of
from budget_proxy.ledger.windows import TIMELESS, window_of
from budget_proxy.store.sums import LATEST
from budget_proxy.types import CallRecord

LONG_OVER: Final[Mapping[str, float]] = {"minute": 86_400.0, "hour": 40 * 86_400.0}
"""Seconds after which accounts of short windows go; those of days and longer ones stay."""
ORPHANED: Final = 3_600.0
"""Seconds after which leases that nobody renewed are deleted."""
FORGOTTEN: Final = 30 * 86_400.0
"""Seconds after which their owner is."""
OVER: Final = 86_400.0
"""Seconds after the end of a window for which calls of it may still be under way."""


class Tally:
    """The limits in force at one ``version`` of theirs.

    A limit counts rows from the beginning of the window that it was made in; rows of earlier
    windows count nothing, nor do those whose time no calendar has. One of what is in flight counts
    no rows at all.
    """

    def __init__(self, limits: Iterable[Limit] = (), version: int = 0) -> None:
        self.version = version
        self.limits = {limit.id: limit for limit in limits}
        self._beaten = beaten(self.limits.values())
        self._counters = [
            Counter(limit) for limit in self.limits.values() if limit.window != "flight"
        ]

    def __bool__(self) -> bool:
        """Whether there is anything to count."""
        return bool(self._counters)

    def counters(self) -> Sequence[Counter]:
        """The limits that count rows."""
        return self._counters

    def holds(self, account: Account) -> bool:
        """Whether calls are held to an account, or another limit names its value."""
        return account.part not in self._beaten.get(account.limit, ())

    def is_leased(self, account: Account) -> bool:
        """Whether calls have to hold something of an account."""
        return self.limits[account.limit].action in ENFORCED and self.holds(account)

    def of(self, rows: Iterable[CallRecord]) -> dict[tuple[Account, str], int]:
        """What rows count, by account and by the instance whose lease they come off, if any."""
        found: defaultdict[tuple[Account, str], int] = defaultdict(int)
        for row in rows:
            whose = whose_of(row)
            for counter in self._counters:
                amount = amount_of(counter.limit.unit, row)
                if amount:
                    owner = row.instance if counter.limit.id <= row.limits else ""
                    for account in counter.accounts(whose, row.ts):
                        found[account, owner] += amount
        return found


class Counter:
    """One limit that counts rows, those from ``begins`` on (Unix seconds)."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self._last = window_of(limit.window, limit.zone, limit.created)
        self.begins = self._last[0]

    def accounts(self, whose: Whose, ts: float) -> Iterator[Account]:
        """The accounts that a row of some moment counts in."""
        if not self.begins <= ts < LATEST:
            return
        parts = self.limit.parts(whose)
        if parts:
            start, _ = self.window(ts)
            for part in parts:
                yield Account(self.limit.id, part, start)

    def window(self, ts: float) -> tuple[float, float]:
        """The window [start, end) that a moment lies in: mostly the same as that of the last."""
        last = self._last  # other threads may set it meanwhile
        if not last[0] <= ts < last[1]:
            self._last = last = window_of(self.limit.window, self.limit.zone, ts)
        return last


def same_counting(one: Limit, other: Limit) -> bool:
    """Whether two limits count the same rows in the same accounts."""
    return one.id == other.id and _counting(one) == _counting(other)


def totals(amounts: Mapping[tuple[Account, str], int]) -> dict[Account, int]:
    """The same by account alone."""
    found: defaultdict[Account, int] = defaultdict(int)
    for (account, _), amount in amounts.items():
        found[account] += amount
    return found


def differences(
    have: Mapping[Account, int], should: Mapping[Account, int]
) -> dict[Account, tuple[int, int]]:
    """The accounts whose counter is not what it should be, with both."""
    pairs = {one: (have.get(one, 0), should.get(one, 0)) for one in sorted({*have, *should})}
    return {account: (has, right) for account, (has, right) in pairs.items() if has != right}


def _counting(limit: Limit) -> tuple[object, ...]:
    zone = "" if limit.window in TIMELESS else limit.zone
    begins, _ = window_of(limit.window, limit.zone, limit.created)
    return limit.unit, limit.window, zone, frozenset(limit.where), begins
