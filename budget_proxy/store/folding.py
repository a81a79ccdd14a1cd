"""Folding old rows of a SQLite history into days, and giving the room that they took back.

Every function works on an open connection; the transaction around it is the caller's. All
raise sqlite3.Error.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from budget_proxy.store import rows
from budget_proxy.store.days import COLUMNS, KEY, SUMMED, Day, Sums, write_day

_CALL: Final = f"SELECT {', '.join(rows.CALL_COLUMNS)} FROM calls"  # noqa: S608 (our own names)
_FOLDABLE: Final = "id <= ? AND ts < ? AND NOT (pending AND ts >= ?)"
_ADD: Final = (
    f"INSERT INTO days ({', '.join(COLUMNS)}) "  # noqa: S608 (our own names)
    f"VALUES ({', '.join('?' * len(COLUMNS))}) "
    f"ON CONFLICT ({', '.join(KEY)}) DO UPDATE SET "  # the same as days.added
    "first = min(first, excluded.first), last = max(last, excluded.last), "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMMED)
)
_INCREMENTAL: Final = 2
"""SQLite's number for free pages that can be given back to the disk piece by piece."""


def prepare(connection: sqlite3.Connection) -> None:
    """Have a file that is only now made give room back piece by piece."""
    if not _pragma(connection, "page_count"):  # else it would wait for a writer, for nothing
        connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")


def horizon(connection: sqlite3.Connection, keep: int) -> int:
    """The id of the newest row that is not among the newest ``keep``; 0 if there is none."""
    row = connection.execute(
        "SELECT id FROM calls ORDER BY id DESC LIMIT 1 OFFSET ?", (keep,)
    ).fetchone()
    return int(row[0]) if row else 0


def foldable(connection: sqlite3.Connection, until: int, before: float) -> int:
    """How many rows ``fold`` would fold in all."""
    count = f"SELECT count(*) FROM calls WHERE {_FOLDABLE}"  # noqa: S608 (our own names)
    return int(connection.execute(count, _limits(until, before)).fetchone()[0])


def fold(connection: sqlite3.Connection, until: int, before: float, sums: Sums, limit: int) -> int:
    """Replace some ``limit`` of the oldest rows by what ``sums`` makes of them; how many.

    A call that was sent again goes with all its attempts, which count together.
    """
    oldest = connection.execute(
        f"{_CALL} WHERE {_FOLDABLE} ORDER BY ts, id LIMIT ?", [*_limits(until, before), limit]
    )
    picked = {row.id: row for row in map(rows.read_call, oldest)}
    cut = json.dumps([row.call_id for row in picked.values() if row.cut_by_us])
    attempts = connection.execute(
        f"{_CALL} WHERE call_id IN (SELECT value FROM json_each(?))",  # noqa: S608 (our own names)
        (cut,),
    )
    picked |= {row.id: row for row in map(rows.read_call, attempts)}
    ids = sorted(id_ for id_ in picked if id_ is not None)
    connection.executemany(_ADD, map(write_day, sums([picked[id_] for id_ in ids])))
    for table in ("calls", "features"):
        connection.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT value FROM json_each(?))",  # noqa: S608
            (json.dumps(ids),),
        )
    return len(ids)


def days(
    connection: sqlite3.Connection, start: float | None, end: float | None, where: Mapping[str, Any]
) -> list[Day]:
    """The days by the time of their first call [start, end) and key columns."""
    terms = [(f"{name} = ?", value) for name, value in where.items()]
    terms += [("first >= ?", start)] if start is not None else []
    terms += [("first < ?", end)] if end is not None else []
    clause = " WHERE " + " AND ".join(term for term, _ in terms) if terms else ""
    found = connection.execute(
        f"SELECT {', '.join(COLUMNS)} FROM days{clause} ORDER BY {', '.join(KEY)}",  # noqa: S608 (our own names)
        [value for _, value in terms],
    )
    return [Day(*row) for row in found]


def reclaim(connection: sqlite3.Connection, pages: int) -> int:
    """Give at most ``pages`` free pages back to the disk; the bytes."""
    if _pragma(connection, "auto_vacuum") != _INCREMENTAL:
        return 0
    free = _pragma(connection, "freelist_count")
    connection.execute(f"PRAGMA incremental_vacuum({pages:d})").fetchall()
    freed = free - _pragma(connection, "freelist_count")
    if not freed:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return max(freed, 0) * _pragma(connection, "page_size")


def vacuum(connection: sqlite3.Connection) -> int:
    """Write the file anew, from then on able to ``reclaim``; the bytes that it is smaller."""
    size, before = _pragma(connection, "page_size"), _pragma(connection, "page_count")
    connection.execute(f"PRAGMA auto_vacuum = {_INCREMENTAL}")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return max(before - _pragma(connection, "page_count"), 0) * size


def _limits(until: int, before: float) -> list[float]:
    return [until, before, before - rows.SETTLED_WITHIN]


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
