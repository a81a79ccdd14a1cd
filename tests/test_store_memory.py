from __future__ import annotations

from budget_proxy.store.memory import MemoryStore
from tests.makers import record


def test_the_oldest_rows_fall_out() -> None:
    """Beyond its limit the memory forgets the oldest rows, and ids go on counting."""
    store = MemoryStore(limit=3)
    store.append([record(call_id=name) for name in "abcde"])
    assert [(row.id, row.call_id) for row in store.recent(9)] == [(3, "c"), (4, "d"), (5, "e")]
    assert [row.id for row in store.since(1)] == [3, 4, 5]
    assert [row.id for row in store.since(4)] == [5]
    assert not store.score("a", 1.0)
