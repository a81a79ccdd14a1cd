"""Calls that are under way elsewhere, until somebody tells how they ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from budget_proxy.transport.steps import Steps

_MOST: Final = 4096
_SECONDS: Final = 3600.0
"""Longer than any call takes."""
_BYTES: Final = 64 * 1024 * 1024


class _Entry(NamedTuple):
    since: float
    trip: Steps
    size: int


class Opened:
    """Open trips by an id. Never more than ``most``, and none for longer than ``seconds``.

    Their sizes are never more than ``room`` bytes in sum, unless the newest alone is. The oldest
    fall out and settle as cancelled; age is looked at whenever a trip is put or taken. Safe to
    use from several threads.
    """

    def __init__(
        self,
        most: int = _MOST,
        seconds: float = _SECONDS,
        room: int = _BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._room = room
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._trips: dict[Any, _Entry] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._trips)

    def put(self, identifier: Any, trip: Any, size: int) -> None:
        """Keep a trip, whose request has ``size`` bytes.

        An earlier one under the same id has ended unseen.
        """
        with self._lock:
            lost = self._pop(identifier)
            self._trips[identifier] = _Entry(self._clock(), trip, size)
            self._size += size
            lost += self._fallen()
        _close(lost)

    def take(self, identifier: Any) -> Any:
        """The trip of an id, which is from now on the caller's to end; ``None`` if unknown."""
        with self._lock:
            found = self._pop(identifier)
            lost = self._fallen()
        _close(lost)
        return found[0].trip if found else None

    def close(self) -> None:
        """Close all trips."""
        with self._lock:
            lost, self._trips, self._size = list(self._trips.values()), {}, 0
        _close(lost)

    def _pop(self, identifier: Any) -> list[_Entry]:
        """The entry of an id, or none."""
        popped = [self._trips.pop(identifier)] if identifier in self._trips else []
        self._size -= sum(entry.size for entry in popped)
        return popped

    def _fallen(self) -> list[_Entry]:
        """The oldest, as many as are too many, too large or too old."""
        lost: list[_Entry] = []
        while self._trips and self._is_to_go(oldest := next(iter(self._trips))):
            lost += self._pop(oldest)
        return lost

    def _is_to_go(self, oldest: Any) -> bool:
        kept = len(self._trips)
        crowded = kept > self._most or (kept > 1 and self._size > self._room)
        return crowded or self._clock() - self._trips[oldest].since > self._seconds


def _close(entries: list[_Entry]) -> None:
    for entry in entries:
        entry.trip.close()
