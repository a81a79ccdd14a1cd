"""Exports of other systems, written by hand from their documentation (tests/exports)."""

from __future__ import annotations

from pathlib import Path

from budget_proxy.errors import InvalidInput
from budget_proxy.store.imports import detected
from budget_proxy.store.recorded import RecordedCall
from budget_proxy.store.source import Source

FOLDER = Path(__file__).parent / "exports"


class Told:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.bads: list[tuple[int, str]] = []
        self.passes: list[tuple[int, str]] = []

    def bad(self, number: int, error: InvalidInput) -> None:
        """A row that could not be read."""
        self.bads.append((number, str(error)))

    def passed(self, number: int, what: str) -> None:
        """A row of another kind."""
        self.passes.append((number, what))


def read(path: Path, name: str) -> tuple[list[tuple[int, RecordedCall]], Told]:
    """The calls of an export, which must be recognised as of this format, and what was told."""
    source, told = Source(path), Told()
    found = detected(source)
    assert found.name == name
    rows = source.rows(lambda number, why: told.bad(number, InvalidInput(why)))
    return list(found.calls(rows, told)), told
