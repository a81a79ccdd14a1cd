"""The history of calls, and the sessions' memory: which store a URL names."""

from __future__ import annotations

import logging

from budget_proxy.errors import StoreError
from budget_proxy.store.base import Store

__all__ = ["Store", "open_store"]

_MEMORY = frozenset({"memory:", "sqlite:///:memory:"})


def open_store(url: str, *, fallback: bool = False) -> Store:
    """Open the history that ``url`` names, its schema up to date.

    Understood are ``sqlite:///relative/path``, ``sqlite:////absolute/path`` and ``memory:``.
    Raises StoreError. With ``fallback``, where the place cannot be written (a read-only disk),
    logs a warning and keeps the history in memory instead.
    """
    if url in _MEMORY:
        return _memory()
    if not url.startswith("sqlite:///") or url == "sqlite:///":
        raise StoreError(
            f"the store {_shown(url)!r} is not understood: write sqlite:///relative/path.db, "
            "sqlite:////absolute/path.db or memory:"
        )
    from budget_proxy.store.faults import UnwritableError
    from budget_proxy.store.sqlite import SQLiteStore

    try:
        store = SQLiteStore(url)
        opened = False
        try:
            store.migrate()
            opened = True
        finally:
            if not opened:
                store.close()
    except UnwritableError as error:
        if not fallback:
            raise
        logging.getLogger("budget_proxy").warning(
            "%s. Until then the history lives in memory and ends with this process", error
        )
        return _memory()
    return store


def _memory() -> Store:
    from budget_proxy.store.memory import MemoryStore

    return MemoryStore()


def _shown(url: str) -> str:
    """Leave out of a URL what may be a password."""
    scheme, found, rest = url.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if found and "@" in rest else url
