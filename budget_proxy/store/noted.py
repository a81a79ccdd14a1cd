"""What else a history knows, in memory: its own settings, fits, suggestions that were applied."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace

from budget_proxy.store.applied import Applied
from budget_proxy.store.base import KEPT_FITS
from budget_proxy.types import Fit


class Noted:
    """The part of a store in memory that keeps notes."""

    _lock: threading.Lock
    _meta: dict[str, str]
    _fits: defaultdict[str, list[Fit]]
    _applied: list[Applied]

    def meta(self, name: str, default: str) -> str:
        """Read a setting of this installation; ``default`` is set if it was not there (atomic)."""
        with self._lock:
            return self._meta.setdefault(name, default)

    def save_applied(self, made: Applied) -> int:
        """Remember a suggestion that was applied; its number."""
        with self._lock:
            self._applied.append(replace(made, id=len(self._applied) + 1))
            return len(self._applied)

    def applied(self, number: int | None = None) -> list[Applied]:
        """Give the suggestions that were applied, newest first; with ``number`` that one alone."""
        with self._lock:
            return [made for made in reversed(self._applied) if number in {None, made.id}]

    def mark_undone(self, number: int, ts: float) -> bool:
        """Remember when an applied suggestion was undone; false if there is none to undo."""
        with self._lock:
            for index, made in enumerate(self._applied):
                if made.id == number and made.undone is None:
                    self._applied[index] = replace(made, undone=ts)
                    return True
        return False

    def swap_meta(self, name: str, old: str, new: str) -> bool:
        """Change a setting from ``old`` to ``new``; false where it is not ``old``."""
        with self._lock:
            if self._meta.get(name) != old:
                return False
            self._meta[name] = new
            return True

    def save_fit(self, fit: Fit) -> None:
        """Keep a fit, and the content of the newest KEPT_FITS of its strategy."""
        with self._lock:
            its = self._fits[fit.strategy]
            its.append(fit)
            if len(its) > KEPT_FITS:
                its[-KEPT_FITS - 1] = replace(its[-KEPT_FITS - 1], content=b"")

    def fits(self, strategy: str, limit: int = 1_000) -> list[Fit]:
        """Give the newest ``limit`` fits of a strategy, oldest first."""
        with self._lock:
            return self._fits[strategy][-limit:] if limit else []
