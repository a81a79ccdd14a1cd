"""Blocks as Markdown, with tables as GitHub reads them. Plots are left to their tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from budget_proxy.analytics.numbers import NONE
from budget_proxy.analytics.rendering.blocks import (
    Bars,
    Block,
    Command,
    Courses,
    Entry,
    Facts,
    Heading,
    Lines,
    Note,
    Number,
    Table,
)

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~!$&@])")


def markdown(title: str, subtitle: str, blocks: Iterable[Block]) -> str:
    """A document of its own."""
    lines = [f"# {escaped(title)}", "", escaped(subtitle), ""]
    for block in blocks:
        lines.extend(_lines(block))
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    """A text that says what it says: no markup, no HTML, no mention of anybody."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Heading(text):
            yield from (f"## {escaped(text)}", "")
        case Note(text):
            yield from (escaped(text), "")
        case Facts(rows):
            yield from _table(("", ""), rows, 2)
        case Table(title, columns, rows, left):
            yield from (f"### {escaped(title)}", "")
            yield from _table(columns, rows, left)
        case Courses(table):
            yield from _lines(table)
        case Entry(title, rows):
            yield from (f"### {escaped(title)}", "")
            yield from _table(("", ""), rows, 2)
        case Command(line):
            fence = "`" * (max(map(len, re.findall("`+", line)), default=0) + 3)
            yield from (f"{fence}sh", line, fence, "")
        case Bars(title, kind, unit, names, values, number):
            yield from _plotted(title, (kind, unit), names, [values], number)
        case Lines(title, names, series, number, kind) if kind:
            columns = (kind, *(name for name, _ in series))
            yield from _plotted(title, columns, names, [values for _, values in series], number)
        case _:  # plots whose numbers stand in a table, or are not needed
            return


def _plotted(
    title: str,
    columns: Sequence[str],
    names: Sequence[str],
    series: Iterable[Sequence[float | None]],
    number: Number,
) -> Iterator[str]:
    cells = ([NONE if value is None else number(value) for value in values] for values in series)
    yield from (f"### {escaped(title)}", "")
    yield from _table(columns, list(zip(names, *cells, strict=True)), 1)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int) -> Iterator[str]:
    yield _row(columns)
    yield "|" + "|".join("---" if index < left else "--:" for index in range(len(columns))) + "|"
    yield from map(_row, rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(escaped, cells)) + " |"
