"""Pages of rows, newest first: what is asked for, and what is given. Knows no database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, NamedTuple

from budget_proxy.types import NOTHING, CallRecord, frozen


class Place(NamedTuple):
    """Where a row stands: rows are in order of their time, those of one time of their id."""

    ts: float
    id: int


@frozen
class Asked:
    """At most ``limit`` rows by time [start, end) and equality of columns, ``before`` a place."""

    limit: int
    before: Place | None = None
    start: float | None = None
    end: float | None = None
    where: Mapping[str, Any] = field(default_factory=lambda: NOTHING)


@frozen
class Page:
    """Rows, newest first; ``before`` is where the next page goes on, ``None`` at the end.

    A page that is not the last may be short, or even empty: looking for its rows had an end.
    """

    rows: tuple[CallRecord, ...]
    before: Place | None


def page_of(rows: Sequence[CallRecord], limit: int, last: Place | None = None) -> Page:
    """The page of some rows of which there may be more than ``limit``.

    ``last`` is how far was looked, where that was not to the end.
    """
    kept = tuple(rows[:limit])
    return Page(kept, place_of(kept[-1]) if kept and len(rows) > limit else last)


def place_of(row: CallRecord) -> Place:
    """Where a stored row stands."""
    return Place(row.ts, row.id or 0)
