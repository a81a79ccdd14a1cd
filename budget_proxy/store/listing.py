"""Rows by ids that were listed before, page by page. Knows no database.

Nothing stays locked meanwhile, so that a late answer may replace a listed row: under a new id,
that nobody listed. A reader who left it out would be a call short.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from budget_proxy.types import CallRecord

PAGE: Final = 1000
"""Rows that are read at once."""


def streamed(
    ids: array[int],
    read: Callable[[list[int]], Iterable[CallRecord]],
    after: Callable[[int], array[int]],
) -> Iterator[CallRecord]:
    """The rows of ``ids``, as ``read`` has them; where some are gone, what came ``after`` too.

    An attempt that was given while it was pending is not given again.
    """
    given: set[tuple[str, int]] = set()
    listed = ids
    while listed:
        there = 0
        for first in range(0, len(listed), PAGE):
            for row in read(listed[first : first + PAGE].tolist()):
                there += 1
                if listed is ids or (row.call_id, row.attempt) not in given:
                    yield row
                if row.pending:
                    given.add((row.call_id, row.attempt))
        if there == len(listed):
            return
        listed = after(listed[-1])
