"""Limits in memory: the same as store/limiting, counting and leasing keep in SQLite.

No locks but Reckoned's.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.accounts import Account, Balance, Grant, Open, granted
from budget_proxy.ledger.limits import Limit
from budget_proxy.ledger.windows import window_of
from budget_proxy.store.base import Complete
from budget_proxy.store.tally import (
    FORGOTTEN,
    LONG_OVER,
    ORPHANED,
    OVER,
    Tally,
    differences,
    same_counting,
    totals,
)
from budget_proxy.types import CallRecord

_NO_CALLS: Final = Open(0, 0, 0)
_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Lease:
    amount: int = 0
    open: Open = _NO_CALLS


@dataclass(slots=True)
class _Lessee:
    expires: float
    void: bool = False


class Reckoning:
    """Limits, their counters, and who holds what of them."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.used: defaultdict[Account, int] = defaultdict(int)
        self.folded: defaultdict[Account, int] = defaultdict(int)
        self.expired: Counter[int] = Counter()
        self._leases: defaultdict[Account, dict[str, _Lease]] = defaultdict(dict)
        self._lessees: dict[str, _Lessee] = {}
        self._last = 0

    def counts(self) -> dict[str, int]:
        """How much of each there is."""
        return {
            "limits": len(self.tally.limits),
            "accounts": len({*self.used, *self.folded}),
            "leases": sum(map(len, self._leases.values())),
            "lessees": len(self._lessees),
        }

    def save(self, limit: Limit, rows: Iterable[CallRecord]) -> int:
        """Put a limit into force, in place of that with its id, unless that is 0."""
        before = self.tally.limits.get(limit.id)
        if limit.id and before is None:
            raise InvalidInput(f"there is no limit {limit.id} to change")
        if not limit.id:
            self._last += 1
            limit = replace(limit, id=self._last)
        self._enforce({**self.tally.limits, limit.id: limit})
        if before is None or not same_counting(before, limit):
            self._forget(limit.id)
            self._use(totals(Tally([limit]).of(rows)))
        return limit.id

    def remove(self, id_: int) -> bool:
        """Take a limit out of force; false if there is none."""
        if id_ not in self.tally.limits:
            return False
        self._enforce({key: one for key, one in self.tally.limits.items() if key != id_})
        self._forget(id_)
        del self.expired[id_]
        return True

    def add(self, written: Sequence[CallRecord]) -> None:
        """Count rows that are written; their instances hold so much less from now on."""
        amounts = self.tally.of(written) if self.tally else {}
        self._use(totals(amounts))
        for (account, owner), amount in amounts.items():
            if owner and self.tally.is_leased(account):
                self._leases[account].setdefault(owner, _Lease())
            lease = self._leases.get(account, {}).get(owner)
            if lease is not None:
                lease.amount -= amount

    def change(self, old: CallRecord, new: CallRecord) -> None:
        """Count a row in place of another."""
        self._use(totals(self.tally.of([new])))
        self._use(totals(self.tally.of([old])), -1)

    def fold(self, going: Iterable[CallRecord]) -> None:
        """Remember what rows count that are about to go."""
        if self.tally:
            for account, amount in totals(self.tally.of(going)).items():
                self.folded[account] += amount

    def inherit(self, limit: int, part: str, heir: int) -> None:
        """Have a limit without parts count what folded rows counted in a part of another."""
        for account, amount in list(self.folded.items()):
            if (account.limit, account.part) == (limit, part):
                self.used[Account(heir, "", account.start)] += amount
                self.folded[Account(heir, "", account.start)] += amount

    def counters(self, now: float) -> dict[Account, int]:
        """The counters of the windows that a time lies in."""
        return self._current(self.used, now)

    def counted(self, rows: Iterable[CallRecord], now: float) -> dict[Account, int]:
        """The same counted anew."""
        found = defaultdict(int, self.folded)
        for account, amount in totals(self.tally.of(rows)).items():
            found[account] += amount
        return {account: n for account, n in self._current(found, now).items() if n}

    def recount(self, rows: Iterable[CallRecord], now: float) -> int:
        """Make those counters what ``counted`` says."""
        wrong = differences(self.counters(now), self.counted(rows, now))
        self._use({account: right - has for account, (has, right) in wrong.items()})
        return len(wrong)

    def lease(
        self, owner: str, wanted: Mapping[Account, int], now: float, ttl: float
    ) -> dict[Account, Grant]:
        """Hold so much more of each account, where that is left."""
        self._hold_on(owner, now, ttl)
        owners = sum(lessee.expires > now for lessee in self._lessees.values())
        grants = {}
        for account, amount in wanted.items():
            limit = self.tally.limits.get(account.limit)
            if limit is not None:
                has, used, others = self._state(account, owner, now)
                given = granted(amount, limit.amount - used - others - has, has, owners)
                if given:
                    self._leases[account].setdefault(owner, _Lease()).amount += given
                grants[account] = Grant(given, used, others + max(has + given, 0))
        return grants

    def give_back(self, owner: str, amounts: Mapping[Account, int]) -> None:
        """Hold so much less of each account; a lease of nothing goes."""
        for account, amount in amounts.items():
            lease = self._leases.get(account, {}).get(owner)
            if lease is not None:
                lease.amount -= amount
                if not (lease.amount or lease.open.calls):
                    del self._leases[account][owner]

    def renew(self, owner: str, now: float, ttl: float) -> bool:
        """Hold on to all of an owner's leases; false where they were void by then."""
        self._hold_on(owner, now, ttl)
        lessee = self._lessees[owner]
        void, lessee.void = lessee.void, False
        self._tidy(now)
        return not void

    def tell_open(self, owner: str, open_: Mapping[Account, Open]) -> None:
        """Say which calls an owner has under way."""
        for leases in self._leases.values():
            if owner in leases:
                leases[owner].open = _NO_CALLS
        for account, calls in open_.items():
            self._leases[account].setdefault(owner, _Lease()).open = calls
        for leases in self._leases.values():
            if owner in leases and not (leases[owner].amount or leases[owner].open.calls):
                del leases[owner]

    def balances(self, now: float) -> list[Balance]:
        """The accounts that calls are held to, in the windows that a time lies in."""
        held = {one for one in self._current(self._leases, now) if self._living(one, now)}
        accounts = {*self.counters(now), *held}
        for limit in self.tally.limits.values():
            if not limit.by:
                start, _ = window_of(limit.window, limit.zone, now)
                accounts.add(Account(limit.id, "", start))
        return [self._balance(one, now) for one in sorted(filter(self.tally.holds, accounts))]

    def _balance(self, account: Account, now: float) -> Balance:
        leases = [lease for _, lease in self._living(account, now)]
        return Balance(
            account,
            self.used.get(account, 0),
            sum(max(lease.amount, 0) for lease in leases),
            sum(lease.amount > 0 for lease in leases),
            sum(lease.open.calls for lease in leases),
            sum(lease.open.reserved for lease in leases),
            sum(lease.open.worst for lease in leases),
        )

    def _living(self, account: Account, now: float) -> list[tuple[str, _Lease]]:
        living = {name for name, lessee in self._lessees.items() if lessee.expires > now}
        return [pair for pair in self._leases.get(account, {}).items() if pair[0] in living]

    def _state(self, account: Account, owner: str, now: float) -> tuple[int, int, int]:
        lease = self._leases.get(account, {}).get(owner, _Lease())
        others = sum(
            max(other.amount, 0) for name, other in self._living(account, now) if name != owner
        )
        return lease.amount, self.used.get(account, 0), others

    def _hold_on(self, owner: str, now: float, ttl: float) -> None:
        for lessee in self._lessees.values():
            lessee.expires = min(lessee.expires, now + ttl)
        known = self._lessees.setdefault(owner, _Lessee(now + ttl))
        if known.expires <= now and not self._is_still_there(owner, now):
            known.void = True
            for leases in self._leases.values():
                if owner in leases:
                    leases[owner].amount = min(leases[owner].amount, 0)
        known.expires = now + ttl

    def _is_still_there(self, owner: str, now: float) -> bool:
        for account in list(self._leases):
            limit = self.tally.limits.get(account.limit)
            has, used, others = self._state(account, owner, now)
            if has > 0 and limit is not None and has > limit.amount - used - others:
                return False
        return True

    def _tidy(self, now: float) -> None:
        for name, lessee in list(self._lessees.items()):
            if lessee.expires < now - ORPHANED:
                lessee.void = True
                for leases in self._leases.values():
                    if name in leases and leases[name].amount >= 0:
                        del leases[name]
            if lessee.expires < now - FORGOTTEN:
                del self._lessees[name]
                for leases in self._leases.values():
                    leases.pop(name, None)
        self._let_old_windows_go(now)

    def _let_old_windows_go(self, now: float) -> None:
        for limit in self.tally.limits.values():
            over, _ = window_of(limit.window, limit.zone, now - OVER)
            long_over = now - LONG_OVER.get(limit.window, now)
            for account in [one for one in self._leases if one.limit == limit.id]:
                if account.start < over or not self._leases[account]:
                    del self._leases[account]
            for counters in (self.used, self.folded):
                for account in [one for one in counters if one.limit == limit.id]:
                    if account.start < long_over:
                        del counters[account]

    def _enforce(self, limits: Mapping[int, Limit]) -> None:
        self.tally = Tally(limits.values(), self.tally.version + 1)

    def _forget(self, id_: int) -> None:
        for table in (self.used, self.folded, self._leases):
            for account in [one for one in table if one.limit == id_]:
                del table[account]

    def _use(self, amounts: Mapping[Account, int], sign: int = 1) -> None:
        for account, amount in amounts.items():
            self.used[account] += sign * amount

    def _current(self, of: Mapping[Account, _Value], now: float) -> dict[Account, _Value]:
        starts = {
            limit.id: window_of(limit.window, limit.zone, now)[0]
            for limit in self.tally.limits.values()
        }
        return {one: value for one, value in of.items() if starts.get(one.limit) == one.start}


class Reckoned:
    """The part of a store in memory that knows limits."""

    _lock: threading.Lock
    _rows: deque[CallRecord]
    _reckoning: Reckoning

    def limits(self) -> list[Limit]:
        """Give the limits in force, by id."""
        with self._lock:
            return list(self._reckoning.tally.limits.values())

    def limits_version(self) -> int:
        """Give a number that grows with every change of the limits."""
        return self._reckoning.tally.version

    def save_limit(self, limit: Limit) -> int:
        """Put a limit into force, in place of that with its id, unless that is 0; its id.

        Raises InvalidInput where there is none to replace.
        """
        with self._lock:
            return self._reckoning.save(limit, self._rows)

    def remove_limit(self, id_: int) -> bool:
        """Take a limit out of force; false if there is none."""
        with self._lock:
            return self._reckoning.remove(id_)

    def charge(self, charge: Complete, start: float = 0.0) -> int:
        """Have rows from ``start`` on that have no price charged; how many those were."""
        number = 0
        with self._lock:
            for index in range(len(self._rows)):
                row = self._rows[index]
                if row.ts >= start and row.charged is None and row.cost is None:
                    number += 1
                    self._rows[index] = charged = replace(row, charged=charge(row).charged)
                    self._reckoning.change(row, charged)
        return number

    def lease(
        self, owner: str, wanted: Mapping[Account, int], now: float, ttl: float
    ) -> dict[Account, Grant]:
        """Hold so much more of each account for ``owner``, for ``ttl`` seconds."""
        with self._lock:
            return self._reckoning.lease(owner, wanted, now, ttl)

    def give_back(self, owner: str, amounts: Mapping[Account, int]) -> None:
        """Hold so much less of each account."""
        with self._lock:
            self._reckoning.give_back(owner, amounts)

    def renew(self, owner: str, now: float, ttl: float) -> bool:
        """Hold on to all of an owner's leases; false where they were void by then."""
        with self._lock:
            return self._reckoning.renew(owner, now, ttl)

    def tell_open(self, owner: str, open_: Mapping[Account, Open]) -> None:
        """Say which calls an owner has under way, in place of what it said before."""
        with self._lock:
            self._reckoning.tell_open(owner, open_)

    def note_expired(self, numbers: Mapping[int, int]) -> None:
        """Note how many calls more nobody settled in time, by the ids of limits they held to."""
        with self._lock:
            known = self._reckoning.tally.limits
            self._reckoning.expired.update({i: n for i, n in numbers.items() if i in known})

    def expired(self) -> dict[int, int]:
        """How many those are since each limit was made, by its id; zeros left out."""
        with self._lock:
            return dict(self._reckoning.expired)

    def balances(self, now: float) -> list[Balance]:
        """Give the accounts that calls are held to, in the windows that a time lies in."""
        with self._lock:
            return self._reckoning.balances(now)

    def counted(self, now: float) -> dict[Account, int]:
        """Count the rows of the history anew, and what folded ones counted."""
        with self._lock:
            return self._reckoning.counted(self._rows, now)

    def miscounted(self, now: float) -> dict[Account, tuple[int, int]]:
        """Give the accounts whose counter is not what ``counted`` says, with both."""
        with self._lock:
            return differences(
                self._reckoning.counters(now), self._reckoning.counted(self._rows, now)
            )

    def recount(self, now: float) -> int:
        """Make those accounts what ``counted`` says; how many changed."""
        with self._lock:
            return self._reckoning.recount(self._rows, now)
