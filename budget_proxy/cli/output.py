"""How the command line prints: JSON for programs; tables, bars and plain numbers for people.

Tables keep to 80 columns, and to text without colour where stdout is no terminal.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import typer
from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table

from budget_proxy.analytics.encoding import encoded
from budget_proxy.analytics.numbers import NONE, bar, dollars, moment, percent, short, whole
from budget_proxy.analytics.rendering.blocks import visible

__all__ = [
    "NONE", "bar", "console", "dollars", "facts", "json_text", "moment", "percent", "print_json",
    "short", "table", "whole",
]  # fmt: skip

_WIDTH: Final = 80
_GAP: Final = 2
_LEAST: Final = 10


def print_json(value: Any) -> None:
    """Print dataclasses, mappings and sequences as indented JSON; NaN and infinity as null."""
    typer.echo(json_text(value), nl=False)


def json_text(value: Any) -> str:
    """The same as a text that ends in a newline."""
    return encoded(value, indent=True).decode() + "\n"


def console(*, stderr: bool = False) -> Console:
    """A console for people, on the stream as it is now, at least 80 columns wide.

    What the stream's encoding lacks is replaced, never an error.
    """
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    made = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    made.width = max(made.width, _WIDTH)
    return made


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: int = 1,
) -> Table:
    """A table as wide as the console at most: its first column gives way.

    The first ``left`` columns are texts, the others numbers, which are never cut. What would steer
    a terminal is shown, and not sent: callers choose the names of runs, agents and models.
    """
    made = Table(
        title=title, title_justify="left", title_style="bold",
        box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
    )  # fmt: skip
    lines = [list(map(visible, row)) for row in rows]
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *lines, strict=True)]
    room = console().width - sum(widths[1:]) - _GAP * (len(widths) - 1)
    widths[0] = min(widths[0], max(room, _LEAST))
    for index, name in enumerate(columns):
        justify: JustifyMethod = "left" if index < left else "right"
        made.add_column(
            name, justify=justify, overflow="ellipsis", no_wrap=True, width=widths[index]
        )
    for line in lines:
        made.add_row(*line)
    return made


def facts(rows: Mapping[str, str]) -> Table:
    """Names and values, one pair a line; likewise nothing that would steer a terminal."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows.items():
        made.add_row(visible(name), visible(value, keep="\n"))
    return made
