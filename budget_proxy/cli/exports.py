"""Others' exports: files read one after another, and what was found in them.

What commands share that take such files into a history.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from budget_proxy.cli.progress import Bar

if TYPE_CHECKING:
    from rich.progress import Progress

    from budget_proxy.store.imports.inspection import Finding
    from budget_proxy.store.source import Source

_Step = TypeVar("_Step")


@dataclass(slots=True)
class Summary:
    """What was done: ``files`` with their formats, rows ``read``, and ``skipped`` ones of them."""

    store: str
    dry_run: bool
    files: dict[str, str] = field(default_factory=dict)
    read: int = 0
    written: int = 0
    skipped: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def verb(self) -> str:
        """What becomes of what is written."""
        return "would be written" if self.dry_run else "written"


class Reading:
    """Files under way, behind one bar."""

    def __init__(self, sources: Sequence[Source], progress: Progress | None) -> None:
        self._bar = Bar(progress, "Reading", sum(source.size for source in sources))
        self._several = len(sources) > 1
        self._done = 0
        self._source: Source | None = None

    def steps(self, source: Source, steps: Iterable[_Step]) -> Iterator[_Step]:
        """The steps of reading a file; the bar follows."""
        self._source = source
        for step in steps:
            self._bar.show(self._done + source.position)
            yield step
        self._done += source.size
        self._bar.show(self._done)

    def place(self, number: int) -> str:
        """Where a row of the file under way is; the file is named where there are several."""
        if self._source is None:
            raise ValueError("no file is under way")
        name = f"{self._source.path.name}, " if self._several else ""
        return f"{name}{self._source.unit} {number}"


def show(summary: Summary, counts: str, notes: Iterable[str] = ()) -> None:
    """Print what was done: ``counts`` and ``notes`` in words, and what was found."""
    from budget_proxy.cli.output import console, table, whole

    out = console()
    formats = ", ".join(sorted(set(summary.files.values())))
    out.print(f"{counts}\nFormat: {formats}\nHistory: {summary.store}", soft_wrap=True)
    for note in notes:
        out.print(note, soft_wrap=True)
    if summary.findings:
        rows = [
            (one.what, "taken" if one.kept else "left out", whole(one.rows))
            for one in summary.findings
        ]
        out.print()
        out.print(table("What was found", ("rows", "", "number"), rows, left=2))
    for one in summary.findings:
        out.print()
        out.print(f"{one.what[0].upper()}{one.what[1:]}:", soft_wrap=True)
        for example in one.examples:
            out.print(f"  {example}", soft_wrap=True)
        if one.rows > len(one.examples):
            out.print(f"  and {whole(one.rows - len(one.examples))} more")
