"""Exports of what providers billed, read and written into a history."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from budget_proxy.cli.progress import Bar, progress_place
from budget_proxy.errors import InvalidInput

if TYPE_CHECKING:
    from budget_proxy.analytics.billing.asked import Imported
    from budget_proxy.store.base import Store
    from budget_proxy.store.billed import Billed
    from budget_proxy.store.bills import Format
    from budget_proxy.store.bills.inspection import Inspection
    from budget_proxy.store.imports.inspection import Finding
    from budget_proxy.store.source import Row, Source


@dataclass(slots=True)
class Summary:
    """What an import of bills did. ``replaced`` are earlier lines that had to go, by file."""

    store: str
    dry_run: bool
    files: dict[str, str] = field(default_factory=dict)
    read: int = 0
    skipped: int = 0
    written: int = 0
    unchanged: int = 0
    replaced: list[Imported] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def taken(history: Store, files: Sequence[Path], form: str, *, dry_run: bool) -> Summary:
    """Read exports and write what they bill, file by file. Raises InvalidInput, StoreError.

    A file that breaks off is not taken: the rest of a day would be missing.
    """
    from budget_proxy.analytics.billing.asked import imports
    from budget_proxy.store.bills import chosen
    from budget_proxy.store.bills.inspection import Inspection
    from budget_proxy.store.source import Source

    sources = [Source(file) for file in files]
    formats = [chosen(form, source) for source in sources]  # before anything is read
    summary, inspection = Summary(history.url, dry_run), Inspection()
    gone: list[Billed] = []
    with progress_place() as progress:
        bar, done = Bar(progress, "Reading", sum(source.size for source in sources)), 0
        for source, format_ in zip(sources, formats, strict=True):
            reading = _Reading(source, format_, inspection, summary, named=len(sources) > 1)
            lines = reading.lines(bar, done)
            summary.files[str(source.path)] = format_.name
            done += source.size
            bar.show(done)
            if dry_run:
                summary.written += len(lines)
                continue
            found = history.save_billed(lines)
            summary.written += found.written
            summary.unchanged += found.unchanged
            gone += found.replaced
    summary.replaced, summary.findings = imports(gone), inspection.findings()
    return summary


class _Reading:
    """One file under way."""

    def __init__(
        self, source: Source, form: Format, inspection: Inspection, summary: Summary, *, named: bool
    ) -> None:
        self._source = source
        self._form = form
        self._inspection = inspection
        self._summary = summary
        self._place = f"{source.path.name}, " if named else ""

    def lines(self, bar: Bar, done: int) -> list[Billed]:
        """What the file bills; what cannot be read is noted. Raises InvalidInput."""
        from budget_proxy.store.bills.inspection import Added
        from budget_proxy.store.bills.reading import rows_of

        added, now = Added(), time.time()
        with self._source.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._inspection.begin()
        for number, row in rows_of(self._source, self._bad):
            bar.show(done + self._source.position)
            for line in self._lines(number, row):
                name = self._source.path.name
                added.add(replace(line, file=name, digest=digest, imported=now))
        return added.lines()

    def _lines(self, number: int, row: Row) -> list[Billed]:
        where = f"{self._place}{self._source.unit} {number}"
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
        self._inspection.look(row, found, where)
        return found

    def _bad(self, number: int, reason: str) -> None:
        self._summary.read += 1
        self._summary.skipped += 1
        where = f"{self._place}{self._source.unit} {number}"
        self._inspection.fault(InvalidInput(reason), where)
