"""Alerts in a SQLite history: what is open, what is to be told, what is muted, where the watch is.

Every function works on an open connection; the transaction around it is the caller's. All raise
sqlite3.Error.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from budget_proxy.store import script
from budget_proxy.store.alerts import (
    ALERT_COLUMNS,
    FRESH,
    KEPT,
    MUTE_COLUMNS,
    SEEN_COLUMNS,
    Alert,
    Change,
    Event,
    Mute,
    Progress,
    Seen,
    Watched,
    is_told,
)

if TYPE_CHECKING:
    from sqlite_utils import Database

TABLES: Final = ("alerts", "alert_events", "alert_mutes", "watch")

_CHECKPOINT: Final = "checkpoint"
_LAST: Final = 2**63 - 1
_FIGURES: Final = ALERT_COLUMNS.index("figures")
_PEOPLES: Final = frozenset({"id", "acknowledged", "muted_until"})
"""Columns that a watch never overwrites."""

_ALERT: Final = f"SELECT {', '.join(ALERT_COLUMNS)} FROM alerts"  # noqa: S608 (our own names)
_SAVE_ALERT: Final = (
    f"INSERT INTO alerts ({', '.join(ALERT_COLUMNS)}) "  # noqa: S608 (our own names)
    f"VALUES ({', '.join('?' * len(ALERT_COLUMNS))}) ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in ALERT_COLUMNS if name not in _PEOPLES)
)
_SEEN: Final = f"SELECT {', '.join(SEEN_COLUMNS)} FROM calls"  # noqa: S608 (our own names)


def m006_alerts(db: Database) -> None:
    """Keep alerts, what is to be told of them, what is muted, and how far the watch has got."""
    script.run(
        db,
        """
        CREATE TABLE alerts (
            id INTEGER PRIMARY KEY,
            cause TEXT NOT NULL,
            agent TEXT,
            task_type TEXT,
            model TEXT,
            severity TEXT NOT NULL,
            since REAL NOT NULL,
            opened REAL NOT NULL,
            updated REAL NOT NULL,
            rows INTEGER NOT NULL,
            first_row INTEGER NOT NULL,
            last_row INTEGER NOT NULL,
            figures TEXT NOT NULL,
            text TEXT NOT NULL,
            resolved REAL,
            acknowledged REAL,
            muted_until REAL
        );
        CREATE INDEX alerts_open ON alerts (id) WHERE resolved IS NULL;

        CREATE TABLE alert_events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            alert INTEGER NOT NULL,
            change TEXT NOT NULL,
            ts REAL NOT NULL,
            created REAL NOT NULL,
            due REAL,
            tries INTEGER NOT NULL DEFAULT 0,
            sent REAL
        );
        CREATE INDEX alert_events_due ON alert_events (due) WHERE due IS NOT NULL;

        CREATE TABLE alert_mutes (
            id INTEGER PRIMARY KEY,
            until REAL NOT NULL,
            cause TEXT,
            agent TEXT,
            task_type TEXT,
            model TEXT
        );

        CREATE TABLE watch (
            name TEXT PRIMARY KEY,
            state TEXT NOT NULL
        );
    """,
    )


def seen(connection: sqlite3.Connection, after: int, until: int | None, limit: int) -> list[Seen]:
    """Give what a watch sees of rows with an id in (after, until], oldest first."""
    rows = connection.execute(
        f"{_SEEN} WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
        (after, until if until is not None else _LAST, limit),
    )
    return [Seen._make(row) for row in rows]


def watched(connection: sqlite3.Connection) -> Watched:
    """Give where the watch has got."""
    parts = dict(connection.execute("SELECT name, state FROM watch").fetchall())
    version, row = json.loads(parts.pop(_CHECKPOINT, "[0, 0]"))
    return Watched(version, row, parts, tuple(alerts(connection, every=False, limit=KEPT)))


def save(connection: sqlite3.Connection, progress: Progress) -> bool:
    """Save how far a watch has got; false, and nothing is saved, where another one was faster."""
    found = connection.execute("SELECT state FROM watch WHERE name = ?", (_CHECKPOINT,)).fetchone()
    version = json.loads(found[0])[0] if found else 0
    if version != progress.version:
        return False
    parts = {**progress.parts, _CHECKPOINT: json.dumps([version + 1, progress.row])}
    connection.executemany(
        "INSERT INTO watch VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET state = excluded.state",
        [(name, state) for name, state in parts.items() if state is not None],
    )
    connection.executemany(
        "DELETE FROM watch WHERE name = ?",
        [(name,) for name, state in parts.items() if state is None],
    )
    _save_changes(connection, progress)
    return True


def alerts(connection: sqlite3.Connection, *, every: bool, limit: int) -> list[Alert]:
    """Give the newest open alerts, with ``every`` those that are over too; the oldest first."""
    which = "" if every else " WHERE resolved IS NULL"
    found = connection.execute(f"{_ALERT}{which} ORDER BY id DESC LIMIT ?", (limit,)).fetchall()
    return [_alert(row) for row in reversed(found)]


def mark(
    connection: sqlite3.Connection, id_: int, acknowledged: float | None, muted_until: float | None
) -> Alert | None:
    """Set what people say of an alert; ``None`` leaves a column. The alert, if it is there."""
    connection.execute(
        "UPDATE alerts SET acknowledged = coalesce(?, acknowledged), "
        "muted_until = coalesce(?, muted_until) WHERE id = ?",
        (acknowledged, muted_until, id_),
    )
    row = connection.execute(f"{_ALERT} WHERE id = ?", (id_,)).fetchone()
    return None if row is None else _alert(row)


def mute(connection: sqlite3.Connection, given: Mute) -> None:
    """Mute a cause or a part of the calls; a time that is over ends an earlier mute."""
    values = tuple(getattr(given, name) for name in MUTE_COLUMNS)
    connection.execute(
        "DELETE FROM alert_mutes WHERE cause IS ? AND agent IS ? AND task_type IS ? AND model IS ?",
        values[1:],
    )
    connection.execute(
        "INSERT INTO alert_mutes (until, cause, agent, task_type, model) VALUES (?, ?, ?, ?, ?)",
        values,
    )


def mutes(connection: sqlite3.Connection, now: float) -> list[Mute]:
    """Give what is muted."""
    found = connection.execute(
        f"SELECT {', '.join(MUTE_COLUMNS)} FROM alert_mutes WHERE until > ? ORDER BY id",  # noqa: S608 (our own names)
        (now,),
    )
    return [Mute(*row) for row in found]


def claim(connection: sqlite3.Connection, now: float, lease: float, limit: int) -> list[Event]:
    """Take events that are due, the oldest first; they are due again when the lease is over."""
    connection.execute(
        "UPDATE alert_events SET due = NULL WHERE due IS NOT NULL AND created < ?", (now - FRESH,)
    )
    found = connection.execute(
        "SELECT id, alert, change, ts, tries FROM alert_events WHERE due <= ? ORDER BY id LIMIT ?",
        (now, limit),
    ).fetchall()
    connection.executemany(
        "UPDATE alert_events SET due = ?, tries = tries + 1 WHERE id = ?",
        [(now + lease, row[0]) for row in found],
    )
    events = []
    for id_, number, change, ts, tries in found:
        row = connection.execute(f"{_ALERT} WHERE id = ?", (number,)).fetchone()
        if row is not None:
            events.append(Event(id_, _alert(row), cast("Change", change), ts, tries + 1))
    return events


def settle_event(
    connection: sqlite3.Connection, id_: int, sent: float | None, due: float | None
) -> None:
    """Note that an event was delivered (``sent``), or when to try again (``due``)."""
    connection.execute("UPDATE alert_events SET sent = ?, due = ? WHERE id = ?", (sent, due, id_))


def _save_changes(connection: sqlite3.Connection, progress: Progress) -> None:
    if not progress.changes:
        return
    connection.executemany(_SAVE_ALERT, [_values(alert) for _, alert in progress.changes])
    muted = mutes(connection, progress.now)
    for change, alert in progress.changes:
        row = connection.execute(
            "SELECT acknowledged, muted_until FROM alerts WHERE id = ?", (alert.id,)
        ).fetchone()
        known = replace(alert, acknowledged=row[0], muted_until=row[1])
        if is_told(change, known, muted, progress.now):
            connection.execute(
                "INSERT INTO alert_events (alert, change, ts, created, due) VALUES (?, ?, ?, ?, ?)",
                (alert.id, change, alert.updated, progress.now, progress.now),
            )
    connection.execute(
        "DELETE FROM alerts WHERE resolved IS NOT NULL AND id NOT IN "
        "(SELECT id FROM alerts WHERE resolved IS NOT NULL ORDER BY id DESC LIMIT ?)",
        (KEPT,),
    )
    connection.execute(
        "DELETE FROM alert_events WHERE id <= (SELECT max(id) FROM alert_events) - ?", (KEPT,)
    )


def _values(alert: Alert) -> list[Any]:
    values = [getattr(alert, name) for name in ALERT_COLUMNS]
    values[_FIGURES] = json.dumps(values[_FIGURES])
    return values


def _alert(row: Sequence[Any]) -> Alert:
    values = list(row)
    values[_FIGURES] = json.loads(values[_FIGURES])
    return Alert(*values)
