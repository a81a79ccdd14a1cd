"""The ledger: every call reserves before it is sent, and settles after. In memory, no I/O.

A process leases parts of limits from the store, and admits calls against what it leased: per
account it keeps what is ``free`` (leased, and not yet used) and what open calls hold of that.
A grant adds to it and a settled row takes its amount off, which may lead below 0: then the next
call needs so much more. The store takes a row's amount off the lease as it writes the row
(``Store.lease``), of the limits that were in force here as it settled (``newest``), so that both
sides agree without being told. Not thread-safe: the engine's lock guards it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from math import inf
from typing import Final

from budget_proxy.ledger.accounts import Account, Grant, Open
from budget_proxy.ledger.calibration import Calibration
from budget_proxy.ledger.claims import Claim
from budget_proxy.ledger.holds import Holds
from budget_proxy.ledger.limits import (
    ENFORCED,
    Limit,
    Unit,
    Whose,
    amount_of,
    beaten,
    whose_of,
)
from budget_proxy.ledger.refusal import Refusal
from budget_proxy.ledger.tempo import Tempo
from budget_proxy.ledger.windows import window_of
from budget_proxy.types import CallRecord, Ticket, frozen

TTL: Final = 3600.0
"""Seconds after which a reservation that nobody settles is let go."""
_IDLE: Final = 1.0
"""Seconds without a call after which what an account has free is given back."""
_LATELY: Final = 60.0
"""Seconds in which a refusal is remembered."""
_SET_BACK: Final = 60.0
"""Seconds by which one call's time is not behind another's, unless the clock was set back."""
_NONE: Final[frozenset[str]] = frozenset()

Key = tuple[str, int]
"""Call id and attempt."""


@frozen
class Shortage:
    """What is missing of accounts: to be leased from the store before the call may go on."""

    wanted: Mapping[Account, int]


class _State:
    """One account in this process's memory."""

    __slots__ = ("end", "free", "holds", "limit", "refused_at", "used_at")

    def __init__(self, limit: Limit, end: float, calibration: Calibration) -> None:
        self.limit = limit
        self.end = end
        self.free = 0
        # what is passed in flight is soon over; what a window counts is spent
        self.holds = Holds(calibration, trusting=limit.window == "flight")
        self.used_at = 0.0
        self.refused_at = -inf

    @property
    def is_leased(self) -> bool:
        """Whether anything of it is here, so that the store has a lease of it."""
        return self.free != 0 or len(self.holds) > 0


class Ledger:
    """Limits in force, and what this process holds of them."""

    def __init__(self, *, ttl: float = TTL) -> None:
        self.units: frozenset[Unit] = frozenset()
        self.newest = 0
        """The newest limit in force (its id); 0 if there is none."""
        self.process = 0
        """How many forks away this process is from the one that made it."""
        self.tempo = Tempo()
        """How long answers take, learned as calls settle."""
        self.trusted = inf
        """Unix seconds after which what was leased may be others': the store is asked before."""
        self._ttl = ttl
        self._limits: tuple[Limit, ...] = ()
        self._enforced: tuple[Limit, ...] = ()
        self._beaten: Mapping[int, frozenset[str]] = {}
        self._states: dict[Account, _State] = {}
        self._held: dict[Key, tuple[float, tuple[Account, ...]]] = {}
        self._expired: Counter[int] = Counter()
        self._latest = -inf
        self._windows: dict[tuple[str, str], tuple[float, float]] = {}
        self._lines: dict[Account, dict[Key, Future[None]]] = {}
        self._places: dict[Key, Account] = {}
        self._calibrations: dict[int, Calibration] = {}

    def __bool__(self) -> bool:
        """Whether any limit is in force that calls have to reserve of."""
        return bool(self._enforced)

    def adopt(self, limits: Sequence[Limit]) -> None:
        """Put these limits into force. Calls under way keep what they hold, where that is left."""
        self._limits = tuple(limits)
        self._enforced = tuple(limit for limit in limits if limit.action in ENFORCED)
        self._beaten = beaten(self._enforced)
        self.units = frozenset(limit.unit for limit in self._enforced)
        self.newest = max((limit.id for limit in limits), default=0)
        by_id = {limit.id: limit for limit in self._enforced}
        for account in list(self._states):
            limit = by_id.get(account.limit)
            if limit is None:
                del self._states[account]
            elif self._states[account].limit != limit:
                self._states[account].limit = limit
                self._states[account].used_at = -inf  # give back what is free: it may be too much

    def begin_process(self) -> None:
        """Forget what the parent of a forked process holds: it is the parent's."""
        self.process += 1
        self._states.clear()
        self._held.clear()
        self._expired.clear()
        self._lines.clear()
        self._places.clear()

    def grant(self, granted: Mapping[Account, Grant]) -> None:
        """Take what the store granted: also where the call that asked for it is gone by now."""
        limits = {limit.id: limit for limit in self._enforced}
        for account, given in granted.items():
            limit = limits.get(account.limit)
            if limit is not None and given.amount:
                _, end = self._window(limit, account.start)
                self._state(account, limit, end).free += given.amount

    def reserve(
        self,
        claim: Claim,
        granted: Mapping[Account, Grant] | None = None,
        *,
        now: float | None = None,
    ) -> Shortage | Refusal | None:
        """Reserve a claim of every limit that applies, or of none.

        ``now`` is given (in Unix seconds) where the call has waited since it was claimed.

        ``None`` where it is reserved. A Shortage is answered by calling again with what the
        store has ``granted`` (an empty mapping where it could not be asked), after ``grant``: an
        account of which it gave nothing refuses, while one that was not asked for and is short by
        now makes another Shortage. A limit of 0 refuses at once.
        """
        now = claim.now if now is None else now
        if claim.key[1] > 1:  # a later attempt's claim is as old as its call: no clock was set back
            now = max(now, self._latest)
        self.expire(now)
        doubtful = granted is None and now >= self.trusted
        accounts = list(self._accounts(claim.whose, claim.now, counting=False))
        missing: dict[Account, int] = {}
        for account, state in accounts:
            limit = state.limit
            share = claim.shares[limit.unit]
            line = self._lines.get(account)
            if limit.amount == 0 or (line and next(iter(line)) != claim.key):
                return self._refused(claim, account, state)
            state.holds.advance(now)
            free = min(state.free, 0) if doubtful else state.free
            need = state.holds.amount(limit.hold == "worst", share) - free
            if need <= 0:
                continue
            grant = granted.get(account) if granted else None
            if granted == {} or (grant is not None and not grant.amount):
                state.used_at = -inf  # what is too little for this call is for others to use
                return self._refused(claim, account, state, grant, unread=granted == {})
            missing[account] = need
            state.used_at = now
        if missing:  # after a grant only where other calls were faster, of any of its accounts
            return Shortage(missing)
        for _, state in accounts:
            state.holds.add(claim.key, claim.shares[state.limit.unit], now)
            state.used_at = now
        if accounts:
            held = tuple(account for account, _ in accounts)
            self._held[claim.key] = (now + self._ttl, held)
        return None

    def refused(self, refusal: Refusal) -> None:
        """Note that a call was refused for good."""
        state = self._states.get(refusal.account)
        if state is not None:
            state.refused_at = refusal.now

    def refusing(self, now: float, *, within: float = _LATELY) -> list[Account]:
        """The accounts for which a call was refused in the seconds before; for any thread."""
        return [
            account
            for account, state in list(self._states.items())
            if state.refused_at >= now - within
        ]

    def settle(self, key: Key, record: CallRecord) -> None:
        """Let a claim go, and count what its row counts."""
        told = record.exact and record.output_tokens  # an answer that never came tells nothing
        if self._enforced and told and record.seconds is not None and record.n == 1:
            self.tempo.learn(record.model, told, record.seconds)
        for state in self._let_go(key):
            state.holds.settle(key, amount_of(state.limit.unit, record))
        self.count(record)

    def count(self, record: CallRecord) -> None:
        """Count a row of this process that reserved nothing, or no more."""
        for _, state in self._accounts(whose_of(record), record.ts, counting=True):
            if state.limit.window != "flight":
                state.free -= amount_of(state.limit.unit, record)

    def release(self, key: Key) -> None:
        """Let a claim go that was not sent, or of which nobody knows what becomes."""
        for state in self._let_go(key):
            state.holds.remove(key)

    def queue(self, account: Account, key: Key) -> Ticket:
        """Stand in line for an account, at the place that the claim has already if it has one.

        The ticket is done when it is worth trying again. Nobody passes those in line.
        """
        if self._places.get(key) != account:
            self.leave(key)
            self._places[key] = account
        ticket: Future[None] = Future()
        self._lines.setdefault(account, {})[key] = ticket
        return ticket

    def leave(self, key: Key) -> None:
        """Leave the line; the next one may try."""
        account = self._places.pop(key, None)
        if account is None:
            return
        line = self._lines[account]
        del line[key]
        if line:
            self._wake(account)
        else:
            del self._lines[account]

    def expire(self, now: float) -> None:
        """Let go what nobody settled within its time. What it used counts when it settles.

        A clock that was set back makes no reservation longer.
        """
        if now < self._latest - _SET_BACK:
            self._held = {
                key: (min(deadline, now + self._ttl), accounts)
                for key, (deadline, accounts) in self._held.items()
            }
            self._latest = now
        self._latest = max(self._latest, now)
        while self._held:
            key, (deadline, accounts) = next(iter(self._held.items()))  # the oldest comes first
            if deadline > now:
                return
            self._expired.update({account.limit for account in accounts})
            self.release(key)

    def expired(self) -> dict[int, int]:
        """How many calls of each limit, by its id, were so let go since this was last asked."""
        told = dict(self._expired)
        self._expired.clear()
        return told

    def idle(self, now: float) -> dict[Account, int]:
        """What is not needed any more, taken out of here: to be given back to the store.

        Of accounts whose window is over, and of those that no call used for a second, all that
        is free beyond what open calls hold. One of many names of which nothing is left is
        forgotten: a limit for each user is no list of all users.
        """
        given: dict[Account, int] = {}
        for account, state in list(self._states.items()):
            over = now >= state.end
            if not over and now - state.used_at < _IDLE:
                continue
            state.holds.advance(now)
            spare = state.free - state.holds.amount(state.limit.hold == "worst")
            if spare > 0:
                state.free -= spare
                given[account] = spare
            done = state.limit.by and not state.free and state.refused_at < now - _LATELY
            if not len(state.holds) and (over or done):
                del self._states[account]
        return given

    def lost(self, unwritten: Iterable[CallRecord] = ()) -> None:
        """The leases of this process are void: nothing is free any more.

        What rows used that were ``unwritten`` then was taken off here, and is yet to be there.
        """
        owed: Counter[Account] = Counter()
        for row in unwritten:
            for account, state in self._accounts(whose_of(row), row.ts, counting=True):
                if state.limit.window != "flight" and state.limit.id <= (row.limits or 0):
                    owed[account] += amount_of(state.limit.unit, row)
        for account, state in self._states.items():
            state.free = min(state.free + owed[account], 0) - owed[account]

    def open(self) -> dict[Account, Open]:
        """What open calls hold of each account."""
        return {
            account: Open(len(state.holds), state.holds.amount(worst=False), state.holds.worst)
            for account, state in self._states.items()
            if len(state.holds)
        }

    def _let_go(self, key: Key) -> Iterator[_State]:
        """The accounts that a claim is held in; who waits for one of them may try after each."""
        _, accounts = self._held.pop(key, (0.0, ()))
        for account in accounts:
            state = self._states.get(account)
            if state is not None:
                yield state
            self._wake(account)

    def _wake(self, account: Account) -> None:
        line = self._lines.get(account)
        if line:
            first = next(iter(line.values()))
            if not first.done():
                first.set_result(None)

    def _accounts(
        self, whose: Whose, ts: float, *, counting: bool
    ) -> Iterator[tuple[Account, _State]]:
        """The accounts of limits that refuse or degrade, with their state.

        Of those that are beaten nothing is reserved; what was leased of them before is counted.
        """
        for limit in self._enforced:
            parts = limit.parts(whose)
            if not parts:
                continue
            start, end = self._window(limit, ts)
            passed = self._beaten.get(limit.id, _NONE)
            for part in parts:
                account = Account(limit.id, part, start)
                state = self._states.get(account)
                if part in passed and not (counting and state is not None and state.is_leased):
                    continue
                yield account, state or self._state(account, limit, end)

    def _state(self, account: Account, limit: Limit, end: float) -> _State:
        state = self._states.get(account)
        if state is None:
            calibration = self._calibrations.setdefault(limit.id, Calibration())
            state = self._states[account] = _State(limit, end, calibration)
        return state

    def _window(self, limit: Limit, ts: float) -> tuple[float, float]:
        key = (limit.window, limit.zone)
        start, end = self._windows.get(key, (inf, -inf))
        if not start <= ts < end:
            start, end = self._windows[key] = window_of(limit.window, limit.zone, ts)
        return start, end

    def _refused(
        self,
        claim: Claim,
        account: Account,
        state: _State,
        grant: Grant | None = None,
        *,
        unread: bool = False,
    ) -> Refusal:
        share = claim.shares[state.limit.unit]
        asked = share.worst if state.limit.hold == "worst" else share.reserve
        return Refusal(
            limit=state.limit,
            account=account,
            asked=asked,
            used=grant.used if grant else None,
            held=grant.held if grant else None,
            ends=state.end,
            now=claim.now,
            priced=claim.priced or state.limit.unit != "usd",
            unread=unread,
        )
