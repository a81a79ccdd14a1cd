"""A thread beside a server that keeps alerts up to date and delivers them.

Of several processes on one history each may have one; the store sees to it that nothing is
raised or sent twice. No call waits for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from budget_proxy.analytics.delivery import Format, Post, deliver, log
from budget_proxy.analytics.following import Follower
from budget_proxy.analytics.gauges import Gauges, Refusing
from budget_proxy.errors import StoreError
from budget_proxy.store.base import Store

EVERY: Final = 5.0
"""Seconds between two looks."""


class Watcher:
    """Watches ``store`` until it is closed, every EVERY seconds unless other ones are given.

    ``on_fault(stage, error)`` is told what went wrong; ``refusing(now)`` tells for which accounts
    of limits this process has refused calls of late.
    """

    def __init__(
        self,
        store: Store,
        *,
        on_fault: Callable[[str, Exception], None],
        post: Post | None = None,
        form: Format = "generic",
        every: float | None = None,
        refusing: Refusing = lambda _: (),
    ) -> None:
        self._store = store
        self._on_fault = on_fault
        self._post = post
        self._form: Format = form
        self._every = EVERY if every is None else every
        self._stop = threading.Event()
        self._follower = Follower(store, gentle=True)
        self._gauges = Gauges(store, self._follower, refusing)
        self._thread = threading.Thread(target=self._run, name="budget-proxy-alerts", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """Stop; what is being delivered when ``timeout`` seconds are over is sent again later."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def look(self) -> None:
        """Catch up once and deliver what is due; a store that fails is reported."""
        try:
            log(self._follower.catch_up(time.time()).notices)
            log(self._gauges.look(time.time()))
            if self._post is not None and not self._stop.is_set():
                deliver(self._store, self._post, self._form, time.time)
        except StoreError as error:
            self._on_fault("alerts", error)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self.look()
