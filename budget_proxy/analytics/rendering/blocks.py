"""What texts are made of, whatever shows them: facts, tables and plots.

Texts are as they are to be read; whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from budget_proxy.analytics.efficiency import By
from budget_proxy.types import frozen

Number = Callable[[float], str]
"""How a number is written on an axis."""

LONGEST_NAME: Final = 120

MOST_ROWS: Final = 20
"""Groups that a table shows; JSON has them all."""

NAMES: Final[Mapping[By, str]] = {
    "agent": "Agent", "task": "Task type", "model": "Model", "group": "Agent / task / model",
}  # fmt: skip
"""What each way of grouping calls the groups."""


@frozen
class Heading:
    """Begins a section."""

    text: str


@frozen
class Note:
    """A paragraph: how to read what stands before it."""

    text: str


@frozen
class Facts:
    """Names and values, a pair a line."""

    rows: tuple[tuple[str, str], ...]


@frozen
class Tile:
    """One figure to be seen first: its ``value``, and in small print what to think of it."""

    name: str
    value: str
    small: str


@frozen
class Tiles:
    """Figures side by side."""

    tiles: tuple[Tile, ...]


@frozen
class Table:
    """Rows of cells under ``columns``; the first ``left`` columns are texts, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1


@frozen
class Bars:
    """One bar a name: a distribution, or totals over time. ``kind`` and ``unit`` name the axes."""

    title: str
    kind: str
    unit: str
    names: tuple[str, ...]
    values: tuple[float | None, ...]
    number: Number


@frozen
class Lines:
    """Numbers over time: one line a series (name, values).

    ``kind`` is what a name is, such as "day", where no table beside it has the numbers.
    """

    title: str
    names: tuple[str, ...]
    series: tuple[tuple[str, tuple[float | None, ...]], ...]
    number: Number
    kind: str = ""


@frozen
class Courses:
    """A table of which each row has a course over time: ``lines``, one a row."""

    table: Table
    lines: tuple[Lines, ...]


@frozen
class Forecast:
    """What was and what is to come: ``bands`` are intervals (low, high), ``None`` for the past."""

    title: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    bands: tuple[tuple[float, float] | None, ...]
    number: Number


@frozen
class Entry:
    """One of several things that take some words: names and texts under its ``title``."""

    title: str
    rows: tuple[tuple[str, str], ...]


@frozen
class Command:
    """A line for a shell, which is never broken."""

    line: str


@frozen
class Point:
    """``held`` of ``n`` within [``low``, ``high``], where ``promised`` was expected."""

    promised: float
    held: float
    low: float
    high: float
    n: int


@frozen
class Promises:
    """What was promised beside what held: on the diagonal both are the same."""

    title: str
    promised: str
    held: str
    points: tuple[Point, ...]


Plot = Bars | Lines | Promises | Forecast
Block = Heading | Note | Facts | Tiles | Table | Courses | Entry | Command | Plot


@frozen
class Document:
    """What a command tells, in a terminal or in a file.

    A terminal shows ``head`` in place of the titles, and a blank line between sections.
    """

    title: str
    subtitle: str
    sections: tuple[tuple[Block, ...], ...]
    head: tuple[str, ...] = ()

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All of it, for a file."""
        return tuple(block for section in self.sections for block in section)


def named(*parts: str) -> str:
    """Names that somebody else chose, on one line: what cannot be printed is replaced."""
    text = " / ".join(parts)
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return clean if len(clean) <= LONGEST_NAME else f"{clean[: LONGEST_NAME - 1]}…"


def only(where: Mapping[str, str]) -> str:
    """Which calls alone are told of, such as "; only agent coder"; nothing where all are."""
    told = ", ".join(f"{column.replace('_', ' ')} {named(name)}" for column, name in where.items())
    return f"; only {told}" if told else ""


def visible(text: str, keep: str = "") -> str:
    """A text that others chose, without what would steer a terminal."""
    return "".join(
        sign if sign.isprintable() or sign in keep else sign.encode("unicode_escape").decode()
        for sign in text
    )
