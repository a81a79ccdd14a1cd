"""Blocks as a terminal shows them: tables, bars and plots in plain characters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from budget_proxy.analytics.rendering import blocks
from budget_proxy.cli.output import bar, facts, table, whole
from budget_proxy.cli.plot import plot, spark

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_BAR: Final = 40
_LOW: Final = 10
_HIGH: Final = 12


def show(out: Console, document: blocks.Document) -> None:
    """Print it: the head, then its sections with a blank line between them.

    A section of which a terminal shows nothing (a table beside it tells the same) is left out;
    one that is empty leaves its blank line.
    """
    for line in document.head:
        out.print(line, soft_wrap=True)
    ascii_only = not out.encoding.lower().startswith("utf")
    for index, section in enumerate(document.sections):
        parts = [
            (shown, isinstance(block, blocks.Command))
            for block in section
            if (shown := _shown(block, out.width, ascii_only=ascii_only)) is not None
        ]
        if section and not parts:
            continue
        if index:
            out.print()
        for shown, unbroken in parts:
            out.print(shown, soft_wrap=unbroken)


def _shown(block: blocks.Block, width: int, *, ascii_only: bool) -> Any:
    """What is printed of a block; ``None`` for nothing."""
    shown: Any = None
    match block:
        case blocks.Facts(rows):
            shown = facts(dict(rows))
        case blocks.Table(title, columns, rows, left):
            shown = table(title, columns, rows, left=left)
        case blocks.Courses():
            shown = _courses(block, ascii_only=ascii_only)
        case blocks.Note(text):
            shown = text
        case blocks.Entry(title, rows):
            shown = "\n".join((title, *_wrapped(rows, width)))
        case blocks.Command(line):
            shown = f"  {line}"
        case _:
            shown = _plotted(block, width, ascii_only=ascii_only)
    return shown


def _plotted(block: blocks.Block, width: int, *, ascii_only: bool) -> Any:
    shown: Any = None
    match block:
        case blocks.Bars(kind="used"):
            shown = _distribution(block, ascii_only=ascii_only)
        case blocks.Bars(title, _, _, names, values, number):
            shown = _plot(title, values, names, number, bars=True, ascii_only=ascii_only)
        case blocks.Lines(title, names, series, number, kind):
            shown = _plot(
                title, series[0][1], names, number, height=_HIGH if kind else _LOW,
                ascii_only=ascii_only,
            )  # fmt: skip
        case blocks.Forecast(_, names, values, bands, number):
            shown = plot(
                values, names, number, bands=bands, bars=[band is None for band in bands],
                width=width, ascii_only=ascii_only,
            )  # fmt: skip
    return shown


def _courses(block: blocks.Courses, *, ascii_only: bool) -> Table:
    """The table, with each row's course in one line after its name."""
    title, columns, rows, left = (
        block.table.title, block.table.columns, block.table.rows, block.table.left,
    )  # fmt: skip
    drawn = (spark(lines.series[0][1], ascii_only=ascii_only) for lines in block.lines)
    told = [(row[0], line, *row[1:]) for row, line in zip(rows, drawn, strict=True)]
    return table(title, (columns[0], "", *columns[1:]), told, left=left + 1)


def _wrapped(rows: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    for name, text in rows:
        first, later = f"  {name:7}" if name else "  ", " " * (9 if name else 2)
        yield from wrap(text, width, initial_indent=first, subsequent_indent=later)


def _distribution(block: blocks.Bars, *, ascii_only: bool) -> Table:
    most = max(value or 0.0 for value in block.values)
    rows = [
        (name, bar((value or 0.0) / most, _BAR, ascii_only=ascii_only), whole(value))
        for name, value in zip(block.names, block.values, strict=True)
    ]
    return table(block.title, (block.kind, "", block.unit), rows, left=2)


def _plot(
    title: str,
    values: Sequence[float | None],
    names: Sequence[str],
    number: Callable[[float], str],
    *,
    bars: bool = False,
    height: int = _LOW,
    ascii_only: bool,
) -> str:
    drawn = plot(values, names, number, bars=bars, height=height, ascii_only=ascii_only)
    return f"{title}\n\n{drawn}"
