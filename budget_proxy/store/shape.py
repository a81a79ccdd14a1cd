"""Whether a SQLite history has the tables and columns that the steps of the schema make."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from budget_proxy.errors import StoreError
from budget_proxy.store import migrations
from budget_proxy.types import frozen

Shape = Mapping[str, frozenset[str]]
"""The columns of each table."""

_WAIT: Final = 5.0  # seconds for another process


@frozen
class Difference:
    """What a file lacks, and has beyond what is known: a table, or a column as table.column."""

    missing: tuple[str, ...]
    unknown: tuple[str, ...]


def difference(path: Path) -> Difference:
    """Compare a file with what all steps make. Raises StoreError where it cannot be read."""
    try:
        with closing(sqlite3.connect(path, timeout=_WAIT)) as connection:
            found = _shape(connection)
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be read: {error}") from error
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        migrations.apply(connection)
        wanted = _shape(connection)
    return Difference(_beyond(wanted, found), _beyond(found, wanted))


def _shape(connection: sqlite3.Connection) -> Shape:
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite_*'"
    ).fetchall()
    columns = "SELECT name FROM pragma_table_info(?)"
    return {
        table: frozenset(name for (name,) in connection.execute(columns, (table,)))
        for (table,) in tables
    }


def _beyond(one: Shape, other: Shape) -> tuple[str, ...]:
    """What one has and the other has not; of a table that is not there no columns are named."""
    return tuple(
        name
        for table, columns in sorted(one.items())
        for name in (
            (table,)
            if table not in other
            else (f"{table}.{column}" for column in sorted(columns - other[table]))
        )
    )
