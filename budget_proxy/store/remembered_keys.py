"""Virtual keys in memory: the same as store/keying.py keeps in SQLite."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from budget_proxy.store.keys import Kept


class RememberedKeys:
    """The part of a store in memory that knows virtual keys."""

    _lock: threading.Lock
    _keys: dict[str, Kept]

    def keys_since(self, after: int = 0) -> list[Kept]:
        """Give the keys that were made or changed after a version, in that order."""
        with self._lock:
            changed = [kept for kept in self._keys.values() if kept.version > after]
        return sorted(changed, key=lambda kept: kept.version)

    def add_key(self, kept: Kept) -> None:
        """Keep a new key."""
        with self._lock:
            self._keep(kept)

    def change_key(self, id_: str, change: Callable[[Kept], Kept]) -> Kept | None:
        """Change a key; what it is then, ``None`` if it is not there."""
        with self._lock:
            was = self._keys.get(id_)
            return None if was is None else self._keep(change(was))

    def _keep(self, kept: Kept) -> Kept:
        last = max((other.version for other in self._keys.values()), default=0)
        self._keys[kept.key.id] = replace(kept, version=last + 1)
        return self._keys[kept.key.id]
