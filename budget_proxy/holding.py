"""This process's part of the limits: the ledger in memory, and the keeper of its leases.

The ledger belongs to the engine's lock; the keeper comes from a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from budget_proxy.errors import StoreError
from budget_proxy.ledger.accounts import Account, Grant, Open
from budget_proxy.ledger.ledger import Ledger, Shortage
from budget_proxy.ledger.limits import Limit
from budget_proxy.store.backlog import OnFault
from budget_proxy.store.base import Store
from budget_proxy.store.keeper import Keeper
from budget_proxy.store.recorder import Recorder
from budget_proxy.types import CallRecord


class Holding:
    """A ledger that is kept up with a store.

    ``locked()`` gives the lock that guards the ledger; ``recorder`` writes this process's rows
    under its name. Limits that are in force already hold from the first call on.
    ``on_limited`` is told when some come into force that calls reserve of: what a call may cost
    is then asked before it is sent.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        recorder: Recorder,
        *,
        locked: Callable[[], AbstractContextManager[Any]],
        on_fault: OnFault,
        on_limited: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._locked = locked
        self._on_limited = on_limited
        self._on_fault = on_fault
        self._recorder = recorder
        self._keeper = Keeper(store, self, owner=lambda: recorder.instance, on_fault=on_fault)
        self._keeper.look()
        self._keeper.start()

    def start(self) -> None:
        """Keep up from now on; in a forked child anew. Costs nothing where that is so already."""
        self._keeper.start()

    def lease(self, asked: Shortage) -> Mapping[Account, Grant]:
        """What the store grants of what is missing; nothing where it cannot be asked. Blocking.

        It is this process's from then on, whether or not anybody still waits for it.
        """
        try:
            granted = self._keeper.lease(asked.wanted)
        except StoreError as error:
            self._on_fault("limits", error)
            return {}
        with self._locked():
            self._ledger.grant(granted)
        return granted

    def begin_child(self) -> None:
        """In a forked child: what its parent holds is the parent's."""
        self._ledger.begin_process()

    def close(self) -> None:
        """Give back all that no open call holds. The store is to be open still."""
        self._keeper.close()

    def adopt(self, limits: Sequence[Limit]) -> None:
        """Put other limits into force."""
        with self._locked():
            self._ledger.adopt(limits)
        if self._ledger:
            self._on_limited()

    def trust(self, until: float) -> None:
        """Use what was leased until then."""
        with self._locked():
            self._ledger.trusted = until

    def unwritten(self) -> Sequence[CallRecord]:
        """Rows of this process that still wait to be written."""
        return self._recorder.waiting()

    def lost(self, unwritten: Sequence[CallRecord]) -> None:
        """Note that leases are void, of which so many rows were still to be taken off."""
        with self._locked():
            self._ledger.lost(unwritten)

    def idle(self, now: float) -> Mapping[Account, int]:
        """Take out what is not needed any more."""
        with self._locked():
            return self._ledger.idle(now)

    def open(self) -> Mapping[Account, Open]:
        """What open calls hold."""
        with self._locked():
            return self._ledger.open()

    def expire(self, now: float) -> Mapping[int, int]:
        """Let go what nobody settled within its time; by limits' ids, how many since last asked."""
        with self._locked():
            self._ledger.expire(now)
            return self._ledger.expired()
