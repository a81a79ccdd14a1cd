"""Limits in a SQLite history: their tables, and which are in force.

Every function works on an open connection; the transaction around it is the caller's. All raise
sqlite3.Error.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.limits import Limit
from budget_proxy.store import script

if TYPE_CHECKING:
    from sqlite_utils import Database

TABLES: Final = ("limits", "accounts", "leases", "lessees")

_VERSION: Final = "limits"
_COLUMNS: Final = (
    "unit", "amount", "window", "concerns", "action", "model", "effort", "zone", "hold", "name",
    "created",
)  # fmt: skip
_READ: Final = f"SELECT id, {', '.join(_COLUMNS)} FROM limits ORDER BY id"  # noqa: S608 (our own names)


def m013_limits(db: Database) -> None:
    """Keep limits, what was used of them, and what processes hold; what rows count in money."""
    script.run(
        db,
        """
        ALTER TABLE calls ADD COLUMN charged INTEGER;

        CREATE TABLE limits (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            unit TEXT NOT NULL,
            amount INTEGER NOT NULL,
            window TEXT NOT NULL,
            concerns TEXT NOT NULL,
            action TEXT NOT NULL,
            model TEXT,
            effort TEXT,
            zone TEXT NOT NULL,
            hold TEXT NOT NULL,
            name TEXT NOT NULL,
            created REAL NOT NULL
        );

        CREATE TABLE accounts (
            limit_id INTEGER NOT NULL,
            part TEXT NOT NULL,
            start REAL NOT NULL,
            used INTEGER NOT NULL DEFAULT 0,
            folded INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (limit_id, part, start)
        ) WITHOUT ROWID;
        CREATE INDEX accounts_start ON accounts (limit_id, start);

        CREATE TABLE leases (
            limit_id INTEGER NOT NULL,
            part TEXT NOT NULL,
            start REAL NOT NULL,
            owner TEXT NOT NULL,
            amount INTEGER NOT NULL DEFAULT 0,
            open INTEGER NOT NULL DEFAULT 0,
            reserved INTEGER NOT NULL DEFAULT 0,
            worst INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (limit_id, part, start, owner)
        ) WITHOUT ROWID;
        CREATE INDEX leases_owner ON leases (owner);

        CREATE TABLE lessees (
            owner TEXT PRIMARY KEY,
            expires REAL NOT NULL,
            void INTEGER NOT NULL DEFAULT 0
        ) WITHOUT ROWID;
    """,
    )


def m015_expired(db: Database) -> None:
    """Keep how many calls nobody settled in time."""
    script.run(db, "ALTER TABLE limits ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;")


def version(connection: sqlite3.Connection) -> int:
    """Give a number that grows with every change of the limits."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (_VERSION,)).fetchone()
    return int(row[0]) if row else 0


def limits(connection: sqlite3.Connection) -> list[Limit]:
    """Give the limits in force, by id."""
    found = []
    for id_, *values in connection.execute(_READ):
        given = dict(zip(_COLUMNS, values, strict=True))
        where = tuple((dimension, name) for dimension, name in json.loads(given.pop("concerns")))
        found.append(Limit(**given, where=where, id=id_))
    return found


def save(connection: sqlite3.Connection, limit: Limit) -> int:
    """Put a limit into force, in place of that with its id, unless that is 0; its id."""
    values = (
        limit.unit, limit.amount, limit.window, json.dumps(limit.where), limit.action, limit.model,
        limit.effort, limit.zone, limit.hold, limit.name, limit.created,
    )  # fmt: skip
    if limit.id:
        names = ", ".join(f"{name} = ?" for name in _COLUMNS)
        changed = connection.execute(
            f"UPDATE limits SET {names} WHERE id = ?",  # noqa: S608 (our own names)
            (*values, limit.id),
        )
        if changed.rowcount == 0:
            raise InvalidInput(f"there is no limit {limit.id} to change")
        number = limit.id
    else:
        made = connection.execute(
            f"INSERT INTO limits ({', '.join(_COLUMNS)}) "  # noqa: S608 (our own names)
            f"VALUES ({', '.join('?' * len(_COLUMNS))})",
            values,
        )
        number = made.lastrowid or 0
    _renumber(connection)
    return number


def remove(connection: sqlite3.Connection, id_: int) -> bool:
    """Take a limit out of force, with all that was counted; false if there is none."""
    gone = connection.execute("DELETE FROM limits WHERE id = ?", (id_,)).rowcount > 0
    if gone:
        forget(connection, id_)
        _renumber(connection)
    return gone


def forget(connection: sqlite3.Connection, id_: int) -> None:
    """Let all accounts of a limit go, and what is held of them."""
    for table in ("accounts", "leases"):
        connection.execute(f"DELETE FROM {table} WHERE limit_id = ?", (id_,))  # noqa: S608


def note_expired(connection: sqlite3.Connection, numbers: Mapping[int, int]) -> None:
    """Note how many calls more nobody settled in time, by limit."""
    connection.executemany(
        "UPDATE limits SET expired = expired + ? WHERE id = ?",
        [(number, id_) for id_, number in numbers.items()],
    )


def expired(connection: sqlite3.Connection) -> dict[int, int]:
    """Give how many those are, by limit."""
    return dict(connection.execute("SELECT id, expired FROM limits WHERE expired").fetchall())


def _renumber(connection: sqlite3.Connection) -> None:
    """Tell that the limits have changed."""
    connection.execute(
        "INSERT INTO meta VALUES (?, '1') "
        "ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
        (_VERSION,),
    )
