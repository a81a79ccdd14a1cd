"""Calls that are under way elsewhere, until somebody tells how they ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from budget_proxy.transport.steps import Steps

_MOST: Final = 4096
_SECONDS: Final = 3600.0
"""Longer than any call takes."""


class Opened:
    """Open trips by an id. Never more than ``most``, and none for longer than ``seconds``.

    One that falls out settles as cancelled. Safe to use from several threads.
    """

    def __init__(
        self,
        most: int = _MOST,
        seconds: float = _SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._trips: dict[Any, tuple[float, Steps]] = {}

    def __len__(self) -> int:
        return len(self._trips)

    def put(self, identifier: Any, trip: Any) -> None:
        """Keep a trip; an earlier one under the same id has ended unseen."""
        with self._lock:
            lost = [self._trips.pop(identifier, None)]
            self._trips[identifier] = (self._clock(), trip)
            while len(self._trips) > self._most or self._oldest_is_stale():
                lost.append(self._trips.pop(next(iter(self._trips))))
        for entry in lost:
            if entry is not None:
                entry[1].close()

    def take(self, identifier: Any) -> Any:
        """The trip of an id, which is from now on the caller's to end; ``None`` if unknown."""
        with self._lock:
            entry = self._trips.pop(identifier, None)
        return None if entry is None else entry[1]

    def close(self) -> None:
        """Close all trips."""
        with self._lock:
            lost, self._trips = list(self._trips.values()), {}
        for _, trip in lost:
            trip.close()

    def _oldest_is_stale(self) -> bool:
        since, _ = next(iter(self._trips.values()))
        return self._clock() - since > self._seconds
