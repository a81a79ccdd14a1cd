"""What a report's text is made of, whatever shows it: facts, tables and plots.

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
    """Shares over time: one line a series (name, values)."""

    title: str
    names: tuple[str, ...]
    series: tuple[tuple[str, tuple[float | None, ...]], ...]
    number: Number


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


Block = Heading | Note | Facts | Tiles | Table | Bars | Lines | Promises


def named(*parts: str) -> str:
    """Names that somebody else chose, on one line: what cannot be printed is replaced."""
    text = " / ".join(parts)
    clean = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return clean if len(clean) <= LONGEST_NAME else f"{clean[: LONGEST_NAME - 1]}…"
