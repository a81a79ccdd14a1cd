"""What learning keeps in a SQLite history beside the calls: signals of the newest, and fits.

Every function works on an open connection; the transaction around it is the caller's. All
raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from budget_proxy.store import bulk
from budget_proxy.store.base import KEPT_FITS, KEPT_SIGNALS
from budget_proxy.types import CallRecord, Fit


def keep_signals(connection: sqlite3.Connection, first: int, records: Sequence[CallRecord]) -> None:
    """Keep the signals of new rows, whose ids begin at ``first``; let the oldest go."""
    bulk.execute(
        connection,
        "INSERT INTO features (id, signals) VALUES {rows}",
        [(id_, row.signals) for id_, row in enumerate(records, first) if row.signals],
    )
    last = first + len(records) - 1
    connection.execute("DELETE FROM features WHERE id <= ?", (last - KEPT_SIGNALS,))


def save_fit(connection: sqlite3.Connection, fit: Fit) -> None:
    """Keep a fit, and the content of the newest KEPT_FITS of its strategy."""
    connection.execute(
        "INSERT INTO fits (strategy, taken, taken_attempt, effective, effective_attempt, "
        "ts, instance, content) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (fit.strategy, *fit.taken, *fit.effective, fit.ts, fit.instance, fit.content),
    )
    connection.execute(
        "UPDATE fits SET content = x'' WHERE strategy = ? AND content <> x'' AND id NOT IN "
        "(SELECT id FROM fits WHERE strategy = ? ORDER BY id DESC LIMIT ?)",
        (fit.strategy, fit.strategy, KEPT_FITS),
    )


def fits(connection: sqlite3.Connection, strategy: str, limit: int) -> list[Fit]:
    """Give the newest ``limit`` fits of a strategy, oldest first."""
    found = connection.execute(
        "SELECT taken, taken_attempt, effective, effective_attempt, ts, instance, content "
        "FROM fits WHERE strategy = ? ORDER BY id DESC LIMIT ?",
        (strategy, limit),
    ).fetchall()
    return [
        Fit(strategy, (taken, first), (effective, second), ts, instance, content)
        for taken, first, effective, second, ts, instance, content in reversed(found)
    ]
