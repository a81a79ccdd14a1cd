"""A line of threads, each of which has its turn: in order, and who is urgent before others."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """Who may go on, of threads that would only be in each other's way.

    ``threading.Lock`` lets in whoever comes by first: of many that come again at once, one may
    wait for long. Here a turn is handed on to the one who is first in line. Who is urgent has a
    line of his own, from which every other turn goes: he seldom waits for more than two, and the
    others go on too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._urgent: deque[threading.Lock] = deque()
        self._others: deque[threading.Lock] = deque()
        self._taken = False
        self._was_urgent = False

    def enter(self, timeout: float, *, urgent: bool = False) -> bool:
        """Wait for a turn; false if that took longer than ``timeout`` seconds."""
        line = self._urgent if urgent else self._others
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            place = threading.Lock()
            place.acquire()
            line.append(place)
        mine = waited = False
        try:
            mine = place.acquire(timeout=timeout)
            waited = True
        finally:
            if not mine and self._was_called(place, line):
                mine = True
                if not waited:  # a signal's handler raised: nobody is here to take it
                    self.leave()
        return mine

    def leave(self) -> None:
        """Hand the turn on."""
        with self._lock:
            self._was_urgent = bool(self._urgent) and not (self._was_urgent and self._others)
            line = self._urgent if self._was_urgent else self._others
            self._taken = bool(line)
            if line:
                line.popleft().release()

    def _was_called(self, place: threading.Lock, line: deque[threading.Lock]) -> bool:
        """Leave the line; whether the turn came at that very moment."""
        with self._lock:
            if place not in line:
                return True
            line.remove(place)
            return False
