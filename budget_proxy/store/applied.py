"""Suggestions that were applied to the settings file, and what it takes to undo them.

Of the file only what was changed is kept, never its whole text: keys may stand in it. The
functions work on an open connection; the transaction around it is the caller's. All raise
sqlite3.Error.
"""

from __future__ import annotations

import json
import sqlite3
from operator import attrgetter
from typing import Any, Final

from budget_proxy.types import frozen


@frozen
class Applied:
    """A change of one setting: its ``path`` in ``file``, its value ``before`` and ``after``.

    ``before`` is ``None`` where nothing was set. The lines ``removed`` gave way to ``added``;
    the digests are of the whole text (``None``: there was no file). ``undone`` is when it was
    put back. ``suggestion`` is what was suggested, as JSON.
    """

    ts: float
    suggestion: str
    file: str
    path: tuple[str, ...]
    before: Any
    after: Any
    removed: str
    added: str
    digest_before: str | None
    digest_after: str
    undone: float | None = None
    id: int | None = None


_COLUMNS: Final = (
    "ts", "suggestion", "file", "path", "before", "after", "removed", "added", "digest_before",
    "digest_after", "undone", "id",
)  # fmt: skip
_values: Final = attrgetter(*_COLUMNS)
_JSON: Final = (3, 4, 5)
_READ: Final = f"SELECT {', '.join(_COLUMNS)} FROM applied"  # noqa: S608 (our own names)
_SAVE: Final = (
    f"INSERT INTO applied ({', '.join(_COLUMNS)}) "  # noqa: S608 (our own names)
    f"VALUES ({', '.join('?' * len(_COLUMNS))})"
)


def save(connection: sqlite3.Connection, made: Applied) -> int:
    """Write one down; its number."""
    row = list(_values(made))
    for index in _JSON:
        row[index] = None if row[index] is None else json.dumps(row[index])
    return int(connection.execute(_SAVE, row).lastrowid or 0)


def read(connection: sqlite3.Connection, number: int | None) -> list[Applied]:
    """Give them, newest first; with ``number`` that one alone."""
    query, values = (_READ, ()) if number is None else (f"{_READ} WHERE id = ?", (number,))
    return [_applied(row) for row in connection.execute(f"{query} ORDER BY id DESC", values)]


def mark_undone(connection: sqlite3.Connection, number: int, ts: float) -> bool:
    """Write down when one was undone; false if there is none to undo."""
    query = "UPDATE applied SET undone = ? WHERE id = ? AND undone IS NULL"
    return connection.execute(query, (ts, number)).rowcount > 0


def _applied(row: tuple[Any, ...]) -> Applied:
    values = list(row)
    for index in _JSON:
        values[index] = None if values[index] is None else json.loads(values[index])
    values[_JSON[0]] = tuple(values[_JSON[0]])
    return Applied(*values)
