"""What a fault of SQLite's means, and what to do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from budget_proxy.errors import InvalidInput, StoreError
from budget_proxy.store.connections import BUSY

PREFIX: Final = "sqlite:///"
_UNWRITABLE: Final = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
    }
)
_DAMAGED: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_UNSTORABLE: Final = (
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.DataError,
    OverflowError,
    TypeError,
    UnicodeEncodeError,
)


class UnwritableError(StoreError):
    """The place given for the history cannot be written; another place, or memory, can."""


@contextmanager
def storable(what: str) -> Iterator[None]:
    """Raise InvalidInput where a value, which is part of ``what``, cannot be stored."""
    try:
        yield
    except _UNSTORABLE as error:
        raise InvalidInput(f"{what} cannot be stored: {error}") from error


def explained(error: sqlite3.Error | OSError, path: Path, doing: str) -> StoreError:
    """The error that says what was being ``doing`` and what to do about it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _DAMAGED:
        return StoreError(
            f"the history {path} is damaged, or no SQLite database ({error}). It was left as it "
            "is: move it away to begin a new one, or rescue what is in it with "
            f"`sqlite3 {path} .recover`"
        )
    if code in _UNWRITABLE or isinstance(error, OSError):
        return UnwritableError(
            f"the history {path} cannot be {doing} ({error}): name a place that can be written "
            f"with BUDGET_PROXY_STORE={PREFIX}/path/to/history.db, or keep it in memory with "
            "BUDGET_PROXY_STORE=memory:"
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreError(
            f"the history {path} cannot be {doing}: the disk is full; nothing was half-written"
        )
    if code in _LOCKED:
        return StoreError(
            f"the history {path} cannot be {doing}: another process has held it locked for more "
            f"than {BUSY:.0f} seconds"
        )
    return StoreError(f"the history {path} cannot be {doing}: {error}")
