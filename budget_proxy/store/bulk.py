"""Many rows by one statement.

``executemany`` gives the interpreter's lock away for each row and then asks for it again: beside
threads that are busy every row waits its turn, half a millisecond or more. One statement of many
rows waits once. (CPython, Modules/_sqlite/cursor.c: the lock is given away around each step.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

_SIZES: Final = (64, 8, 1)
"""Rows a statement. Few sizes, so that their statements stay prepared; the most times a call's
columns stays far below the 32,766 values that SQLite takes."""


def execute(connection: sqlite3.Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    """Run a statement whose ``{rows}`` stands for the rows' values, all of the same number.

    Raises sqlite3.Error, and OverflowError for a number that SQLite has no room for.
    """
    left = list(rows)
    for size in _SIZES:
        while len(left) >= size:
            part, left = left[:size], left[size:]
            text = statement.replace("{rows}", _places(size, len(part[0])))
            connection.execute(text, [value for row in part for value in row])


@cache
def _places(count: int, width: int) -> str:
    row = f"({', '.join('?' * width)})"
    return ", ".join([row] * count)
