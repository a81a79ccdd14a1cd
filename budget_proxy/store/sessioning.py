"""Sessions in a SQLite history, the guidance that they carry, and what they were told since.

Every function works on an open connection; the transaction around it is the caller's. All raise
sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from budget_proxy.run_types import Note
from budget_proxy.store import bulk, rows
from budget_proxy.types import Session

_SESSION: Final = (
    f"SELECT {', '.join(f's.{name}' for name in rows.SESSION_COLUMNS)}, g.text, g.tokens "  # noqa: S608 (our own names)
    "FROM sessions s LEFT JOIN guidance g ON g.id = s.guidance"
)
_NOTE: Final = (
    "SELECT n.at, n.guidance, g.text, g.tokens, n.run, n.unit, n.size, n.step FROM session_notes n "
    "JOIN guidance g ON g.id = n.guidance WHERE n.key = ? AND n.id = ? ORDER BY n.at"
)
_INSERT_NOTE: Final = (
    "INSERT OR IGNORE INTO session_notes (key, id, at, guidance, run, unit, size, step) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_SESSION: Final = (
    f"INSERT INTO sessions ({', '.join(rows.SESSION_COLUMNS)}) "  # noqa: S608 (our own names)
    f"VALUES ({', '.join('?' * len(rows.SESSION_COLUMNS))}) "
    "ON CONFLICT (key, id) DO UPDATE SET "  # the same as rows.completed
    "place = CASE WHEN guidance IS NULL THEN excluded.place ELSE place END, "
    "place_index = CASE WHEN guidance IS NULL THEN excluded.place_index ELSE place_index END, "
    "guidance = coalesce(guidance, excluded.guidance), "
    "thinking = CASE WHEN decided THEN thinking ELSE excluded.thinking END, "
    "thinking_budget = CASE WHEN decided THEN thinking_budget ELSE excluded.thinking_budget END, "
    "effort = CASE WHEN decided THEN effort ELSE excluded.effort END, "
    "decided = max(decided, excluded.decided), "
    "model = coalesce(model, excluded.model), "
    "seen = max(seen, excluded.seen)"
)
_SEEN: Final = (
    "UPDATE sessions SET seen = max(seen, call.column1) FROM (VALUES {rows}) AS call "
    "WHERE id = call.column2"
)


def save(connection: sqlite3.Connection, sessions: Sequence[Session]) -> None:
    """Write sessions and their guidance; what one (key, id) was given already stays."""
    notes = [(note.id, note.text, note.tokens, s.started) for s in sessions for note in s.carried]
    connection.executemany(
        "INSERT OR IGNORE INTO guidance (id, text, tokens, first_used) VALUES (?, ?, ?, ?)", notes
    )
    connection.executemany(_INSERT_SESSION, map(rows.write_session, sessions))
    connection.executemany(
        _INSERT_NOTE,
        [
            (s.key, s.id, n.at, n.id, n.run, n.unit, n.size, n.step)
            for s in sessions
            for n in s.notes
        ],
    )


def see(connection: sqlite3.Connection, seen: Mapping[str, float]) -> None:
    """Mark sessions, by id, as seen at these times (Unix seconds)."""
    bulk.execute(connection, _SEEN, [(ts, session) for session, ts in seen.items()])


def find(
    connection: sqlite3.Connection, key: str, response: str | None, identifier: str | None
) -> Session | None:
    """The newest session under ``key``, or the one that produced ``response``.

    Where neither is there, the newest with the id ``identifier``.
    """
    ways = [("s.key = ?", key)]
    if response is not None:
        row = connection.execute(
            "SELECT session FROM calls WHERE response_id = ? ORDER BY id DESC LIMIT 1", (response,)
        ).fetchone()
        ways = [("s.id = ?", row[0])] if row else []
    if identifier is not None:
        ways.append(("s.id = ?", identifier))
    for where, wanted in ways:
        found = connection.execute(
            f"{_SESSION} WHERE {where} ORDER BY s.started DESC, s.rowid DESC LIMIT 1", (wanted,)
        ).fetchone()
        if found:
            session = rows.read_session(found)
            told = connection.execute(_NOTE, (session.key, session.id))
            return replace(session, notes=tuple(Note(*one) for one in told))
    return None
