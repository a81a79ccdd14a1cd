"""Newest rows of a group, each group's read once. What sums cannot tell, these do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from budget_proxy.store.sums import Sums
from budget_proxy.types import CallRecord

Read = Callable[..., Sequence[CallRecord]]
"""``Store.newest`` from the start of the span on."""

SAMPLE: Final = 400
"""Newest rows of a group that are looked at."""


class Rows:
    """Newest rows by agent, task type and model, and by what else is asked of them."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._known: dict[tuple[Any, ...], Sequence[CallRecord]] = {}

    def of(self, group: Sums, *, known: str | None = None, **where: Any) -> Sequence[CallRecord]:
        """At most SAMPLE newest rows, newest first; ``known`` names a column with a value."""
        key = (group.agent, group.task_type, group.model, known, *sorted(where.items()))
        if key not in self._known:
            self._known[key] = self._read(
                (group.agent, group.task_type, group.model), SAMPLE, known=known, **where
            )
        return self._known[key]


def answers(rows: Sequence[CallRecord]) -> list[CallRecord]:
    """The rows that tell a length: first attempts whose exact usage is known."""
    return [row for row in rows if row.attempt == 1 and row.has_length]
