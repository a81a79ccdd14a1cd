"""Rows by ids that were listed before, while others come, are replaced, and go."""

from __future__ import annotations

from array import array
from dataclasses import replace

import pytest

from budget_proxy.store import listing
from budget_proxy.types import CallRecord
from tests.makers import record


class Table:
    """Rows by id; ``changes`` happen before a page is read, one after the other."""

    def __init__(self, *pending: str) -> None:
        self.rows: dict[int, CallRecord] = {}
        self.changes: list[tuple[str, ...]] = []
        self._last = 0
        for name in pending:
            self.insert(name, pending=True)

    def insert(self, name: str, *, pending: bool) -> None:
        """A newest row."""
        self._last += 1
        self.rows[self._last] = record(call_id=name, pending=pending)

    def settle(self, name: str) -> None:
        """Replace the pending row of a call by a newest one."""
        (old,) = (at for at, row in self.rows.items() if row.call_id == name and row.pending)
        del self.rows[old]
        self.insert(name, pending=False)

    def after(self, row: int) -> array[int]:
        """Ids above one, ascending."""
        return array("q", (at for at in self.rows if at > row))

    def read(self, ids: list[int]) -> list[CallRecord]:
        """The rows that are there, after what happens meanwhile."""
        for name in self.changes.pop(0) if self.changes else ():
            self.settle(name)
        return [replace(self.rows[at], id=at) for at in ids if at in self.rows]

    def streamed(self) -> list[tuple[str, bool]]:
        """Every row that is given: its call, and whether it was pending."""
        found = listing.streamed(self.after(0), self.read, self.after)
        return [(row.call_id, row.pending) for row in found]


@pytest.fixture(autouse=True)
def pages_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a few rows are several pages."""
    monkeypatch.setattr(listing, "PAGE", 2)


def test_what_stays_is_given_in_order() -> None:
    """Page by page, and rows that come meanwhile are not."""
    table = Table("a", "b", "c", "d", "e")
    ids = table.after(0)
    table.insert("new", pending=False)
    found = [row.call_id for row in listing.streamed(ids, table.read, table.after)]
    assert found == ["a", "b", "c", "d", "e"]
    assert list(listing.streamed(array("q"), table.read, table.after)) == []


def test_a_row_of_a_later_page_may_be_replaced() -> None:
    """It is given at the end; one that was given pending is not given again."""
    table = Table("a", "b", "c", "d")
    table.changes = [(), ("a", "d")]
    assert table.streamed() == [("a", True), ("b", True), ("c", True), ("d", False)]


def test_rows_may_be_replaced_until_the_end() -> None:
    """Also one that came meanwhile, after it was listed with those that replaced others."""
    table = Table("a", "b", "c", "d")
    ids = table.after(0)
    table.insert("late", pending=True)
    table.changes = [(), ("d",), ("late",)]
    found = listing.streamed(ids, table.read, table.after)
    assert [(row.call_id, row.pending) for row in found] == [
        ("a", True), ("b", True), ("c", True), ("d", False), ("late", False),
    ]  # fmt: skip


def test_rows_that_are_gone_for_good_end_it() -> None:
    """As compaction has them; what came since is given."""
    table = Table("a", "b", "c")
    ids = table.after(0)
    del table.rows[2]
    table.insert("new", pending=False)
    found = [row.call_id for row in listing.streamed(ids, table.read, table.after)]
    assert found == ["a", "c", "new"]
