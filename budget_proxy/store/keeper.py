"""What one process holds of limits, kept: renewed, given back when idle, told to others.

A daemon thread of its own, since the one that writes rows must not wait for it nor they for it.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Final, Protocol

from budget_proxy.errors import StoreError
from budget_proxy.ledger.accounts import Account, Grant, Open
from budget_proxy.ledger.limits import Limit
from budget_proxy.store.backlog import OnFault
from budget_proxy.store.base import Store
from budget_proxy.types import CallRecord

TTL: Final = 60.0
"""Seconds that a lease holds; one that is killed holds what it has for that long."""

EVERY: Final = 1.0
"""Seconds between two looks."""

_RENEWALS: Final = 3
"""Leases are renewed so many times while they hold: two may fail."""


class Holder(Protocol):
    """A process's Ledger, as its keeper asks it from another thread. Nothing may raise."""

    def adopt(self, limits: Sequence[Limit]) -> None:
        """Put other limits into force."""

    def trust(self, until: float) -> None:
        """Use what was leased until then (Unix seconds); after it ask the store first."""

    def unwritten(self) -> Sequence[CallRecord]:
        """Rows that still wait to be written."""

    def lost(self, unwritten: Sequence[CallRecord]) -> None:
        """Note that leases are void: of every account others may have been given them.

        ``unwritten`` were not written before that, so that they come off what is left of them.
        """

    def idle(self, now: float) -> Mapping[Account, int]:
        """Take out what is not needed any more, to be given back; ``inf``: no call will come."""

    def open(self) -> Mapping[Account, Open]:
        """What open calls hold."""

    def expire(self, now: float) -> Mapping[int, int]:
        """Let go what nobody settled within its time; by limits' ids, how many since last asked."""


class Keeper:
    """Keeps what ``owner()`` holds of the limits in ``store``, for ``holder``.

    While there are no limits, a look is one cheap question. ``on_fault(stage, error)`` is told
    what went wrong; what could not be given back is tried again. A forked child starts without
    a thread, as an owner of its own: its first ``lease`` starts one, as ``start`` does.
    """

    _thread: threading.Thread | None
    _stop: threading.Event
    _looking: threading.Lock
    _version: int
    _limited: bool
    _renewed: float
    _trusted: float
    _told: dict[Account, Open]
    _owed: Counter[Account]
    _expired: Counter[int]

    def __init__(
        self,
        store: Store,
        holder: Holder,
        *,
        owner: Callable[[], str],
        on_fault: OnFault,
        ttl: float = TTL,
        every: float = EVERY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._holder = holder
        self._owner = owner
        self._on_fault = on_fault
        self._ttl = ttl
        self._every = every
        self._clock = clock
        self._closed = False
        self._begin_process()
        _keepers.add(self)

    def start(self) -> None:
        """Look from now on, also if an error had ended that; costs nothing where it goes on."""
        if (self._thread is None or not self._thread.is_alive()) and not self._closed:
            thread = threading.Thread(target=self._run, name="budget-proxy-keeper", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter is ending
                self._thread = None
                self._on_fault("limits", error)
            else:
                _close_when_a_worker_ends()

    def lease(self, wanted: Mapping[Account, int]) -> dict[Account, Grant]:
        """Hold so much more of each account (``Store.lease``). Blocking. Raises StoreError.

        Where this process has slept past the end of its leases, it is told first if they are void:
        what it is granted now is not.
        """
        if self._clock() >= self._trusted:
            with self._looking:
                if self._clock() >= self._trusted:
                    self._renew()
        grants = self._store.lease(self._owner(), wanted, self._clock(), self._ttl)
        returning = {
            account: wanted[account]
            for account, one in grants.items()
            if not one.amount and account in self._owed
        }
        if returning:  # what is being given back is there in a moment, and we are who holds it
            with self._looking:
                grants |= self._store.lease(self._owner(), returning, self._clock(), self._ttl)
        self.start()
        return grants

    def look(self) -> None:
        """See to everything once; a store that fails is reported."""
        with self._looking:
            try:
                self._see_to_limits()
                if self._limited:
                    self._see_to_leases()
            except StoreError as error:
                self._on_fault("limits", error)

    def close(self, timeout: float = 2.0) -> None:
        """Stop, and give back what nobody needs: others need not wait for its time to be over."""
        self._closed = True
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        with self._looking:
            if self._limited:
                try:
                    self._expired.update(dict(self._holder.expire(self._clock())))
                    self._give_back(inf)
                    self._tell_expired()
                except StoreError as error:
                    self._on_fault("limits", error)

    def _run(self) -> None:
        stop = self._stop
        self.look()
        while not stop.wait(self._every):
            self.look()

    def _see_to_limits(self) -> None:
        version = self._store.limits_version()
        if version == self._version:
            return
        limits = self._store.limits()  # or newer ones: they are read again then
        self._version, self._limited = version, bool(limits)
        self._holder.adopt(limits)

    def _see_to_leases(self) -> None:
        now = self._clock()
        self._expired.update(dict(self._holder.expire(now)))
        if not self._renewed <= now < self._renewed + self._ttl / _RENEWALS:
            self._renew()
        self._give_back(now)
        open_ = dict(self._holder.open())
        if open_ != self._told:
            self._store.tell_open(self._owner(), open_)
            self._told = open_
        self._tell_expired()

    def _tell_expired(self) -> None:
        """Note how much was let go, and what could not be noted before."""
        if self._expired:
            self._store.note_expired(dict(self._expired))
            self._expired.clear()

    def _renew(self) -> None:
        """Hold on to what is leased, or tell that it is void."""
        now, unwritten = self._clock(), self._holder.unwritten()
        try:
            if not self._store.renew(self._owner(), now, self._ttl):
                self._holder.lost(unwritten)
                self._owed.clear()
            self._renewed = now
            self._trusted = now + self._ttl
        finally:  # who is awake goes on: a store that fails gives to nobody else either
            self._holder.trust(now + self._ttl)

    def _give_back(self, now: float) -> None:
        """Give back what is idle (by ``inf`` all is), and what could not be given back before."""
        self._owed.update(dict(self._holder.idle(now)))
        if self._owed:
            self._store.give_back(self._owner(), dict(self._owed))
            self._owed.clear()

    def _begin_process(self) -> None:
        """What is this process's own: a thread, and what it has seen and told."""
        self._thread = None
        self._stop = threading.Event()
        self._looking = threading.Lock()
        self._version = 0
        self._limited = False
        self._renewed = -self._ttl
        self._trusted = inf
        self._told = {}
        self._owed = Counter()
        self._expired = Counter()


_keepers: weakref.WeakSet[Keeper] = weakref.WeakSet()


def close_all() -> None:
    """Close every keeper of this process."""
    for keeper in list(_keepers):
        keeper.close()


def _begin_all() -> None:
    for keeper in list(_keepers):
        keeper._begin_process()  # noqa: SLF001 (the module's own class)


def _close_when_a_worker_ends() -> None:
    """Have multiprocessing close the keepers of its forked workers, which it ends without atexit.

    After their rows are written: then what those used is not held any more.
    """
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        sys.modules["multiprocessing.util"].Finalize(None, close_all, exitpriority=-1)


atexit.register(close_all)
with suppress(AttributeError):  # Windows has no fork
    os.register_at_fork(after_in_child=_begin_all)
