"""The history in a SQLite file: the default, and readable with any SQLite browser.

Several threads and processes may use one file (WAL; every write begins IMMEDIATE, so that
waiting is SQLite's own). Queries are plain SQL; sqlite-utils makes and migrates the tables.
A file that cannot be read is never deleted or repaired here.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final

from budget_proxy.errors import StoreError
from budget_proxy.store import (
    applied,
    bulk,
    counting,
    folding,
    learning,
    migrations,
    paging,
    picking,
    rows,
    sessioning,
    summed,
    summing,
)
from budget_proxy.store.accounted import Accounted
from budget_proxy.store.alerted import Alerted
from budget_proxy.store.applied import Applied
from budget_proxy.store.base import WITHIN, Complete, Group
from budget_proxy.store.budgeted import Budgeted
from budget_proxy.store.connections import Connections, enable_wal
from budget_proxy.store.faults import PREFIX, explained, storable
from budget_proxy.store.keying import Keyed
from budget_proxy.store.listing import streamed
from budget_proxy.store.pages import Asked, Page, Place
from budget_proxy.store.sums import KEYS, SUMMED, Sums
from budget_proxy.types import CallRecord, Fit, Session

_CALL: Final = f"SELECT {', '.join(rows.CALL_COLUMNS)} FROM calls"  # noqa: S608 (our own names)
_LEARNED: Final = (
    f"SELECT {', '.join(f'calls.{name}' for name in rows.CALL_COLUMNS)}, "  # noqa: S608 (our own names)
    "coalesce(features.signals, x'') FROM calls LEFT JOIN features ON features.id = calls.id"
)
"""A call with its signals."""
_INSERT_CALL: Final = f"INSERT INTO calls ({', '.join(rows.WRITTEN_COLUMNS)}) VALUES {{rows}}"  # noqa: S608 (our own names)


class SQLiteStore(Alerted, Budgeted, Keyed, Accounted):
    """A history in a file, given by path or by URL (``sqlite:///relative``, ``sqlite:////absolute``).

    Opening makes missing directories. Raises StoreError: with what to do about it where the
    place cannot be written or the file is no readable history.
    """

    def __init__(self, location: str | Path) -> None:
        text = str(location)
        self.path = Path(text.removeprefix(PREFIX)).expanduser().absolute()
        self.url = f"{PREFIX}{self.path}"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise explained(error, self.path, "opened") from error
        self._connections = Connections(self.path)
        with self._connection("opened") as connection:
            folding.prepare(connection)
            enable_wal(connection)

    def migrate(self) -> list[str]:
        """Bring the schema up to date; the names of the migrations that were applied."""
        with self._transaction("brought up to date") as connection:
            applied_now = migrations.apply(connection)
            summing.quarter(connection)
            return applied_now

    def append(self, records: Sequence[CallRecord]) -> list[int]:
        """Write rows in one transaction; their ids, ascending. Marks their sessions as seen.

        Raises InvalidInput, and writes nothing, where a value cannot be stored.
        """
        if not records:
            return []
        seen: dict[str, float] = {}
        for record in records:
            if record.session is not None:
                seen[record.session] = max(record.ts, seen.get(record.session, record.ts))
        with self._transaction("written", urgent=True) as connection:
            with storable("a call"):
                bulk.execute(connection, _INSERT_CALL, map(rows.write_call, records))
            last = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
            first = last - len(records) + 1  # one transaction: no gaps
            learning.keep_signals(connection, first, records)
            if tally := self._tally(connection):
                counting.add(connection, tally, records)
            sessioning.see(connection, seen)
        with suppress(StoreError):  # the rows are written: whoever asks for sums is told
            self._catch_up(summing.EVERY)
        return list(range(first, last + 1))

    def settle_late(self, response: str, complete: Complete) -> CallRecord | None:
        """Replace the pending row of a response by a newest one, in one transaction.

        Raises InvalidInput, and changes nothing, where a value cannot be stored.
        """
        with self._transaction("written") as connection:
            row = connection.execute(
                f"{_LEARNED} WHERE response_id = ? AND pending ORDER BY calls.id DESC LIMIT 1",
                (response,),
            ).fetchone()
            if row is None:
                return None
            pending = rows.read_call(row)
            settled = complete(pending)
            for table in ("calls", "features"):
                connection.execute(f"DELETE FROM {table} WHERE id = ?", (pending.id,))  # noqa: S608
            with storable("a call"):
                bulk.execute(connection, _INSERT_CALL, [rows.write_call(settled)])
            number: int = connection.execute("SELECT last_insert_rowid()").fetchone()[0]
            learning.keep_signals(connection, number, [settled])
            if tally := self._tally(connection):
                counting.change(connection, tally, pending, settled)
        return replace(settled, id=number)

    def save_sessions(self, sessions: Sequence[Session]) -> None:
        """Write sessions and their guidance; what one (key, id) was given already stays.

        Raises InvalidInput, and writes nothing, where a value cannot be stored.
        """
        if sessions:
            with self._transaction("written", urgent=True) as connection, storable("a session"):
                sessioning.save(connection, sessions)

    def session(
        self, key: str, response: str | None = None, identifier: str | None = None
    ) -> Session | None:
        """Find the newest session under ``key``, or the one that produced ``response``."""
        with self._connection("read") as connection:
            return sessioning.find(connection, key, response, identifier)

    def recent(self, limit: int) -> list[CallRecord]:
        """Give the newest ``limit`` rows, oldest first."""
        found = self._calls(f"{_LEARNED} ORDER BY calls.id DESC LIMIT ?", [limit])
        found.reverse()
        return found

    def since(
        self, row: int, *, besides: str | None = None, limit: int = 10_000
    ) -> list[CallRecord]:
        """Give rows with a greater id, oldest first; ``besides`` leaves out one instance's own."""
        if besides is None:
            return self._calls(
                f"{_LEARNED} WHERE calls.id > ? ORDER BY calls.id LIMIT ?", [row, limit]
            )
        return self._calls(
            f"{_LEARNED} WHERE calls.id > ? AND instance <> ? ORDER BY calls.id LIMIT ?",
            [row, besides, limit],
        )

    def calls(
        self, *, start: float | None = None, end: float | None = None, **where: Any
    ) -> Iterator[CallRecord]:
        """Give rows by time [start, end) and equality of columns, oldest first, streamed.

        No transaction stays open between rows: their ids are read first, then page by page. A
        row that a late answer replaces meanwhile is given as it was or as it is, once; where
        listed rows have gone, those that came since are given too.
        Raises InvalidInput where ``where`` names no column.
        """
        rows.check_columns(where)
        terms = [(f"{name} IS ?", rows.condition(name, value)) for name, value in where.items()]
        terms += [("ts >= ?", start)] if start is not None else []
        terms += [("ts < ?", end)] if end is not None else []
        return streamed(self._ids(terms), self._rows, partial(self._ids, terms))

    def newest(
        self,
        group: Group,
        limit: int,
        *,
        within: int = WITHIN,
        start: float | None = None,
        known: str | None = None,
        **where: Any,
    ) -> list[CallRecord]:
        """Give at most ``limit`` of the newest ``within`` rows of a group, newest first.

        Raises InvalidInput where ``known`` or ``where`` names no column.
        """
        rows.check_columns(where if known is None else {**where, known: None})
        terms = picking.terms(start, known, where)
        with self._connection("read") as connection:
            return picking.newest(connection, group, limit, within, terms)

    def page(
        self,
        *,
        before: Place | None = None,
        limit: int = 100,
        start: float | None = None,
        end: float | None = None,
        **where: Any,
    ) -> Page:
        """Give a page of rows by time [start, end) and equality of columns, newest first.

        Raises InvalidInput where ``where`` names no column.
        """
        rows.check_columns(where)
        with self._connection("read") as connection:
            return paging.read(connection, Asked(limit, before, start, end, where))

    def score(self, call_id: str, score: float) -> bool:
        """Attach a quality score to a call's newest attempt; false if there is no such call."""
        with self._transaction("written") as connection:
            return summing.scored(connection, call_id, score)

    def meta(self, name: str, default: str) -> str:
        """Read a setting of this installation; ``default`` is set if it was not there (atomic)."""
        read = "SELECT value FROM meta WHERE name = ?"
        with self._connection("read") as connection:
            row = connection.execute(read, (name,)).fetchone()
        if row is None:
            with self._transaction("written") as connection:
                connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, default))
                row = connection.execute(read, (name,)).fetchone()
        return str(row[0])

    def save_applied(self, made: Applied) -> int:
        """Remember a suggestion that was applied; its number."""
        with self._transaction("written") as connection, storable("a suggestion"):
            return applied.save(connection, made)

    def applied(self, number: int | None = None) -> list[Applied]:
        """Give the suggestions that were applied, newest first; with ``number`` that one alone."""
        with self._connection("read") as connection:
            return applied.read(connection, number)

    def mark_undone(self, number: int, ts: float) -> bool:
        """Remember when an applied suggestion was undone; false if there is none to undo."""
        with self._transaction("written") as connection:
            return applied.mark_undone(connection, number, ts)

    def swap_meta(self, name: str, old: str, new: str) -> bool:
        """Change a setting from ``old`` to ``new``; false where it is not ``old``."""
        with self._transaction("written") as connection:
            changed = connection.execute(
                "UPDATE meta SET value = ? WHERE name = ? AND value = ?", (new, name, old)
            )
            return changed.rowcount == 1

    def save_fit(self, fit: Fit) -> None:
        """Keep a fit, and the content of the newest KEPT_FITS of its strategy."""
        with self._transaction("written") as connection:
            learning.save_fit(connection, fit)

    def fits(self, strategy: str, limit: int = 1_000) -> list[Fit]:
        """Give the newest ``limit`` fits of a strategy, oldest first."""
        with self._connection("read") as connection:
            return learning.fits(connection, strategy, limit)

    def counts(self) -> Mapping[str, int]:
        """Count the rows by table."""
        with self._connection("read") as connection:
            return {
                table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 (our own names)
                for table in migrations.TABLES
            }

    def horizon(self, keep: int) -> int:
        """Give the id of the newest row that is not among the newest ``keep``; 0 if none is."""
        with self._connection("read") as connection:
            return folding.horizon(connection, keep)

    def foldable(self, until: int, before: float) -> int:
        """Count the rows that ``fold`` would fold in all."""
        with self._connection("read") as connection:
            return folding.foldable(connection, until, before)

    def fold(self, until: int, before: float, *, limit: int = 500) -> int:
        """Let some ``limit`` of the oldest rows go, whose sums stay; 0 when none is left."""
        with self._transaction("compacted") as connection:
            return folding.fold(connection, until, before, limit, self._tally(connection))

    def folded(self) -> list[tuple[int, str, str]]:
        """Give the (start of the UTC day, agent, model) of which some rows were folded."""
        with self._connection("read") as connection:
            return summing.folded(connection)

    def sums(
        self,
        *,
        start: float | None = None,
        end: float | None = None,
        by: Sequence[str] = KEYS[:3],
        only: Collection[str] = SUMMED,
        **where: Any,
    ) -> list[Sums]:
        """Give sums over rows by time [start, end) and equality of columns, most calls first.

        Raises InvalidInput where ``where`` names no column.
        """
        edges = (-inf if start is None else start, inf if end is None else end)
        return self.course(edges, by=by, only=only, **where)[0]

    def course(
        self,
        edges: Sequence[float],
        *,
        by: Sequence[str] = KEYS[:3],
        only: Collection[str] = SUMMED,
        apart: Sequence[tuple[str, ...]] | None = None,
        **where: Any,
    ) -> list[list[Sums]]:
        """Give ``sums`` of each span of time between two ``edges``, as one snapshot.

        Raises InvalidInput where ``where`` names no column.
        """
        rows.check_columns(where)
        wanted = {name: rows.condition(name, value) for name, value in where.items()}
        self._catch_up()
        with self._snapshot() as connection:
            return summed.read(connection, edges, by, only, apart, wanted)

    def reclaim(self, pages: int = 1000) -> int:
        """Give a piece of the room that folded rows left back to the disk; its bytes, 0 at last.

        Always 0 in files that an older version made, until ``vacuum`` has written them anew.
        """
        with self._connection("compacted") as connection:
            return folding.reclaim(connection, pages)

    def vacuum(self) -> int:
        """Write the file anew without free room; the bytes that gave. Others wait meanwhile."""
        with self._connection("compacted") as connection:
            return folding.vacuum(connection)

    def close(self) -> None:
        """Close every connection; whatever is called afterwards raises StoreError."""
        self._connections.close()

    def _catch_up(self, lag: int = 0) -> None:
        with self._connection("read") as connection:
            left = summing.behind(connection) > lag
        while left:
            with self._transaction("summed", urgent=bool(lag)) as connection:
                left = summing.catch_up(connection)

    def _calls(self, query: str, values: Sequence[Any]) -> list[CallRecord]:
        with self._connection("read") as connection:
            return [rows.read_call(row) for row in connection.execute(query, values)]

    def _ids(self, terms: list[tuple[str, Any]], after: int = 0) -> array[int]:
        # (without the plus SQLite would walk through all rows, in place of an index of their times)
        clause = " AND ".join(["+id > ?", *(term for term, _ in terms)])
        with self._connection("read") as connection:
            found = connection.execute(
                f"SELECT id FROM calls WHERE {clause} ORDER BY id",  # noqa: S608 (names were checked)
                [after, *(value for _, value in terms)],
            )
            return array("q", (id_ for (id_,) in found))

    def _rows(self, ids: list[int]) -> list[CallRecord]:
        listed = "id IN (SELECT value FROM json_each(?))"
        return self._calls(f"{_CALL} WHERE {listed} ORDER BY id", [json.dumps(ids)])

    @contextmanager
    def _transaction(self, doing: str, *, urgent: bool = False) -> Iterator[sqlite3.Connection]:
        with self._connections.turn(urgent=urgent), self._connection(doing) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _snapshot(self) -> Iterator[sqlite3.Connection]:
        with self._connection("read") as connection:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def _connection(self, doing: str) -> Iterator[sqlite3.Connection]:
        try:
            with self._connections.use() as connection:
                yield connection
        except (sqlite3.Error, OSError) as error:
            raise explained(error, self.path, doing) from error
