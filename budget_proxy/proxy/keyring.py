"""Who is let in: the virtual keys in memory, and what a request has to bring where there are any.

A call costs no look at the history. A thread asks it twice a second what has changed; and before
a request is turned away it is asked once more, since the key may have been made, or its secret
replaced, by another process just now. Those who are to be turned away share one look, and there
are ten of them a second at most: made-up keys cannot keep the disk busy.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from budget_proxy.errors import StoreError
from budget_proxy.proxy.headers import Headers
from budget_proxy.proxy.hosts import is_foreign
from budget_proxy.store.base import Store
from budget_proxy.store.keys import PREFIX, STRANGER, Kept, VirtualKey, parts_of
from budget_proxy.wire.provider import credentials_of

EVERY: Final = 0.5
"""Seconds between two looks at what has changed."""
APART: Final = 0.1
"""Seconds between two looks, at least, for those who would be turned away."""

_NO_KEY: Final = (
    "budget-proxy needs a virtual key here: send the one that you were given (bk_...) where the "
    "client takes its API key, in Authorization: Bearer, x-api-key or api-key"
)
_NOT_HERE: Final = (
    "budget-proxy has no virtual keys, so it answers this machine alone: make one where it runs, "
    "with `budget-proxy keys create --name NAME`"
)
_SEVERAL: Final = (
    "budget-proxy: this request brings several API keys that differ, in Authorization, x-api-key "
    "or api-key: send the virtual key alone"
)
_WRONG: Final = (
    "budget-proxy does not know this virtual key, or it is in force no more: ask whoever runs the "
    "proxy for another"
)
_log = logging.getLogger("budget_proxy")


class Unauthorised(Exception):
    """A request is not let in; the message tells why without telling what keys there are."""


class Keyring:
    """The keys of a history. Loads them when it is made. Raises StoreError then, never later.

    ``on_fault(stage, error)`` is told when the history cannot be read: what was known then goes on
    to hold.
    """

    def __init__(
        self, store: Store, *, now: Callable[[], float], on_fault: Callable[[str, Exception], None]
    ) -> None:
        self._store = store
        self._now = now
        self._on_fault = on_fault
        self._keys: dict[str, Kept] = {}
        self._version = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="budget-proxy-keys", daemon=True)
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._looked = -APART
        self._learn(store.keys_since())

    @property
    def required(self) -> bool:
        """Whether requests need a key: as soon as one was ever made, be it in force or not."""
        return bool(self._keys)

    def start(self) -> None:
        """Begin to follow what other processes change."""
        self._thread.start()

    def close(self) -> None:
        """Follow no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    async def admit(self, headers: Headers, address: str | None) -> VirtualKey | None:
        """The key that a request brings; ``None`` where none is needed. Raises Unauthorised.

        None is needed where there are none, and the ``address`` that it came in on is this
        machine's alone, however it comes that somebody listens on another. What looks like a
        virtual key is held to be one all the same: it is not to be sent to a provider.
        """
        given = credentials_of(headers)
        if not self.required and not any(text.startswith(PREFIX) for text in given):
            if is_foreign(address):
                raise Unauthorised(_NOT_HERE)
            return None
        if len(given) > 1:
            raise Unauthorised(_SEVERAL)
        token = next(iter(given), "")
        if not token.startswith(PREFIX):
            raise Unauthorised(_NO_KEY)
        found = self._opened(token)
        if found is None:
            await self._look_again()
            found = self._opened(token)
        if found is None:
            raise Unauthorised(_WRONG)
        return found

    def look(self) -> None:
        """Ask the history what has changed. Blocking."""
        with self._lock:
            try:
                changed = self._store.keys_since(self._version)
            except StoreError as error:
                self._on_fault("keys", error)
                return
            if changed and not self._keys:
                _log.warning("the first virtual key was made: every request needs one from now on")
            self._learn(changed)

    def _learn(self, changed: list[Kept]) -> None:
        if changed:
            self._keys = {**self._keys, **{kept.key.id: kept for kept in changed}}
            self._version = changed[-1].version

    def _opened(self, token: str) -> VirtualKey | None:
        """The key, if its secret is this one. Of ids that nobody knows it takes the same steps."""
        id_, secret = parts_of(token)
        kept = self._keys.get(id_, STRANGER)
        return kept.key if kept.admits(secret, self._now()) else None

    async def _look_again(self) -> None:
        """Wait for a look that begins after now."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._take_turn())
        await asyncio.shield(self._next)

    async def _take_turn(self) -> None:
        async with self._turn:
            await asyncio.sleep(self._looked + APART - time.monotonic())
            self._next = None  # who comes from here on waits for the look after this one
            self._looked = time.monotonic()
            await asyncio.to_thread(self.look)

    def _run(self) -> None:
        while not self._stop.wait(EVERY):
            self.look()
