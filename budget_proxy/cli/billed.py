"""Exports of what providers billed, read and written into a history."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from budget_proxy.cli import exports
from budget_proxy.cli.progress import progress_place
from budget_proxy.errors import InvalidInput
from budget_proxy.store.billed import Taken

if TYPE_CHECKING:
    from budget_proxy.analytics.billing.asked import Imported
    from budget_proxy.store.base import Store
    from budget_proxy.store.billed import Billed
    from budget_proxy.store.bills import Format
    from budget_proxy.store.bills.inspection import Inspection
    from budget_proxy.store.source import Row, Source


@dataclass(slots=True)
class Summary(exports.Summary):
    """What an import of bills did. ``replaced`` are earlier lines that had to go, by file."""

    unchanged: int = 0
    replaced: list[Imported] = field(default_factory=list)


def taken(history: Store, files: Sequence[Path], form: str, *, dry_run: bool) -> Summary:
    """Read exports and write what they bill. Raises InvalidInput, StoreError.

    Nothing is written before all are read, so that where one breaks off the history stays as it
    was: the rest of a day would be missing.
    """
    from budget_proxy.analytics.billing.asked import imports
    from budget_proxy.store.bills.inspection import Inspection

    summary, inspection = Summary(history.url, dry_run), Inspection()
    try:
        read = _read(files, form, summary, inspection)
    except InvalidInput as error:
        raise InvalidInput(f"{error}; nothing was written") from error
    gone: list[Billed] = []
    for lines in read:
        found = Taken(len(lines), 0, ()) if dry_run else history.save_billed(lines)
        summary.written += found.written
        summary.unchanged += found.unchanged
        gone += found.replaced
    summary.replaced, summary.findings = imports(gone), inspection.findings()
    return summary


def _read(
    files: Sequence[Path], form: str, summary: Summary, inspection: Inspection
) -> list[list[Billed]]:
    """What each file bills. Raises InvalidInput."""
    from budget_proxy.store.bills import chosen
    from budget_proxy.store.source import Source

    sources = [Source(file) for file in files]
    formats = [chosen(form, source) for source in sources]  # before anything is read
    with progress_place() as progress:
        reading = exports.Reading(sources, progress)
        return [
            _Reading(source, format_, inspection, summary, reading).lines()
            for source, format_ in zip(sources, formats, strict=True)
        ]


class _Reading:
    """One file under way."""

    def __init__(
        self,
        source: Source,
        form: Format,
        inspection: Inspection,
        summary: Summary,
        reading: exports.Reading,
    ) -> None:
        self._source = source
        self._form = form
        self._inspection = inspection
        self._summary = summary
        self._reading = reading

    def lines(self) -> list[Billed]:
        """What the file bills; what cannot be read is noted. Raises InvalidInput."""
        from budget_proxy.store.bills.inspection import Added
        from budget_proxy.store.bills.reading import rows_of

        name, now, added = self._source.path.name, time.time(), Added()
        with self._source.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._inspection.begin()
        for number, row in self._reading.steps(self._source, rows_of(self._source, self._bad)):
            for line in self._lines(number, row):
                added.add(replace(line, file=name, digest=digest, imported=now))
        self._summary.files[str(self._source.path)] = self._form.name
        return added.lines()

    def _lines(self, number: int, row: Row) -> list[Billed]:
        where = self._reading.place(number)
        if row == {"has_more": True}:
            self._inspection.note("more", where)
            return []
        self._summary.read += 1
        try:
            found = list(self._form.lines(row))
        except InvalidInput as error:
            self._summary.skipped += 1
            self._inspection.fault(error, where)
            return []
        if not self._inspection.is_new(row, where):
            self._summary.skipped += 1
            return []
        self._inspection.look(self._form, row, found, where)
        return found

    def _bad(self, number: int, reason: str) -> None:
        self._summary.read += 1
        self._summary.skipped += 1
        self._inspection.fault(InvalidInput(reason), self._reading.place(number))
