"""Bills in SQLite, and what its rows say was used and paid, by half hours.

The functions work on an open connection; the transaction around it is the caller's. All raise
sqlite3.Error.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from budget_proxy.store import script
from budget_proxy.store.billed import (
    DAY,
    HALF_HOUR,
    MOST_DOLLARS,
    NANO,
    Billed,
    Spent,
    Taken,
    sorted_out,
)
from budget_proxy.store.measures import MOST_TOKENS
from budget_proxy.types import NO_ANSWER, NO_PROVIDER

if TYPE_CHECKING:
    from sqlite_utils import Database

_COLUMNS: Final = (
    "provider", "report", "day", "model", "kind", "item", "tier", "project", "amount", "tokens",
    "requests", "file", "digest", "imported",
)  # fmt: skip
_values: Final = attrgetter(*_COLUMNS)
_READ: Final = f"SELECT {', '.join(_COLUMNS)} FROM billed"  # noqa: S608 (our own names)
_SAVE: Final = (
    f"INSERT INTO billed ({', '.join(_COLUMNS)}) "  # noqa: S608 (our own names)
    f"VALUES ({', '.join('?' * len(_COLUMNS))})"
)


def _bounded(column: str) -> str:
    return f"min(max(coalesce({column}, 0), 0), {MOST_TOKENS})"


_FAILED: Final = ", ".join(f"'{reason}'" for reason in sorted(NO_ANSWER))
_FLAGS: Final = ("exact", "priced", "failed", "repeated", "late")
_TOLD: Final = ("start", "api", "host", "model", "tier", "prices", *_FLAGS)
_SPENT: Final = f"""
    SELECT {", ".join(_TOLD)}, count(*), sum(max(given - cached - written, 0)), sum(cached),
        sum(written), sum(output), sum(amount)
    FROM (
        SELECT
            CAST(ts AS INTEGER) / {HALF_HOUR} * {HALF_HOUR} AS start,
            api, host, model, coalesce(tier, '') AS tier,
            coalesce(prices, '') AS prices, exact,
            cost IS NOT NULL AS priced,
            finish_reason IN ({_FAILED}) AS failed,
            coalesce(input_tokens, 0) + coalesce(output_tokens, 0) <> 0 AND EXISTS (
                SELECT 1 FROM calls AS before
                WHERE before.ts = calls.ts AND before.id < calls.id
                    AND before.model = calls.model AND before.attempt = calls.attempt
                    AND before.input_tokens IS calls.input_tokens
                    AND before.output_tokens IS calls.output_tokens
                    AND before.api <> '{NO_PROVIDER}'
            ) AS repeated,
            ts - CAST(ts AS INTEGER) / {DAY} * {DAY} + coalesce(seconds, 0) >= {DAY} AS late,
            {_bounded("input_tokens")} AS given, {_bounded("cache_read_tokens")} AS cached,
            {_bounded("cache_write_tokens")} AS written, {_bounded("output_tokens")} AS output,
            CAST(min(max(coalesce(cost, 0), 0), {MOST_DOLLARS}) * {NANO} + 0.5 AS INTEGER)
                AS amount
        FROM calls WHERE ts >= ? AND ts < ? AND api <> '{NO_PROVIDER}'
    )
    GROUP BY {", ".join(_TOLD)}
    ORDER BY {", ".join(_TOLD)}
"""  # noqa: S608 (our own names)


def m012_billed(db: Database) -> None:
    """Keep what providers' exports say they billed."""
    script.run(
        db,
        """
        CREATE TABLE billed (
            id INTEGER PRIMARY KEY,
            provider TEXT NOT NULL,
            report TEXT NOT NULL,
            day TEXT NOT NULL,
            model TEXT NOT NULL,
            kind TEXT NOT NULL,
            item TEXT NOT NULL,
            tier TEXT NOT NULL,
            project TEXT NOT NULL,
            amount INTEGER,
            tokens INTEGER,
            requests INTEGER,
            file TEXT NOT NULL,
            digest TEXT NOT NULL,
            imported REAL NOT NULL
        );
        CREATE INDEX billed_day ON billed (day, provider, report);
    """,
    )


def save(connection: sqlite3.Connection, lines: Sequence[Billed]) -> Taken:
    """Write an export's lines in place of those of the same scope."""
    scopes = {line.scope for line in lines}
    days = json.dumps(sorted({day for _, _, day in scopes}))
    rows = connection.execute(
        f"SELECT id, {', '.join(_COLUMNS)} FROM billed "  # noqa: S608 (our own names)
        "WHERE day IN (SELECT value FROM json_each(?)) ORDER BY id",
        (days,),
    ).fetchall()
    there = [(row[0], Billed(*row[1:])) for row in rows]
    known = [(number, line) for number, line in there if line.scope in scopes]
    going, coming, unchanged = sorted_out([line for _, line in known], lines)
    gone = set(map(id, going))
    connection.executemany(
        "DELETE FROM billed WHERE id = ?",
        [(number,) for number, line in known if id(line) in gone],
    )
    connection.executemany(_SAVE, map(_values, coming))
    return Taken(len(coming), unchanged, tuple(going))


def read(connection: sqlite3.Connection, first: str, last: str) -> list[Billed]:
    """Give the lines of some days, the earliest first."""
    query = f"{_READ} WHERE day >= ? AND day <= ? ORDER BY day, id"
    return [Billed(*row) for row in connection.execute(query, (first, last))]


def spent(connection: sqlite3.Connection, start: float, end: float) -> list[Spent]:
    """Give what rows by time [start, end) used and cost."""
    flags = range(len(_TOLD) - len(_FLAGS), len(_TOLD))
    found = []
    for row in connection.execute(_SPENT, (start, end)):
        values = list(row)
        for place in flags:
            values[place] = bool(values[place])
        found.append(Spent(*values))
    return found
