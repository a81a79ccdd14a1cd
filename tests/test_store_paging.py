from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.store import paging
from budget_proxy.store.pages import Asked, Place
from budget_proxy.store.sqlite import SQLiteStore
from tests.makers import NOW, record


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    """An empty history in a file."""
    opened = SQLiteStore(tmp_path / "history.db")
    opened.migrate()
    yield opened
    opened.close()


def test_what_is_rare_together_takes_several_pages(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks at so many rows and no more; together they have all there are."""
    monkeypatch.setattr(paging, "LOOK", 50)
    store.append([record(ts=NOW + n, status=418 if n in {3, 160} else 200) for n in range(400)])
    page = store.page(limit=10, status=418)
    found, pages = list(page.rows), 1
    while page.before is not None:
        page = store.page(limit=10, status=418, before=page.before)
        found, pages = found + list(page.rows), pages + 1
    assert [row.id for row in found] == [161, 4]
    assert 5 <= pages <= 400 / 50 + 1


def test_the_rarer_condition_leads(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent of a few old calls is found at once, though most of its calls are of no help."""
    monkeypatch.setattr(paging, "LOOK", 50)
    store.append([record(ts=NOW, agent="rare", finish_reason="length")])
    store.append([record(ts=NOW + number, finish_reason="length") for number in range(400)])
    page = store.page(limit=10, agent="rare", finish_reason="length")
    assert [row.id for row in page.rows] == [1]
    assert page.before is None


def test_many_groups_are_looked_through_by_time(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one model has too many agents to look at each."""
    monkeypatch.setattr(paging, "_MOST_GROUPS", 5)
    store.append([record(ts=NOW + number, agent=f"a{number}") for number in range(40)])
    page = store.page(limit=3, model="gpt-5.4")
    assert [row.agent for row in page.rows] == ["a39", "a38", "a37"]


@pytest.mark.parametrize(
    "where",
    [
        {}, {"agent": "a"}, {"model": "m"}, {"run": "r"}, {"truncated": True},
        {"arm": "holdout"}, {"finish_reason": "length"},
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [None, Place(NOW + 5, 3)])
def test_no_source_sorts_or_reads_rows(
    store: SQLiteStore, where: dict[str, Any], before: Place | None
) -> None:
    """SQLite answers from the index alone, and stops where a page is full."""
    store.append([record(run="r", agent="a", model="m", finish_reason="length")])
    asked = Asked(10, before, NOW, NOW + 9, where)
    connection = sqlite3.connect(store.path)
    for source in paging._sources(connection, asked):
        for clause, values in source.ranges:
            query, given = paging._scan(source.index, clause, values, asked)
            plan = connection.execute(
                f"EXPLAIN QUERY PLAN {query} ORDER BY ts DESC, id DESC", given
            ).fetchall()
            assert [line[-1].split(" (")[0] for line in plan] == [
                f"SEARCH calls USING COVERING INDEX {source.index}"
            ]
    connection.close()
