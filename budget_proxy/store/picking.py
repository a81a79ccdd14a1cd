"""Newest rows of a group of a SQLite history, in a time that does not grow with the history.

Every function works on an open connection. All raise sqlite3.Error.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from budget_proxy.store import rows
from budget_proxy.types import CallRecord

_IDS: Final = (
    "SELECT id FROM calls WHERE agent = ? AND task_type = ? AND model = ? "
    "ORDER BY ts DESC, id DESC LIMIT ?"
)
"""From the index ``calls_group`` alone: no row is read for it."""

_CALL: Final = f"SELECT {', '.join(rows.CALL_COLUMNS)} FROM calls"  # noqa: S608 (our own names)

Terms = Sequence[tuple[str, Any]]
"""Conditions in SQL, each with its one value."""


def terms(start: float | None, known: str | None, where: Mapping[str, Any]) -> Terms:
    """Conditions on rows from ``start`` on that have the column ``known``; names were checked."""
    found = [(f"{name} IS ?", rows.condition(name, value)) for name, value in where.items()]
    found += [] if known is None else [(f"{known} IS NOT ?", None)]
    return found + ([] if start is None else [("ts >= ?", start)])


def newest(
    connection: sqlite3.Connection,
    group: tuple[str, str, str],
    limit: int,
    within: int,
    conditions: Terms,
) -> list[CallRecord]:
    """At most ``limit`` of the newest ``within`` rows of a group, newest first."""
    ids = [id_ for (id_,) in connection.execute(_IDS, (*group, within))]
    clause = " AND ".join(["id IN (SELECT value FROM json_each(?))", *(t for t, _ in conditions)])
    query = f"{_CALL} WHERE {clause} ORDER BY +ts DESC, id DESC LIMIT ?"
    found: list[CallRecord] = []
    for first in range(0, len(ids), limit):
        page = json.dumps(ids[first : first + limit])
        values = [page, *(value for _, value in conditions), limit - len(found)]
        found += [rows.read_call(row) for row in connection.execute(query, values)]
        if len(found) == limit:
            break
    return found
