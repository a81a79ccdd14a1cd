"""Sums of a SQLite history's rows, kept beside them: the definitions in SQL (docs/schema.md).

What a row adds is said once more in store/measures.py, in Python; a test holds both equal.
store/summed.py reads them.
Rows up to the id ``summed`` (in ``meta``) are in the sums, but for pending ones, which are added
when somebody asks. Every function works on an open connection; the transaction around it is the
caller's. All raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import inf
from typing import Any, Final

from budget_proxy.store.measures import (
    CALIBRATED,
    CONFIDENCE_EDGES,
    MODES,
    MOST_TOKENS,
    USE_EDGES,
)
from budget_proxy.store.scoring import OVER, UNDER, efficiency_sql, expected_sql, risk_sql
from budget_proxy.store.sums import (
    DAY,
    FINE,
    KEYS,
    LATEST,
    QUARTER,
    SPANS,
    SUMMED,
    bucket_of,
)
from budget_proxy.types import LEVELS, NO_ANSWER, NO_PROVIDER

WITHOUT_QUARTERS: Final = "without_quarters"
"""A name in ``meta`` that is there while rows are still to be summed by quarter of an hour."""

EVERY: Final = 256
"""Rows after which sums are brought up to date: no question has more to add up by itself, and the
rows that come meanwhile do not wait long."""

_STEP: Final = 20_000


def _tokens(expression: str) -> str:
    return f"sum(min({expression}, {MOST_TOKENS}))"


def _any(values: Iterable[str]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


def _uses() -> Iterator[tuple[str, str]]:
    edges = (-inf, *USE_EDGES, inf)
    for index, (low, high) in enumerate(pairwise(edges), 1):
        terms = [f"use >= {low}"] * (low > -inf) + [f"use < {high}"] * (high < inf)
        yield f"use_{index}", f"sum({' AND '.join(terms)})"


def _levels() -> Iterator[tuple[str, str]]:
    for level in LEVELS:
        q, told = f"q{100 * level:.0f}", f"known AND calibrated AND bound >= q{100 * level:.0f}"
        yield f"told_{q[1:]}", f"sum({told})"
        yield f"held_{q[1:]}", f"sum({told} AND length <= {q} AND NOT truncated)"


def _tenths() -> Iterator[tuple[str, str]]:
    """Promised calls by their confidence."""
    edges = (-inf, *CONFIDENCE_EDGES, inf)
    for index, (low, high) in enumerate(pairwise(edges), 1):
        terms = [f"confidence >= {low}"] * (low > -inf) + [f"confidence < {high}"] * (high < inf)
        its = " AND ".join([_PROMISED, *terms])
        yield f"promised_{index}", f"sum({its})"
        yield f"confidence_{index}", f"sum(CASE WHEN {its} THEN confidence END)"
        yield f"accurate_{index}", f"sum({its} AND NOT {_OVER} AND NOT {_UNDER})"


def _reported() -> Iterator[tuple[str, str]]:
    for name in ("input", "output", "reasoning", "cache_read", "cache_write"):
        yield f"{name}_tokens", _tokens(f"{name}_tokens")
        yield f"{name}_reported", f"count({name}_tokens)"


_FIRST: Final = "attempt = 1"
_OVER: Final = f"(use < {OVER})"
_UNDER: Final = f"(use > {UNDER} OR truncated)"
_PROMISED: Final = "use IS NOT NULL AND calibrated AND confidence IS NOT NULL"
_UNPRICED: Final = (
    f"cost IS NULL AND api <> '{NO_PROVIDER}' "
    "AND NOT (input_tokens IS 0 AND output_tokens IS 0)"
)  # fmt: skip
_SUMS: Final[Mapping[str, str]] = {
    "calls": f"sum({_FIRST})",
    "attempts": "count(*)",
    "failed": f"sum(finish_reason IN ({_any(NO_ANSWER)}))",
    "folded": "0",
    **{mode: f"sum({_FIRST} AND mode = '{mode}')" for mode in MODES},
    "holdout": f"sum({_FIRST} AND arm = 'holdout')",
    "estimated": "sum(NOT exact)",
    "truncated": "sum(truncated)",
    "truncated_by_us": "sum(cut_by_us)",
    "resent": "sum(resent)",
    "priced": "count(cost)",
    "unpriced": f"sum({_UNPRICED})",
    "cost": "sum(cost)",
    **dict(_reported()),
    "guided": "count(guidance)",
    "guidance_tokens": _tokens("guidance_tokens"),
    "timed": "count(seconds)",
    "seconds": "sum(seconds)",
    "scored": "count(score)",
    "score": "sum(score)",
    "reserved": "count(reserve)",
    "reserve": _tokens("reserve"),
    "limited": "count(ceiling)",
    "ceiling": _tokens("ceiling * choices"),
    "measured": "count(use)",
    "untold": f"sum(known AND bound / recommended < {UNDER})",
    "utilisation": "sum(use)",
    "used": _tokens("CASE WHEN use IS NOT NULL THEN output_tokens END"),
    "recommended": _tokens("CASE WHEN use IS NOT NULL THEN choices * recommended END"),
    "over": f"sum{_OVER}",
    "under": f"sum(use IS NOT NULL AND {_UNDER})",
    "efficiency": f"sum(CASE WHEN use IS NOT NULL THEN {efficiency_sql()} END)",
    "promised": f"sum({_PROMISED})",
    "confidence": "sum(CASE WHEN use IS NOT NULL AND calibrated THEN confidence END)",
    **dict(_uses()),
    **dict(_levels()),
    "cut_tokens": _tokens("CASE WHEN truncated THEN output_tokens END"),
    "cut_cost": "sum(CASE WHEN truncated THEN cost END)",
    "risk": "sum(risk)",
    **dict(_tenths()),
    "expected": "count(risk)",
    "expected_efficiency": f"sum(CASE WHEN risk IS NOT NULL THEN {expected_sql()} END)",
}


def summed(name: str) -> str:
    """One of SUMMED, over the rows of ``of_rows``."""
    return f"coalesce({_SUMS[name]}, 0)"


_COLUMNS: Final = ", ".join(map(summed, SUMMED))

_AS_ABOVE: Final = (
    "attempt", "finish_reason", "mode", "arm", "exact", "truncated", "cut_by_us", "cost", "api",
    "input_tokens", "output_tokens", "reasoning_tokens", "cache_read_tokens", "cache_write_tokens",
    "guidance", "guidance_tokens", "seconds", "score", "reserve", "ceiling", "confidence", "ts",
    "agent", "task_type", "model", "q50", "q75", "q90", "q95", "q99", "recommended", "choices",
    "resent", "calibrated",
)  # fmt: skip
_ROW: Final = f"""
a AS (SELECT *, max(n, 1) AS choices, strategy IN ({_any(CALIBRATED)}) AS calibrated,
  attempt > 1 AND coalesce((SELECT cut_by_us FROM calls AS p
    WHERE p.call_id = calls.call_id AND p.id < calls.id ORDER BY p.id DESC LIMIT 1), 0) AS resent
  FROM {{source}} WHERE {{where}}),
b AS (SELECT *, exact AND NOT resent AND coalesce(output_tokens, 0) <> 0
    AND finish_reason NOT IN ({_any(NO_ANSWER)}) AS known,
  1.0 * output_tokens / choices AS length,
  CASE WHEN truncated THEN 1.0 * output_tokens / choices
    ELSE coalesce(nullif(1.0 * ceiling, 0), 9e999) END AS bound FROM a),
c AS (SELECT {{also}}{", ".join(_AS_ABOVE)}, known, length, bound,
  CASE WHEN known AND recommended <> 0 AND bound / recommended >= {UNDER}
    THEN 1.0 * output_tokens / (choices * recommended) END AS use FROM b),
m AS MATERIALIZED (SELECT *, CASE WHEN {_PROMISED} THEN {risk_sql()} END AS risk FROM c)
"""  # noqa: S608 (our own names)

_ADD: Final = (
    f"ON CONFLICT (span, start, {', '.join(KEYS)}) DO UPDATE SET "
    "first = min(first, excluded.first), last = max(last, excluded.last), "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in SUMMED)
)
"""The same as sums.added."""


def of_rows(where: str, source: str = "calls", also: str = "") -> str:
    """A table ``m`` of rows as ``summed`` wants them, with ``also`` some columns of the source."""
    return _ROW.format(where=where, source=source, also=also)


def _bucket(span: int) -> str:
    """The same as sums.bucket_of."""
    return f"CAST(min(max(ts, 0), {LATEST}) AS INTEGER) / {span} * {span}"


_COPY: Final = f"start, {', '.join(KEYS)}, first, last, {', '.join(SUMMED)}"
_EMPTY: Final = (
    f"CREATE TEMP TABLE IF NOT EXISTS fresh ({_COPY})",
    "DELETE FROM temp.fresh",
)


def _fresh(where: str) -> str:
    """Sum some rows by quarter of an hour, into a table of this connection's own."""
    return (
        f"INSERT INTO temp.fresh ({_COPY}) WITH {of_rows(where)} "  # noqa: S608 (our own names)
        f"SELECT {_bucket(QUARTER)}, {', '.join(KEYS)}, min(ts), max(ts), {_COLUMNS} FROM m "
        f"GROUP BY 1, {', '.join(KEYS)}"
    )


_NEW: Final = _fresh("id > ? AND id <= ? AND NOT pending")
_OLD_PENDING: Final = _fresh("id IN (SELECT value FROM json_each(?)) AND pending")
_OLD: Final = _fresh("id <= ? AND NOT pending AND max(ts, 0) >= ?")
_KEEP: Final = {
    span: f"INSERT INTO sums (span, {_COPY}) SELECT {span}, start / {span} * {span} AS whole, "  # noqa: S608 (our own names)
    f"{', '.join(KEYS)}, min(first), max(last), {', '.join(f'sum({name})' for name in SUMMED)} "
    f"FROM temp.fresh WHERE true GROUP BY whole, {', '.join(KEYS)} {_ADD}"
    for span in SPANS
}
_FOLDED: Final = [
    f"INSERT INTO sums (span, start, {', '.join(KEYS)}, first, last, folded) "  # noqa: S608 (our own names)
    f"SELECT {span}, {_bucket(span)}, {', '.join(KEYS)}, min(ts), max(ts), count(*) FROM calls "
    f"WHERE id IN (SELECT value FROM json_each(?)) GROUP BY 2, {', '.join(KEYS)} "
    f"ON CONFLICT (span, start, {', '.join(KEYS)}) DO UPDATE SET folded = folded + excluded.folded"
    for span in SPANS
]


def behind(connection: sqlite3.Connection) -> int:
    """How many ids have been given since the sums were up to date."""
    newest = connection.execute("SELECT coalesce(max(id), 0) FROM calls").fetchone()[0]
    return int(newest) - number(connection, "summed")


def catch_up(connection: sqlite3.Connection) -> bool:
    """Add what was written since; whether some is left."""
    left = behind(connection)
    if left <= 0:
        return False
    newest = number(connection, "summed")
    until = newest + min(left, _STEP)
    _keep(connection, _NEW, (newest, until))
    _set(connection, "summed", until)
    return left > _STEP


def quarter(connection: sqlite3.Connection) -> None:
    """Sum rows by quarter of an hour that an earlier version summed by half hour (m016_quarters).

    Some twenty seconds a million rows; nothing where that is done.
    """
    if connection.execute("DELETE FROM meta WHERE name = ?", (WITHOUT_QUARTERS,)).rowcount:
        known = number(connection, "summed"), number(connection, "fine")
        _keep(connection, _OLD, known, (QUARTER,))


def scored(connection: sqlite3.Connection, call_id: str, score: float) -> bool:
    """Attach a score to a call's newest attempt; false if there is no such call."""
    row = connection.execute(
        f"SELECT id, pending, score, ts, {', '.join(KEYS)} FROM calls "  # noqa: S608 (our own names)
        "WHERE call_id = ? ORDER BY id DESC LIMIT 1",
        (call_id,),
    ).fetchone()
    if row is None:
        return False
    id_, pending, old, ts, *keys = row
    connection.execute("UPDATE calls SET score = ? WHERE id = ?", (score, id_))
    if not pending and id_ <= number(connection, "summed"):
        for span in SPANS:
            connection.execute(
                "UPDATE sums SET scored = scored + ?, score = score + ? "  # noqa: S608 (our own names)
                f"WHERE span = ? AND start = ? AND {' AND '.join(f'{name} = ?' for name in KEYS)}",
                (int(old is None), score - (old or 0.0), span, bucket_of(ts, span), *keys),
            )
    return True


def let_go(connection: sqlite3.Connection, ids: str) -> None:
    """Before rows (a JSON array of ids) are deleted: mark their sums, which must be up to date.

    Quarters and hours are then kept for FINE before the newest call, days for ever.
    """
    _keep(connection, _OLD_PENDING, (ids,))
    for statement in _FOLDED:
        connection.execute(statement, (ids,))
    newest = connection.execute("SELECT max(start) FROM sums WHERE span = ?", (DAY,)).fetchone()[0]
    fine = max(number(connection, "fine"), int(newest or 0) - FINE)
    _set(connection, "fine", fine)
    connection.execute("DELETE FROM sums WHERE span <> ? AND start < ?", (DAY, fine))


def folded(connection: sqlite3.Connection) -> list[tuple[int, str, str]]:
    """The (start of the day, agent, model) of which some rows are folded."""
    found = connection.execute(
        "SELECT DISTINCT start, agent, model FROM sums WHERE span = ? AND folded > 0 "
        "ORDER BY start, agent, model",
        (DAY,),
    )
    return [(start, agent, model) for start, agent, model in found]


def _keep(
    connection: sqlite3.Connection,
    fresh: str,
    numbers: Sequence[Any],
    spans: Iterable[int] = SPANS,
) -> None:
    """Add what ``fresh`` sums to what is kept of some ``spans``."""
    for statement in _EMPTY:
        connection.execute(statement)
    connection.execute(fresh, numbers)
    for span in spans:
        connection.execute(_KEEP[span])


def number(connection: sqlite3.Connection, name: str) -> int:
    """A number that ``meta`` has under this name; 0 where it has none."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def _set(connection: sqlite3.Connection, name: str, value: int) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))
