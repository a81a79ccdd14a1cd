"""How the tables came to be: an append-only list of steps, each applied once.

A step is never edited after a release; what it makes is described in docs/schema.md. Columns
that are added later have a default, so that an older version can still write. sqlite-utils
keeps the account of applied steps; it is imported only where a step is pending, because it
brings pandas along where that is installed (a second).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

from budget_proxy.store import script
from budget_proxy.store.alerting import TABLES as ALERT_TABLES
from budget_proxy.store.alerting import m006_alerts
from budget_proxy.store.attained import m010_attainable_efficiency
from budget_proxy.store.beginnings import m001_first_tables, m002_pending, m003_features
from budget_proxy.store.billing import m012_billed
from budget_proxy.store.keying import m011_keys
from budget_proxy.store.limiting import TABLES as LIMIT_TABLES
from budget_proxy.store.limiting import m013_limits, m015_expired
from budget_proxy.store.quarters import m016_quarters
from budget_proxy.store.running import TABLES as RUN_TABLES
from budget_proxy.store.running import m014_runs

if TYPE_CHECKING:
    from sqlite_utils import Database

SET = "budget_proxy"
TABLES = (
    "calls", "sessions", "guidance", "features", "fits", "meta", "sums", *ALERT_TABLES, "applied",
    *LIMIT_TABLES, "keys", "billed", *RUN_TABLES,
)  # fmt: skip


_OF_DAYS = (
    "calls", "attempts", "failed", "observe", "guide", "enforce", "estimated", "truncated",
    "truncated_by_us", "resent", "priced", "unpriced", "cost", "input_tokens",
    "input_reported", "output_tokens", "output_reported", "reasoning_tokens",
    "reasoning_reported", "cache_read_tokens", "cache_write_tokens", "guidance_tokens",
    "timed", "seconds", "scored", "score", "measured", "untold", "utilisation", "over",
    "under", "efficiency", "promised", "confidence", "use_1", "use_2", "use_3", "use_4",
    "use_5", "use_6", "use_7", "use_8", "use_9", "told_50", "held_50", "told_75", "held_75",
    "told_90", "held_90", "told_95", "held_95", "told_99", "held_99",
)  # fmt: skip
_FRACTIONS_OF_DAYS = {"cost", "seconds", "score", "utilisation", "efficiency", "confidence"}


def m004_days(db: Database) -> None:
    """Make the sums by day that old calls are folded into."""
    numbers = ", ".join(
        f"{name} {'REAL' if name in _FRACTIONS_OF_DAYS else 'INTEGER'} NOT NULL DEFAULT 0"
        for name in _OF_DAYS
    )
    script.run(
        db,
        f"""
        CREATE TABLE days (
            day TEXT NOT NULL, agent TEXT NOT NULL, task_type TEXT NOT NULL, model TEXT NOT NULL,
            arm TEXT NOT NULL, finish_reason TEXT NOT NULL, first REAL NOT NULL, last REAL NOT NULL,
            {numbers},
            PRIMARY KEY (day, agent, task_type, model, arm, finish_reason)
        );
    """,
    )


def m005_sums(db: Database) -> None:
    """Keep sums of all calls, half hour by half hour and day by day, in place of folded days."""
    script.run(
        db,
        """
        CREATE TABLE sums (
            span INTEGER NOT NULL,
            start INTEGER NOT NULL,
            agent TEXT NOT NULL,
            task_type TEXT NOT NULL,
            model TEXT NOT NULL,
            arm TEXT NOT NULL,
            first REAL NOT NULL,
            last REAL NOT NULL,
            calls INTEGER NOT NULL DEFAULT 0,
            attempts INTEGER NOT NULL DEFAULT 0,
            failed INTEGER NOT NULL DEFAULT 0,
            folded INTEGER NOT NULL DEFAULT 0,
            observe INTEGER NOT NULL DEFAULT 0,
            guide INTEGER NOT NULL DEFAULT 0,
            enforce INTEGER NOT NULL DEFAULT 0,
            holdout INTEGER NOT NULL DEFAULT 0,
            estimated INTEGER NOT NULL DEFAULT 0,
            truncated INTEGER NOT NULL DEFAULT 0,
            truncated_by_us INTEGER NOT NULL DEFAULT 0,
            resent INTEGER NOT NULL DEFAULT 0,
            priced INTEGER NOT NULL DEFAULT 0,
            unpriced INTEGER NOT NULL DEFAULT 0,
            cost REAL NOT NULL DEFAULT 0,
            input_tokens INTEGER NOT NULL DEFAULT 0,
            input_reported INTEGER NOT NULL DEFAULT 0,
            output_tokens INTEGER NOT NULL DEFAULT 0,
            output_reported INTEGER NOT NULL DEFAULT 0,
            reasoning_tokens INTEGER NOT NULL DEFAULT 0,
            reasoning_reported INTEGER NOT NULL DEFAULT 0,
            cache_read_tokens INTEGER NOT NULL DEFAULT 0,
            cache_read_reported INTEGER NOT NULL DEFAULT 0,
            cache_write_tokens INTEGER NOT NULL DEFAULT 0,
            cache_write_reported INTEGER NOT NULL DEFAULT 0,
            guided INTEGER NOT NULL DEFAULT 0,
            guidance_tokens INTEGER NOT NULL DEFAULT 0,
            timed INTEGER NOT NULL DEFAULT 0,
            seconds REAL NOT NULL DEFAULT 0,
            scored INTEGER NOT NULL DEFAULT 0,
            score REAL NOT NULL DEFAULT 0,
            reserved INTEGER NOT NULL DEFAULT 0,
            reserve INTEGER NOT NULL DEFAULT 0,
            limited INTEGER NOT NULL DEFAULT 0,
            ceiling INTEGER NOT NULL DEFAULT 0,
            measured INTEGER NOT NULL DEFAULT 0,
            untold INTEGER NOT NULL DEFAULT 0,
            utilisation REAL NOT NULL DEFAULT 0,
            used INTEGER NOT NULL DEFAULT 0,
            recommended INTEGER NOT NULL DEFAULT 0,
            over INTEGER NOT NULL DEFAULT 0,
            under INTEGER NOT NULL DEFAULT 0,
            efficiency REAL NOT NULL DEFAULT 0,
            promised INTEGER NOT NULL DEFAULT 0,
            confidence REAL NOT NULL DEFAULT 0,
            use_1 INTEGER NOT NULL DEFAULT 0,
            use_2 INTEGER NOT NULL DEFAULT 0,
            use_3 INTEGER NOT NULL DEFAULT 0,
            use_4 INTEGER NOT NULL DEFAULT 0,
            use_5 INTEGER NOT NULL DEFAULT 0,
            use_6 INTEGER NOT NULL DEFAULT 0,
            use_7 INTEGER NOT NULL DEFAULT 0,
            use_8 INTEGER NOT NULL DEFAULT 0,
            use_9 INTEGER NOT NULL DEFAULT 0,
            told_50 INTEGER NOT NULL DEFAULT 0,
            held_50 INTEGER NOT NULL DEFAULT 0,
            told_75 INTEGER NOT NULL DEFAULT 0,
            held_75 INTEGER NOT NULL DEFAULT 0,
            told_90 INTEGER NOT NULL DEFAULT 0,
            held_90 INTEGER NOT NULL DEFAULT 0,
            told_95 INTEGER NOT NULL DEFAULT 0,
            held_95 INTEGER NOT NULL DEFAULT 0,
            told_99 INTEGER NOT NULL DEFAULT 0,
            held_99 INTEGER NOT NULL DEFAULT 0,
            cut_tokens INTEGER NOT NULL DEFAULT 0,
            cut_cost REAL NOT NULL DEFAULT 0,
            risk REAL NOT NULL DEFAULT 0,
            promised_1 INTEGER NOT NULL DEFAULT 0,
            promised_2 INTEGER NOT NULL DEFAULT 0,
            promised_3 INTEGER NOT NULL DEFAULT 0,
            promised_4 INTEGER NOT NULL DEFAULT 0,
            promised_5 INTEGER NOT NULL DEFAULT 0,
            promised_6 INTEGER NOT NULL DEFAULT 0,
            promised_7 INTEGER NOT NULL DEFAULT 0,
            promised_8 INTEGER NOT NULL DEFAULT 0,
            promised_9 INTEGER NOT NULL DEFAULT 0,
            promised_10 INTEGER NOT NULL DEFAULT 0,
            confidence_1 REAL NOT NULL DEFAULT 0,
            confidence_2 REAL NOT NULL DEFAULT 0,
            confidence_3 REAL NOT NULL DEFAULT 0,
            confidence_4 REAL NOT NULL DEFAULT 0,
            confidence_5 REAL NOT NULL DEFAULT 0,
            confidence_6 REAL NOT NULL DEFAULT 0,
            confidence_7 REAL NOT NULL DEFAULT 0,
            confidence_8 REAL NOT NULL DEFAULT 0,
            confidence_9 REAL NOT NULL DEFAULT 0,
            confidence_10 REAL NOT NULL DEFAULT 0,
            accurate_1 INTEGER NOT NULL DEFAULT 0,
            accurate_2 INTEGER NOT NULL DEFAULT 0,
            accurate_3 INTEGER NOT NULL DEFAULT 0,
            accurate_4 INTEGER NOT NULL DEFAULT 0,
            accurate_5 INTEGER NOT NULL DEFAULT 0,
            accurate_6 INTEGER NOT NULL DEFAULT 0,
            accurate_7 INTEGER NOT NULL DEFAULT 0,
            accurate_8 INTEGER NOT NULL DEFAULT 0,
            accurate_9 INTEGER NOT NULL DEFAULT 0,
            accurate_10 INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (span, start, agent, task_type, model, arm)
        ) WITHOUT ROWID;

        CREATE INDEX calls_pending ON calls (ts) WHERE pending;
        CREATE INDEX calls_truncated ON calls (id) WHERE truncated;
    """,
    )
    same = ", ".join(_OF_DAYS)
    db.execute(
        f"INSERT INTO sums (span, start, agent, task_type, model, arm, first, last, {same}, "  # noqa: S608 (our own names)
        "folded, holdout, cache_read_reported, cache_write_reported) "
        "SELECT 86400, CAST(strftime('%s', day) AS INTEGER), agent, task_type, model, arm, "
        f"min(first), max(last), {', '.join(f'sum({name})' for name in _OF_DAYS)}, "
        "sum(attempts), sum(CASE arm WHEN 'holdout' THEN calls ELSE 0 END), "
        "sum(CASE WHEN cache_read_tokens THEN attempts ELSE 0 END), "
        "sum(CASE WHEN cache_write_tokens THEN attempts ELSE 0 END) "
        "FROM days GROUP BY 2, agent, task_type, model, arm"
    )
    db.execute(
        "INSERT INTO meta (name, value) SELECT 'fine', max(start) + 86400 FROM sums "
        "HAVING count(*) > 0"
    )
    db.execute("DROP TABLE days")


def m007_applied(db: Database) -> None:
    """Remember which suggestions were applied to the settings file, so that they can be undone."""
    script.run(
        db,
        """
        CREATE TABLE applied (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            ts REAL NOT NULL, suggestion TEXT NOT NULL, file TEXT NOT NULL, path TEXT NOT NULL,
            before TEXT,
            after TEXT NOT NULL, removed TEXT NOT NULL, added TEXT NOT NULL,
            digest_before TEXT,
            digest_after TEXT NOT NULL,
            undone REAL
        );
    """,
    )


def m009_pages(db: Database) -> None:
    """Find the newest rows of a kind, whatever the size of the history (store/paging.py)."""
    script.run(
        db,
        """
        DROP INDEX calls_group;
        DROP INDEX IF EXISTS calls_truncated;
        CREATE INDEX calls_group ON calls (agent, task_type, model, ts);
        CREATE INDEX calls_run ON calls (run, ts) WHERE run IS NOT NULL;
        CREATE INDEX calls_truncated ON calls (truncated, ts) WHERE truncated = 1;
        CREATE INDEX calls_holdout ON calls (arm, ts) WHERE arm = 'holdout';
        CREATE INDEX calls_finish ON calls (finish_reason, ts) WHERE finish_reason <> 'stop';
    """,
    )


STEPS: tuple[Callable[[Database], None], ...] = (
    m001_first_tables,
    m002_pending,
    m003_features,
    m004_days,
    m005_sums,
    m006_alerts,
    m007_applied,
    m009_pages,
    m010_attainable_efficiency,
    m011_keys,
    m012_billed,
    m013_limits,
    m014_runs,
    m015_expired,
    m016_quarters,
)
"""In the order of application."""


def pending(connection: sqlite3.Connection) -> list[str]:
    """Name the steps that the database still lacks. Raises sqlite3.Error."""
    known = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlite_migrations'"
    ).fetchone()
    applied = set()
    if known:
        rows = connection.execute(
            "SELECT name FROM _sqlite_migrations WHERE migration_set = ?", (SET,)
        )
        applied = {name for (name,) in rows}
    return [step.__name__ for step in STEPS if step.__name__ not in applied]


def apply(connection: sqlite3.Connection) -> list[str]:
    """Apply what is pending and name it. Raises sqlite3.Error.

    The caller holds the write lock (``BEGIN IMMEDIATE``), so that of several processes that
    open a fresh file one makes the tables and the others find them made.
    """
    names = pending(connection)
    if names:
        from sqlite_utils import Database
        from sqlite_utils.migrations import Migrations

        migrations = Migrations(SET)
        for step in STEPS:
            migrations()(step)
        migrations.apply(Database(connection, recursive_triggers=False, execute_plugins=False))
    return names
