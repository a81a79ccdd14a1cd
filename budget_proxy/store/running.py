"""Budgets of runs in a SQLite history: what they were given, and what their rows say.

Every function works on an open connection; the transaction around it is the caller's. All raise
sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING, Final

from budget_proxy.ledger.runs import (
    Alarmed,
    Extension,
    RunAccount,
    RunBudget,
    RunUse,
    alarms_of,
)
from budget_proxy.store import counting, rows, script

if TYPE_CHECKING:
    from sqlite_utils import Database

TABLES: Final = ("runs", "run_extensions", "session_notes")

_BUDGET: Final = ("run", "agent", "started", "tokens", "nano", "basis")
_EXTENSION: Final = ("run", "ts", "who", "reason", "tokens", "nano")
_OF: Final = "(run = ? OR (run >= ? AND run < ?))"
"""Rows of a run and of those within it: ``_within`` gives the values."""
_SPENT: Final = f"({counting.AMOUNT['tokens']}) > 0 AND NOT pending"
_USE: Final = (
    f"SELECT count(*), coalesce(sum({counting.AMOUNT['tokens']}), 0), "  # noqa: S608 (our own names)
    f"coalesce(sum({counting.AMOUNT['output_tokens']}), 0), "
    f"coalesce(sum({counting.AMOUNT['usd']}), 0), "
    f"sum(cost IS NULL), min(ts), max(ts) FROM calls WHERE {_OF} AND {_SPENT}"
)
_ROOTS: Final = """
    WITH RECURSIVE found(name) AS (
        SELECT min(run) FROM calls WHERE run > ''
        UNION ALL
        SELECT (SELECT min(run) FROM calls WHERE run > found.name) FROM found
        WHERE found.name IS NOT NULL
    )
    SELECT name, (SELECT max(ts) FROM calls WHERE run = name) FROM found WHERE name IS NOT NULL
"""


def m014_runs(db: Database) -> None:
    """Keep what runs are given, what sessions are told of it, and alarms about runs."""
    script.run(
        db,
        """
        ALTER TABLE calls ADD COLUMN alarms TEXT NOT NULL DEFAULT '[]';
        CREATE INDEX calls_alarms ON calls (run) WHERE alarms <> '[]';

        CREATE TABLE runs (
            run TEXT PRIMARY KEY,
            agent TEXT NOT NULL,
            started REAL NOT NULL,
            tokens INTEGER,
            nano INTEGER,
            basis TEXT NOT NULL
        ) WITHOUT ROWID;

        CREATE TABLE run_extensions (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            run TEXT NOT NULL,
            ts REAL NOT NULL,
            who TEXT NOT NULL,
            reason TEXT NOT NULL,
            tokens INTEGER NOT NULL,
            nano INTEGER NOT NULL
        );
        CREATE INDEX run_extensions_run ON run_extensions (run);

        CREATE TABLE session_notes (
            key TEXT NOT NULL,
            id TEXT NOT NULL,
            at INTEGER NOT NULL,
            guidance TEXT NOT NULL,
            run TEXT NOT NULL,
            unit TEXT NOT NULL,
            size INTEGER NOT NULL,
            step INTEGER NOT NULL,
            PRIMARY KEY (key, id, at)
        ) WITHOUT ROWID;
    """,
    )


def save(connection: sqlite3.Connection, budgets: Sequence[RunBudget]) -> None:
    """Write what runs are given; what one was given already stays."""
    connection.executemany(
        f"INSERT OR IGNORE INTO runs ({', '.join(_BUDGET)}) "  # noqa: S608 (our own names)
        f"VALUES ({', '.join('?' * len(_BUDGET))})",
        [astuple(one) for one in budgets],
    )


def extend(connection: sqlite3.Connection, given: Extension) -> int:
    """Note that a run was given more; the number of that."""
    made = connection.execute(
        f"INSERT INTO run_extensions ({', '.join(_EXTENSION)}) "  # noqa: S608 (our own names)
        f"VALUES ({', '.join('?' * len(_EXTENSION))})",
        astuple(given)[:-1],
    )
    return made.lastrowid or 0


def extensions(connection: sqlite3.Connection, run: str) -> tuple[Extension, ...]:
    """What a run was given besides, in order."""
    found = connection.execute(
        f"SELECT {', '.join(_EXTENSION)}, id FROM run_extensions WHERE run = ? ORDER BY id",  # noqa: S608 (our own names)
        (run,),
    )
    return tuple(Extension(*row) for row in found)


def account(connection: sqlite3.Connection, run: str, *, use: bool) -> RunAccount:
    """All that is known of a run; one that nobody knows has used nothing.

    Without ``use`` the run's rows are not added up.
    """
    budget = connection.execute(
        f"SELECT {', '.join(_BUDGET)} FROM runs WHERE run = ?",  # noqa: S608 (our own names)
        (run,),
    ).fetchone()
    numbers, first = (0,), ("",)
    if use:
        numbers = connection.execute(_USE, _within(run)).fetchone()
        first = connection.execute(
            f"SELECT agent, min(ts) FROM calls WHERE {_OF}",  # noqa: S608 (our own names)
            _within(run),
        ).fetchone()
    newest = connection.execute("SELECT coalesce(max(id), 0) FROM calls").fetchone()
    given = None if budget is None else RunBudget(*budget)
    return RunAccount(
        run,
        agent=given.agent if given is not None else first[0] or "",
        budget=given,
        use=RunUse(*numbers) if numbers[0] else RunUse(),
        extensions=extensions(connection, run),
        alarms=tuple(_alarms(connection, run)),
        row=newest[0],
    )


def last_calls(connection: sqlite3.Connection) -> Iterable[tuple[str, float]]:
    """Every run that rows name, with the time of its own newest."""
    return connection.execute(_ROOTS)


def _alarms(connection: sqlite3.Connection, run: str) -> Iterator[Alarmed]:
    found = connection.execute(
        f"SELECT ts, seconds, alarms FROM calls WHERE {_OF} AND alarms <> '[]' ORDER BY id",  # noqa: S608 (our own names)
        _within(run),
    )
    for ts, seconds, text in found:
        yield from alarms_of(run, ts, seconds, rows.texts(text))


def _within(run: str) -> tuple[str, str, str]:
    """What lies between ``run/`` and the next text that has no such beginning."""
    return run, f"{run}/", f"{run}0"
