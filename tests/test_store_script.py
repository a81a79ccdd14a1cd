"""Texts of several statements are run one by one, in the transaction that is open."""

from __future__ import annotations

import sqlite3

import pytest
from sqlite_utils import Database

from budget_proxy.store import script


def database() -> Database:
    """One in memory, in a transaction."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return Database(connection)


def test_statements_are_run_in_order_and_can_be_taken_back() -> None:
    """Semicolons within strings and triggers end nothing; the transaction stays open."""
    db = database()
    script.run(
        db,
        """
        CREATE TABLE a (
            text TEXT DEFAULT 'one; two'
        );
        CREATE TRIGGER t AFTER INSERT ON a BEGIN
            UPDATE a SET text = text || ';';
        END;
        INSERT INTO a DEFAULT VALUES;
        """,
    )
    assert db.execute("SELECT text FROM a").fetchall() == [("one; two;",)]
    db.conn.execute("ROLLBACK")
    assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    db.conn.close()


def test_a_statement_without_an_end_is_an_error() -> None:
    """Nothing is left out silently."""
    db = database()
    with pytest.raises(sqlite3.OperationalError, match="has no end: CREATE TABLE b"):
        script.run(db, "CREATE TABLE a (x);\nCREATE TABLE b (x)")
    db.conn.close()
