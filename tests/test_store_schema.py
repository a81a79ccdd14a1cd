from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from budget_proxy.store.sqlite import SQLiteStore

STEPS = ("beginnings", "keying", "limiting", "migrations", "running")
"""The files that make tables."""

DOCUMENT = Path(__file__).parent.parent / "docs" / "schema.md"


def documented() -> dict[str, list[tuple[str, str]]]:
    """Column and type of every row of the tables in the document, by its headings."""
    tables = {}
    for part in re.split(r"^## ", DOCUMENT.read_text(), flags=re.MULTILINE)[1:]:
        name, _, text = part.partition("\n")
        tables[name.strip()] = re.findall(r"^\| `(\w+)` \| (\w+) \|", text, flags=re.MULTILINE)
    return tables


def test_the_document_names_every_column_and_no_other(tmp_path: Path) -> None:
    """docs/schema.md has the tables of a fresh history, their columns and types, in order."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    store.close()
    connection = sqlite3.connect(store.path)
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    tables = {
        name: [
            (column, kind.lower())
            for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({name})")
        ]
        for (name,) in names.fetchall()
    }
    connection.close()
    assert documented() == tables


def test_the_primary_keys_that_the_document_names_are_those_of_the_tables(
    tmp_path: Path,
) -> None:
    """Where docs/schema.md names one, it is the table's."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    store.close()
    connection = sqlite3.connect(store.path)
    said = {}
    for part in re.split(r"^## ", DOCUMENT.read_text(), flags=re.MULTILINE)[1:]:
        name, _, text = part.partition("\n")
        if found := re.search(r"^(?:Primary key|Key): `([^`]+)`", text, flags=re.MULTILINE):
            said[name.strip()] = found[1].split(", ")
    keys = {
        name: [row[1] for row in sorted(rows, key=lambda row: row[5]) if row[5]]
        for name in said
        for rows in [connection.execute(f"PRAGMA table_info({name})").fetchall()]
    }
    connection.close()
    assert {"sums", "accounts", "runs"} <= set(said)
    assert said == keys


def test_every_column_that_can_be_null_says_what_that_means() -> None:
    """Where a cell may be empty, the document says what an empty cell means."""
    text = DOCUMENT.read_text()
    folder = DOCUMENT.parent.parent / "budget_proxy" / "store"
    migrations = "".join((folder / f"{name}.py").read_text() for name in STEPS)
    nullable = re.findall(r"^ +(\w+) (?:TEXT|REAL|INTEGER),?$", migrations, flags=re.MULTILINE)
    assert {"session", "q50", "cost", "place"} <= set(nullable)
    said = {
        name
        for name, rest in re.findall(r"^\| `(\w+)` (.+)$", text, flags=re.MULTILINE)
        if "NULL" in rest
    }
    forecasts = {"q75", "q90", "q95", "q99"}  # said once, at q50
    assert set(nullable) - said == forecasts
