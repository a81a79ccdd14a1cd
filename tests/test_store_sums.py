from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import fields
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.errors import StoreError
from budget_proxy.store import summing
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.store.sums import (
    COLUMNS,
    DAY,
    HOUR,
    KEYS,
    QUARTER,
    SUMMED,
    Sums,
    added,
    bucket_of,
    merged,
    pieces_of,
    values,
)
from tests.makers import record


def test_sums_of_two_sets_of_rows_add_up_to_that_of_both() -> None:
    """Whatever is added up, and the first and the last time; other groups stay apart."""
    one = Sums("a", "t", "m", "treatment", first=3.0, last=5.0, calls=1, cost=0.5)
    two = Sums("a", "t", "m", "treatment", first=1.0, last=4.0, calls=2, cost=0.25)
    other = Sums("b", "t", "m", "treatment", calls=9)
    assert added([one, two, other]) == [
        other,
        Sums("a", "t", "m", "treatment", first=1.0, last=5.0, calls=3, cost=0.75),
    ]


def test_merging_forgets_what_rows_are_not_told_apart_by() -> None:
    """By model alone, and by nothing."""
    parts = [Sums(agent, "t", model, calls=1) for agent in "ab" for model in "xy"]
    assert [(sums.group, sums.calls) for sums in merged(parts, ("model",))] == [
        (("", "", "x", ""), 2), (("", "", "y", ""), 2),
    ]  # fmt: skip
    assert merged(parts, ()) == [Sums(calls=4)]
    assert merged([], ()) == []


def test_the_columns_are_keys_times_and_sums() -> None:
    """In the order of the fields, which is that of the table; each begins at zero."""
    assert (*KEYS, "first", "last", *SUMMED) == COLUMNS
    assert values(Sums()) == ("", "", "", "", inf, -inf, *(0 for _ in SUMMED))


def test_the_tables_columns_are_those_of_the_sums(tmp_path: Path) -> None:
    """Each of its kind: a fraction kept as a whole number would be cut."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    store.close()
    with closing(sqlite3.connect(store.path)) as connection:
        kinds = {name: kind for _, name, kind, *_ in connection.execute("PRAGMA table_info(sums)")}
    expected = {str: "TEXT", int: "INTEGER", float: "REAL"}
    assert kinds == {"span": "INTEGER", "start": "INTEGER"} | {
        item.name: expected[type(item.default)] for item in fields(Sums)
    }


def test_rows_are_written_although_their_sums_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are on disk before sums are made; who asks for sums is told, or finds them made up."""
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    with monkeypatch.context() as broken:
        broken.setattr(summing, "_NEW", "INSERT INTO nowhere SELECT ?, ?")
        ids = store.append([record(call_id=f"{number}") for number in range(summing.EVERY + 1)])
        with pytest.raises(StoreError, match="nowhere"):
            store.sums()
    assert [row.id for row in store.calls()] == ids
    assert sum(sums.calls for sums in store.sums()) == len(ids)
    store.close()


def test_odd_times_lie_in_some_quarter() -> None:
    """Of a clock that was never set, or is far ahead."""
    assert bucket_of(-5e9, DAY) == 0
    assert bucket_of(1e18, DAY) == 253_402_214_400
    assert bucket_of(899.9, QUARTER) == 0
    assert bucket_of(900.0, QUARTER) == 900


def test_a_span_is_made_of_the_fewest_sums() -> None:
    """Rows up to the quarter, quarters up to the hour, hours up to midnight, days, and back."""
    found = pieces_of(DAY - 5500, 3 * DAY + 1900, 0)
    assert found.kept == (
        (QUARTER, DAY - 5400, DAY - 3600), (HOUR, DAY - 3600, DAY), (DAY, DAY, 3 * DAY),
        (QUARTER, 3 * DAY, 3 * DAY + 1800),
    )  # fmt: skip
    assert found.edges == ((DAY - 5500, DAY - 5400), (3 * DAY + 1800, 3 * DAY + 1900))
    assert pieces_of(900, 4500, 0).kept == ((QUARTER, 900, 4500),)
    assert pieces_of(10, 20, 0).edges == ((10, 20),)
    assert pieces_of(-inf, inf, 0).kept == ((DAY, -inf, inf),)


MOMENTS = st.integers(0, 40 * DAY * 8).map(lambda eighths: eighths / 8)
TIMES = st.sampled_from([-inf, inf]) | MOMENTS | st.integers(0, 40).map(DAY.__mul__)


@given(TIMES, TIMES, st.integers(0, 30).map(DAY.__mul__), MOMENTS)
@pytest.mark.parametrize("end_first", [False, True])
def test_every_moment_is_in_one_piece_of_its_span(
    end_first: bool, start: float, end: float, fine: float, moment: float
) -> None:
    """And no other moment is in any, but for those of days before there are half hours."""
    if end_first:
        start, end = end, start
    found = pieces_of(start, end, fine)
    kept = sum(low <= bucket_of(moment, span) < high for span, low, high in found.kept)
    edges = sum(low <= moment < high for low, high in found.edges)
    expected = start <= moment < end
    if moment < fine:
        expected = start <= bucket_of(moment, DAY) < min(end, fine)
    assert kept + edges == expected
