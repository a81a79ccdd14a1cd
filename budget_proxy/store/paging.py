"""Pages of a SQLite history's rows, newest first, in a time that does not grow with the history.

Every function works on an open connection. All raise sqlite3.Error.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import Any, Final

from budget_proxy.store import rows
from budget_proxy.store.pages import Asked, Page, Place, page_of
from budget_proxy.types import CallRecord, frozen

LOOK: Final = 5_000
"""Rows that one page looks at, at most, for those that all of its conditions hold for."""

_MOST_GROUPS: Final = 1_000
_CHUNK: Final = 500
_CALL: Final = f"SELECT {', '.join(rows.CALL_COLUMNS)} FROM calls"  # noqa: S608 (our own names)
_GROUP: Final = ("agent", "task_type", "model")
_STOP: Final = "stop"

Range = tuple[str, tuple[Any, ...]]
"""A condition on the first columns of an index, and its values."""


@frozen
class Source:
    """Rows that an index has in order of time: those of some ranges of it."""

    index: str
    ranges: tuple[Range, ...] = (("true", ()),)


def read(connection: sqlite3.Connection, asked: Asked) -> Page:
    """The newest rows that are asked for.

    Looked through is the index that has the fewest candidates. Where the conditions are each
    common but hardly ever hold together, the page is short after LOOK of them.
    """
    source = min(_sources(connection, asked), key=lambda one: _count(connection, one, asked))
    candidates = _places(connection, source, asked)
    found: list[CallRecord] = []
    looked = 0
    while looked < LOOK and len(found) <= asked.limit:
        chunk = min(_CHUNK if looked else asked.limit + 1, LOOK - looked)
        places = list(islice(candidates, chunk))
        if not places:
            return page_of(found, asked.limit)
        looked += len(places)
        found += _rows(connection, places, asked.where)
        last = places[-1]
    return page_of(found, asked.limit, last)


def _sources(connection: sqlite3.Connection, asked: Asked) -> Iterator[Source]:
    """The indexes that know some condition; of equals the first leads."""
    where = asked.where
    if where.get("run") is not None:
        yield Source("calls_run", (("run = ?", (where["run"],)),))
    if where.get("truncated"):
        yield Source("calls_truncated", (("truncated = 1", ()),))
    if where.get("finish_reason", _STOP) != _STOP:
        clause = f"finish_reason = ? AND finish_reason <> '{_STOP}'"
        yield Source("calls_finish", ((clause, (where["finish_reason"],)),))
    if where.get("arm") == "holdout":
        yield Source("calls_holdout", (("arm = 'holdout'", ()),))
    if any(name in where for name in _GROUP):
        groups = list(islice(_groups(connection, where), _MOST_GROUPS + 1))
        if len(groups) <= _MOST_GROUPS:
            clause = " AND ".join(f"{name} = ?" for name in _GROUP)
            yield Source("calls_group", tuple((clause, group) for group in groups))
    yield Source("calls_ts")
    if where.get("session") is not None:  # last: its rows must be sorted, so not those of many
        yield Source("calls_session", (("session = ?", (where["session"],)),))


def _groups(
    connection: sqlite3.Connection, where: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """The groups that there are, by leaping from one to the next in the index."""
    leading = [name for name in _GROUP[:2] if name in where]
    fixed = leading if leading == list(_GROUP[: len(leading)]) else []
    free = _GROUP[len(fixed) :]
    given = [where[name] for name in fixed]
    terms = [f"{name} = ?" for name in fixed]
    columns = ", ".join(free)
    order = f"ORDER BY {columns} LIMIT 1"
    # (past the last time of the group: SQLite would step through all of its rows)
    after = f"({columns}, ts) > ({', '.join('?' * len(free))}, 9e999)"
    table = f"SELECT {', '.join(_GROUP)} FROM calls INDEXED BY calls_group"  # noqa: S608 (our own names)
    at = connection.execute(f"{table} WHERE {' AND '.join([*terms, 'true'])} {order}", given)
    query = f"{table} WHERE {' AND '.join([*terms, after])} {order}"
    while (group := at.fetchone()) is not None:
        if all(where.get(name, value) == value for name, value in zip(_GROUP, group, strict=True)):
            yield group
        at = connection.execute(query, [*given, *group[len(fixed) :]])


def _count(connection: sqlite3.Connection, source: Source, asked: Asked) -> int:
    """How many candidates a source has, if fewer than LOOK."""
    count = 0
    for clause, values in source.ranges:
        if count < LOOK:
            query, given = _scan(source.index, clause, values, asked)
            counting = f"SELECT count(*) FROM ({query} LIMIT ?)"  # noqa: S608 (our own names)
            count += connection.execute(counting, [*given, LOOK - count]).fetchone()[0]
    return count


def _places(connection: sqlite3.Connection, source: Source, asked: Asked) -> Iterator[Place]:
    order = "ORDER BY ts DESC, id DESC"
    scans = (_scan(source.index, clause, values, asked) for clause, values in source.ranges)
    cursors = [connection.execute(f"{query} {order}", given) for query, given in scans]
    return (Place(*place) for place in merge(*cursors, reverse=True))


def _scan(index: str, clause: str, values: Sequence[Any], asked: Asked) -> tuple[str, list[Any]]:
    terms, given = [clause], [*values]
    if asked.start is not None:
        terms, given = [*terms, "ts >= ?"], [*given, asked.start]
    if asked.end is not None:
        terms, given = [*terms, "ts < ?"], [*given, asked.end]
    if asked.before is not None:
        terms += ["ts <= ?", "(ts < ? OR id < ?)"]
        given += [asked.before.ts, asked.before.ts, asked.before.id]
    query = f"SELECT ts, id FROM calls INDEXED BY {index} WHERE {' AND '.join(terms)}"  # noqa: S608 (our own names)
    return query, given


def _rows(
    connection: sqlite3.Connection, places: Sequence[Place], where: Mapping[str, Any]
) -> list[CallRecord]:
    # (the pluses keep SQLite from looking through an index in place of those few rows)
    terms = ["id IN (SELECT value FROM json_each(?))", *(f"+{name} IS ?" for name in where)]
    values = [rows.condition(name, value) for name, value in where.items()]
    ids = json.dumps([place.id for place in places])
    found = connection.execute(
        f"{_CALL} WHERE {' AND '.join(terms)} ORDER BY +ts DESC, id DESC", [ids, *values]
    )
    return [rows.read_call(row) for row in found]
