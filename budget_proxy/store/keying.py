"""Virtual keys in a SQLite history, and the part of the store that offers them.

Keys are never deleted: the history goes on naming them. So the greatest version tells whether
anything has changed, and what.
"""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from budget_proxy.store import script
from budget_proxy.store.keys import Kept, Lock, VirtualKey

if TYPE_CHECKING:
    from sqlite_utils import Database

_OF_KEY: Final = (
    "id", "name", "created", "role", "models", "expires", "revoked", "rotated", "former_until",
)  # fmt: skip
_COLUMNS: Final = (*_OF_KEY, "salt", "digest", "former", "version")
_MODELS: Final = _OF_KEY.index("models")
_READ: Final = f"SELECT {', '.join(_COLUMNS)} FROM keys"  # noqa: S608 (our own names)
_ADD: Final = f"INSERT INTO keys ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608 (our own names)
_CHANGE: Final = f"UPDATE keys SET {', '.join(f'{name} = ?' for name in _COLUMNS)} WHERE id = ?"  # noqa: S608 (our own names)


def m011_keys(db: Database) -> None:
    """Keep virtual keys: who may call, and salted hashes of their secrets."""
    script.run(
        db,
        """
        CREATE TABLE keys (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            created REAL NOT NULL,
            role TEXT NOT NULL,
            models TEXT NOT NULL,
            expires REAL,
            revoked REAL,
            rotated REAL,
            former_until REAL,
            salt BLOB NOT NULL,
            digest BLOB NOT NULL,
            former BLOB NOT NULL,
            version INTEGER NOT NULL UNIQUE
        ) WITHOUT ROWID;
    """,
    )


class Keyed(ABC):
    """The part of a SQLite store that knows virtual keys. Its methods raise StoreError."""

    @abstractmethod
    def _connection(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection."""

    @abstractmethod
    def _transaction(self, doing: str) -> AbstractContextManager[sqlite3.Connection]:
        """Lend a connection in a transaction that writes."""

    def keys_since(self, after: int = 0) -> list[Kept]:
        """Give the keys that were made or changed after a version, in that order."""
        with self._connection("read") as connection:
            query = f"{_READ} WHERE version > ? ORDER BY version"
            return [_kept(row) for row in connection.execute(query, (after,))]

    def add_key(self, kept: Kept) -> None:
        """Keep a new key."""
        with self._transaction("written") as connection:
            connection.execute(_ADD, _row(connection, kept))

    def change_key(self, id_: str, change: Callable[[Kept], Kept]) -> Kept | None:
        """Change a key in one transaction; what it is then, ``None`` if it is not there."""
        with self._transaction("written") as connection:
            row = connection.execute(f"{_READ} WHERE id = ?", (id_,)).fetchone()
            if row is None:
                return None
            values = _row(connection, change(_kept(row)))
            connection.execute(_CHANGE, (*values, id_))
            return _kept(values)


def _row(connection: sqlite3.Connection, kept: Kept) -> list[Any]:
    """A key's columns, with the version that comes next."""
    (version,) = connection.execute("SELECT coalesce(max(version), 0) + 1 FROM keys").fetchone()
    values = [getattr(kept.key, name) for name in _OF_KEY]
    values[_MODELS] = json.dumps(kept.key.models)
    return [*values, kept.lock.salt, kept.lock.digest, kept.lock.former, version]


def _kept(row: Sequence[Any]) -> Kept:
    values = dict(zip(_OF_KEY, row, strict=False))
    salt, digest, former, version = row[len(_OF_KEY) :]
    key = replace(VirtualKey(**values), models=tuple(json.loads(values["models"])))
    return Kept(key, Lock(salt, digest, former), version)
