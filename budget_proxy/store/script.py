"""Several statements of SQL in one text, run one by one within the transaction that is open."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database


def run(db: Database, text: str) -> None:
    """Run a text's statements, each of which ends with a line's end. Raises sqlite3.Error.

    sqlite-utils' own ``executescript`` looks at a text character by character, each time at all
    of the statement so far: it took most of the time in which a history is made.
    """
    statement = ""
    for line in text.splitlines():
        statement += f"{line}\n"
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    if statement.strip():
        raise sqlite3.OperationalError(f"a statement has no end: {statement.strip()[:60]}")
