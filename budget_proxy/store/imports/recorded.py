"""Our own form: one JSON object a call (budget_proxy/store/recorded.py)."""

from __future__ import annotations

from budget_proxy.store.imports.base import RowFormat
from budget_proxy.store.recorded import RecordedCall, call_of
from budget_proxy.store.source import Row


class Recorded(RowFormat):
    """Calls as the published recordings hold them."""

    name = "recorded"

    def recognises(self, row: Row) -> bool:
        """By a time in Unix seconds."""
        return isinstance(row.get("ts"), int | float)

    def call(self, row: Row) -> RecordedCall:
        """The call that a row is."""
        return call_of(row)
