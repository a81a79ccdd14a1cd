"""Sums of a SQLite history, read: those that are kept, and of the rows that are in none.

Every function works on an open connection; the transaction around it is the caller's. All raise
sqlite3.Error.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from budget_proxy.store.summing import behind, number, of_rows, summed
from budget_proxy.store.sums import KEYS, OTHER, SUMMED, Sums, merged, pieces_of

_MOST: Final = 1.7e308
"""No time is beyond it: JSON has no infinity."""


def read(
    connection: sqlite3.Connection,
    edges: Sequence[float],
    by: Sequence[str],
    only: Collection[str],
    apart: Sequence[tuple[str, ...]] | None,
    where: Mapping[str, Any],
) -> list[list[Sums]]:
    """The sums of the rows between each two ``edges`` by some of KEYS, as one snapshot.

    Of those that are kept ``only`` some are read, and 0 in place of the others. Told ``apart``
    are all groups, or these.
    """
    asked = _Asked(connection, by, frozenset(only), apart, where)
    spans = list(pairwise(edges))
    found: list[list[Sums]] = [[] for _ in spans]
    for place, sums in _found(asked, spans):
        found[place].append(sums)
    return [merged(parts, by) for parts in found]


class _Asked(NamedTuple):
    """What is asked for: ``only`` these sums, ``by`` some keys, of some calls."""

    connection: sqlite3.Connection
    by: Sequence[str]
    only: Collection[str]
    apart: Sequence[tuple[str, ...]] | None
    where: Mapping[str, Any]


def _found(asked: _Asked, spans: Sequence[tuple[float, float]]) -> Iterator[tuple[int, Sums]]:
    """Sums with the number of the span that they are of; those of a span are to be added up."""
    whole = [(place, *span) for place, span in enumerate(spans)]
    if not set(asked.where) <= set(KEYS):
        yield from _rows(asked, whole, "true")
        return
    connection = asked.connection
    newest, fine = number(connection, "summed"), number(connection, "fine")
    pieces = [(place, pieces_of(*span, fine)) for place, span in enumerate(spans)]
    yield from _kept(asked, [(place, *kept) for place, its in pieces for kept in its.kept])
    edges = [(place, *edge) for place, its in pieces for edge in its.edges]
    if edges:
        # (the plus keeps SQLite from reading all rows up to an id in place of those of an hour)
        yield from _rows(asked, edges, "+id <= ? AND NOT pending", newest)
    if behind(connection) > 0:
        yield from _rows(asked, whole, "id > ? AND NOT pending", newest, few=True)
    if connection.execute("SELECT EXISTS (SELECT 1 FROM calls WHERE pending)").fetchone()[0]:
        yield from _rows(asked, whole, "pending", few=True)


def _kept(
    asked: _Asked, pieces: Sequence[tuple[int, int, float, float]]
) -> Iterator[tuple[int, Sums]]:
    """Kept sums of pieces: the number of a span, the kind of sums, from, until."""
    terms = ["s.span = p.span", "start >= low", "start < high", *_terms(asked)]
    columns = _columns(asked, "sum({})".format)
    table, joined, named = _apart(asked)
    query = (
        f"WITH {table} spans AS MATERIALIZED (SELECT json_extract(value, '$[0]') AS number, "  # noqa: S608 (our own names)
        "json_extract(value, '$[1]') AS span, json_extract(value, '$[2]') AS low, "
        "json_extract(value, '$[3]') AS high FROM json_each(?)) "
        f"SELECT number, {_keys(asked)}, min(first), max(last), {columns} "
        f"FROM spans AS p CROSS JOIN sums AS s {joined} WHERE {' AND '.join(terms)} "
        f"GROUP BY number, {_grouping(asked)}"
    )
    given = json.dumps([(n, span, _bounded(low), _bounded(high)) for n, span, low, high in pieces])
    return _read(asked, query, [*named, given, *asked.where.values()])


def _rows(
    asked: _Asked,
    spans: Sequence[tuple[int, float, float]],
    which: str,
    *numbers: int,
    few: bool = False,
) -> Iterator[tuple[int, Sums]]:
    """Sums of the rows of spans (number, from, until); ``few``: ``which`` finds only some."""
    source = "calls CROSS JOIN spans" if few else "spans CROSS JOIN calls"
    terms = " AND ".join([which, "ts >= low", "ts < high", *_terms(asked)])
    columns = _columns(asked, summed)
    table, joined, named = _apart(asked)
    query = (
        f"WITH {table} spans AS MATERIALIZED (SELECT json_extract(value, '$[0]') AS number, "  # noqa: S608 (our own names)
        "json_extract(value, '$[1]') AS low, json_extract(value, '$[2]') AS high "
        f"FROM json_each(?)), {of_rows(terms, source, 'number, ')} "
        f"SELECT number, {_keys(asked)}, min(ts), max(ts), {columns} FROM m {joined} "
        f"GROUP BY number, {_grouping(asked)}"
    )
    given = json.dumps([(number, _bounded(low), _bounded(high)) for number, low, high in spans])
    return _read(asked, query, [*named, given, *numbers, *asked.where.values()])


def _read(asked: _Asked, query: str, values: Sequence[Any]) -> Iterator[tuple[int, Sums]]:
    return ((place, Sums(*row)) for place, *row in asked.connection.execute(query, values))


def _columns(asked: _Asked, expression: Callable[[str], str]) -> str:
    return ", ".join(expression(name) if name in asked.only else "0" for name in SUMMED)


def _terms(asked: _Asked) -> list[str]:
    return [f"{name} IS ?" for name in asked.where]


def _apart(asked: _Asked) -> tuple[str, str, list[str]]:
    """A table of the groups that are told apart, how it is joined, and its values."""
    if asked.apart is None:
        return "", "", []
    by = [name for name in KEYS if name in asked.by]
    rows = [f"({place}, {', '.join('?' * len(by))})" for place, _ in enumerate(asked.apart)]
    rows.append(f"(NULL{', NULL' * len(by)})")  # a table that is empty cannot be written
    table = (
        f"apart (place, {', '.join(f'its_{name}' for name in by)}) AS (VALUES {', '.join(rows)}),"
    )
    joined = f"LEFT JOIN apart ON {' AND '.join(f'its_{name} = {name}' for name in by)}"
    return table, joined, [name for group in asked.apart for name in group]


def _keys(asked: _Asked) -> str:
    told = "{}" if asked.apart is None else f"coalesce(its_{{}}, '{OTHER}')"
    return ", ".join(
        f"{told.format(name) if name in asked.by else repr('')} AS {name}" for name in KEYS
    )


def _grouping(asked: _Asked) -> str:
    """By a constant where there are no groups: then no rows give no group."""
    if asked.apart is not None:
        return "place"
    return ", ".join(name for name in KEYS if name in asked.by) or "''"


def _bounded(ts: float) -> float:
    return max(min(ts, _MOST), -_MOST)
