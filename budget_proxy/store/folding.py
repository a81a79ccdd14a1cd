"""Letting old rows of a SQLite history go, and giving the room that they took back.

Every function works on an open connection; the transaction around it is the caller's. All
raise sqlite3.Error.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Final

from budget_proxy.store import counting, rows, summing
from budget_proxy.store.tally import Tally
from budget_proxy.types import CallRecord

_FOLDABLE: Final = "id <= ? AND ts < ? AND NOT (pending AND ts >= ?)"
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


def fold(
    connection: sqlite3.Connection, until: int, before: float, limit: int, tally: Tally
) -> int:
    """Let some ``limit`` of the oldest rows go, whose sums stay; how many, 0 when none is left.

    What they count of limits stays too. A call that was sent again goes with all its attempts,
    which count together.
    """
    while summing.catch_up(connection):
        pass
    oldest = connection.execute(
        f"SELECT id, call_id, cut_by_us FROM calls WHERE {_FOLDABLE} ORDER BY ts, id LIMIT ?",  # noqa: S608 (our own names)
        [*_limits(until, before), limit],
    ).fetchall()
    cut = json.dumps([call for _, call, cut_by_us in oldest if cut_by_us])
    attempts = connection.execute(
        "SELECT id FROM calls WHERE call_id IN (SELECT value FROM json_each(?))", (cut,)
    )
    gone = {number for number, *_ in oldest} | {number for (number,) in attempts}
    if gone:
        ids = json.dumps(sorted(gone))
        summing.let_go(connection, ids)
        if tally:
            counting.fold(connection, tally, _going(connection, ids))
        for table in ("calls", "features"):
            connection.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT value FROM json_each(?))",  # noqa: S608
                (ids,),
            )
    return len(gone)


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


def _going(connection: sqlite3.Connection, ids: str) -> list[CallRecord]:
    found = connection.execute(
        f"SELECT {', '.join(rows.CALL_COLUMNS)} FROM calls "  # noqa: S608 (our own names)
        "WHERE id IN (SELECT value FROM json_each(?))",
        (ids,),
    )
    return [rows.read_call(row) for row in found]


def _limits(until: int, before: float) -> list[float]:
    return [until, before, before - rows.SETTLED_WITHIN]


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
