"""What the reader of an export offers, and how it says that a row is no line of a bill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from budget_proxy.errors import InvalidInput
from budget_proxy.store.billed import Billed
from budget_proxy.store.source import Row

EMPTY: Final = "(nothing)"
"""Marks a bucket of time in which the export has nothing."""


class Format(Protocol):
    """An export that bills can be imported from."""

    name: str
    """As ``--format`` takes it."""
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    """The fields that tell from when to when a row is; ``ends`` may be empty."""

    def recognises(self, row: Row) -> bool:
        """Whether a row is of this export, by the names of its fields; buckets are opened."""

    def lines(self, row: Row) -> Iterator[Billed]:
        """What a row bills. Raises InvalidInput, and Foreign where it is in another currency."""


class Foreign(InvalidInput):
    """An amount in another currency than US dollars: it cannot be added to the others."""


def results(row: Row) -> list[Row]:
    """The results within a bucket, each with the bucket's times; any other row as it is.

    An empty bucket gives one that is marked EMPTY.
    """
    found = row.get("results", row.get("result"))
    if not isinstance(found, list):
        return [row]
    times = {
        name: item for name, item in row.items() if name not in {"results", "result", "object"}
    }
    whole = [{**times, **result} for result in found if isinstance(result, dict)]
    return whole or [{**times, EMPTY: True}]


KINDS: Final[Mapping[str, tuple[bool, str]]] = MappingProxyType(
    {
        "malformed": (False, "cannot be read"),
        "currency": (False, "in another currency than US dollars"),
        "repeated": (False, "the very same row twice in one file"),
        "zone": (True, "days that do not begin at midnight UTC: filed under most of their hours"),
        "credit": (True, "negative amounts, such as credits"),
        "more": (True, "the export says that there are more pages than the file has"),
    }
)
"""By name: whether such rows are taken all the same, and what they are."""
