"""The first steps of the schema; store/migrations.py has the later ones, and applies them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from budget_proxy.store import script

if TYPE_CHECKING:
    from sqlite_utils import Database


def m001_first_tables(db: Database) -> None:
    """Make the calls, sessions, the guidance they carry, and settings of the installation."""
    script.run(
        db,
        """
        CREATE TABLE calls (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            ts REAL NOT NULL,
            api TEXT NOT NULL,
            model TEXT NOT NULL,
            call_id TEXT NOT NULL,
            attempt INTEGER NOT NULL,
            host TEXT NOT NULL,
            agent TEXT NOT NULL,
            session TEXT,
            run TEXT,
            task TEXT,
            user TEXT,
            key TEXT,
            tags TEXT NOT NULL,
            task_type TEXT NOT NULL,
            complexity REAL NOT NULL,
            domains TEXT NOT NULL,
            novelty REAL NOT NULL,
            uncertainty REAL NOT NULL,
            criticality REAL NOT NULL,
            creative INTEGER NOT NULL,
            architecture INTEGER NOT NULL,
            stream INTEGER NOT NULL,
            n INTEGER NOT NULL,
            input_chars INTEGER NOT NULL,
            input_estimate INTEGER,
            input_tokens INTEGER,
            output_tokens INTEGER,
            reasoning_tokens INTEGER,
            cache_read_tokens INTEGER,
            cache_write_tokens INTEGER,
            exact INTEGER NOT NULL,
            finish_reason TEXT NOT NULL,
            truncated INTEGER NOT NULL,
            cut_by_us INTEGER NOT NULL,
            ceiling INTEGER,
            status INTEGER NOT NULL,
            seconds REAL,
            q50 REAL,
            q75 REAL,
            q90 REAL,
            q95 REAL,
            q99 REAL,
            target INTEGER,
            recommended INTEGER,
            reserve INTEGER,
            cap INTEGER,
            thinking TEXT,
            effort TEXT,
            mode TEXT NOT NULL,
            arm TEXT NOT NULL,
            propensity REAL NOT NULL,
            overridden INTEGER NOT NULL,
            strategy TEXT NOT NULL,
            confidence REAL,
            support INTEGER NOT NULL,
            guidance TEXT,
            guidance_tokens INTEGER NOT NULL,
            cost REAL,
            prices TEXT,
            tier TEXT,
            rejected TEXT,
            response_id TEXT,
            reason TEXT NOT NULL,
            score REAL,
            instance TEXT NOT NULL
        );
        CREATE INDEX calls_ts ON calls (ts);
        CREATE INDEX calls_group ON calls (agent, task_type, model);
        CREATE INDEX calls_call_id ON calls (call_id);
        CREATE INDEX calls_session ON calls (session) WHERE session IS NOT NULL;
        CREATE INDEX calls_response_id ON calls (response_id) WHERE response_id IS NOT NULL;

        CREATE TABLE sessions (
            key TEXT NOT NULL,
            id TEXT NOT NULL,
            arm TEXT NOT NULL,
            propensity REAL NOT NULL,
            guidance TEXT,
            place TEXT,
            place_index INTEGER,
            thinking TEXT,
            thinking_budget INTEGER,
            effort TEXT,
            model TEXT,
            started REAL NOT NULL,
            seen REAL NOT NULL,
            decided INTEGER NOT NULL,
            PRIMARY KEY (key, id)
        );
        CREATE INDEX sessions_id ON sessions (id);
        CREATE INDEX sessions_key_seen ON sessions (key, seen);

        CREATE TABLE guidance (
            id TEXT PRIMARY KEY,
            text TEXT NOT NULL,
            tokens INTEGER NOT NULL,
            first_used REAL NOT NULL
        );

        CREATE TABLE meta (
            name TEXT PRIMARY KEY,
            value TEXT NOT NULL
        );
    """,
    )


def m002_pending(db: Database) -> None:
    """Mark the rows of answers that are still being made, in the background."""
    db.execute("ALTER TABLE calls ADD COLUMN pending INTEGER NOT NULL DEFAULT 0")


def m003_features(db: Database) -> None:
    """Keep what the learner takes from recent calls, and what it fitted."""
    script.run(
        db,
        """
        CREATE TABLE features (
            id INTEGER PRIMARY KEY,
            signals BLOB NOT NULL
        );

        CREATE TABLE fits (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            strategy TEXT NOT NULL,
            taken TEXT NOT NULL,
            taken_attempt INTEGER NOT NULL,
            effective TEXT NOT NULL,
            effective_attempt INTEGER NOT NULL,
            ts REAL NOT NULL,
            instance TEXT NOT NULL,
            content BLOB NOT NULL
        );
        CREATE INDEX fits_strategy ON fits (strategy, id);
    """,
    )
