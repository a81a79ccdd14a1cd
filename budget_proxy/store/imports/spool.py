"""Rows that wait to be written, in order of time: exports often begin with the newest call.

The history is replayed in the order in which it was written, so that the order matters. What
waits lies in a temporary database that SQLite keeps on disk as it grows, and deletes. No text of
a call is in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any, Final, Self

import orjson

from budget_proxy.errors import StoreError
from budget_proxy.store import rows
from budget_proxy.types import CallRecord

_TABLES: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE waiting (number INTEGER PRIMARY KEY, ts REAL, record BLOB, signals BLOB);
"""


class Spool:
    """A temporary place for rows; a context. Raises StoreError where it cannot be written."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def is_new(self, identifier: str) -> bool:
        """Whether a call has not been seen before; it has been from now on."""
        return self._run("INSERT OR IGNORE INTO seen VALUES (?)", identifier).rowcount > 0

    def put(self, record: CallRecord) -> None:
        """Keep a row, with its signals."""
        values = orjson.dumps(rows.write_call(record))
        self._run(
            "INSERT INTO waiting (ts, record, signals) VALUES (?, ?, ?)",
            record.ts, values, record.signals,
        )  # fmt: skip

    def __len__(self) -> int:
        count: int = self._run("SELECT count(*) FROM waiting").fetchone()[0]
        return count

    def ordered(self) -> Iterator[CallRecord]:
        """The rows by time, with their signals; those of one moment as they came."""
        found = self._run("SELECT record, signals FROM waiting ORDER BY ts, number")
        for record, signals in found:
            yield rows.read_call([*orjson.loads(record), None, signals])

    def _run(self, statement: str, *values: Any) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise StoreError(
                f"the rows to import cannot be kept in a temporary file ({error}): make room, or "
                "name another directory by SQLITE_TMPDIR"
            ) from error
