from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from budget_proxy.store import bulk

PAIRS = "INSERT INTO pairs (name, number) VALUES {rows}"


@pytest.mark.parametrize("count", [0, 1, 7, 8, 63, 64, 65, 200])
def test_every_row_is_written_once_and_in_order(count: int) -> None:
    """However many they are, in far fewer statements than rows."""
    statements: list[str] = []
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE pairs (id INTEGER PRIMARY KEY, name, number)")
        connection.set_trace_callback(statements.append)
        bulk.execute(connection, PAIRS, ((f"row {n}", n) for n in range(count)))
        connection.set_trace_callback(None)
        found = connection.execute("SELECT id, name, number FROM pairs ORDER BY id").fetchall()
    assert found == [(n + 1, f"row {n}", n) for n in range(count)]
    assert len(statements) <= count // 64 + 14


def test_rows_may_be_joined_to_a_table() -> None:
    """As their columns: column1, column2."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE pairs (name PRIMARY KEY, number)")
        bulk.execute(connection, PAIRS, [("a", 1), ("b", 2), ("c", 3)])
        bulk.execute(
            connection,
            "UPDATE pairs SET number = number + more.column2 FROM (VALUES {rows}) AS more "
            "WHERE name = more.column1",
            [("a", 10), ("c", 30), ("d", 40)],
        )
        found = connection.execute("SELECT name, number FROM pairs ORDER BY name").fetchall()
    assert found == [("a", 11), ("b", 2), ("c", 33)]


def test_a_number_that_is_too_large_is_an_error() -> None:
    """And nothing of its statement is written."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE pairs (name, number)")
        with pytest.raises(OverflowError):
            bulk.execute(connection, PAIRS, [("a", 1)] * 10 + [("b", 2**70)] + [("c", 3)] * 5)
        assert connection.execute("SELECT count(*) FROM pairs").fetchone() == (8,)
