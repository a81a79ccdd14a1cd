"""A plot over time in plain characters: bars or points, a band around them, a level, a mark.

How to use it: one value a period (``None`` where there is none), a name for each period, and
how a number is written on the axis::

    from budget_proxy.cli.plot import plot
    out.print(plot([3.0, None, 5.0], ["Mon", "Tue", "Wed"], dollars, bars=True))

``bands`` shades an interval (low, high) in each period that has one; ``level`` draws a line
across, such as a limit; ``width`` and ``height`` count characters, axes included. Periods are
spread over the width, or summed up (means; the outermost of bands) where they are too many.
``ascii_only`` is for streams whose encoding is not UTF, as elsewhere in the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

Value = float | None
Interval = tuple[float, float] | None

_EIGHTHS: Final = " ▁▂▃▄▅▆▇"
_HEIGHT: Final = 12
_WIDTH: Final = 80
_GAP: Final = 2


class _Pens(NamedTuple):
    """The characters that a plot is made of."""

    bar: str
    point: str
    band: str
    level: str
    axis: str
    corner: str
    floor: str


_FINE: Final = _Pens(bar="█", point="•", band="░", level="┄", axis="┤", corner="└", floor="─")
_ASCII: Final = _Pens(bar="#", point="o", band=":", level="-", axis="|", corner="+", floor="-")


def plot(
    values: Sequence[Value],
    names: Sequence[str],
    number: Callable[[float], str],
    *,
    bands: Sequence[Interval] = (),
    level: float | None = None,
    bars: bool | Sequence[bool] = False,
    width: int = _WIDTH,
    height: int = _HEIGHT,
    ascii_only: bool = False,
) -> str:
    """Draw values, each with the name of its period; the lines of the plot as one text.

    ``bars`` says whether values are bars from zero or points, for all or one by one; with any
    bar the axis starts at zero. Raises ValueError where lengths differ or no value is there.
    """
    if not len(values) == len(names) == len(bands or values):
        raise ValueError("a plot needs a name, and a band if any, for each value")
    solid = [bars] * len(values) if isinstance(bars, bool) else list(bars)
    marks = [*values, level, *(edge for band in bands if band for edge in band)]
    found = [mark for mark in marks if mark is not None]
    if not found:
        raise ValueError("a plot needs a value")
    scale = _scale(found, height - 2, zero=any(solid))
    labels = [number(scale.value(row)) for row in range(height - 2)]
    margin = max(map(len, labels))
    columns = _columns(values, bands or [None] * len(values), solid, width - margin - _GAP)
    pens = _ASCII if ascii_only else _FINE
    rows = [
        _label(labels[row], row, scale.rows).rjust(margin) + f" {pens.axis}"
        + "".join(_cell(column, row, scale, level, pens) for column in columns)
        for row in reversed(range(scale.rows))
    ]  # fmt: skip
    floor = " " * (margin + 1) + pens.corner + pens.floor * len(columns)
    below = " " * (margin + _GAP) + _names(names, len(columns))
    return "\n".join(line.rstrip() for line in (*rows, floor, below))


@dataclass(frozen=True, slots=True)
class _Scale:
    """Rows of characters from ``low`` to ``high``; row 0 is the lowest."""

    low: float
    high: float
    rows: int

    def place(self, value: float) -> float:
        """Where a value lies, in rows from the floor."""
        return (value - self.low) / (self.high - self.low) * self.rows

    def row(self, value: float) -> int:
        """The row that a value lies in."""
        return min(max(int(self.place(value)), 0), self.rows - 1)

    def value(self, row: int) -> float:
        """The value in the middle of a row, or at the floor and the top."""
        part = 0.0 if row == 0 else 1.0 if row == self.rows - 1 else (row + 0.5) / self.rows
        return self.low + part * (self.high - self.low)


def _scale(found: Sequence[float], rows: int, *, zero: bool) -> _Scale:
    low, high = min(found), max(found)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        high = low + (abs(low) or 1.0)
    return _Scale(low, high, rows)


class _Column(NamedTuple):
    value: Value
    band: Interval
    solid: bool


def _columns(
    values: Sequence[Value], bands: Sequence[Interval], solid: Sequence[bool], room: int
) -> list[_Column]:
    """One column of characters a place: periods repeated or summed up to fill the room."""
    many, columns = len(values), []
    room = room // many * many if many <= room else room
    for place in range(room):
        start = place * many // room
        end = max((place + 1) * many // room, start + 1)
        known = [value for value in values[start:end] if value is not None]
        inner = [band for band in bands[start:end] if band is not None]
        columns.append(
            _Column(
                sum(known) / len(known) if known else None,
                (min(b[0] for b in inner), max(b[1] for b in inner)) if inner else None,
                solid[start],
            )
        )
    return columns


def _cell(column: _Column, row: int, scale: _Scale, level: float | None, pens: _Pens) -> str:
    """The character at one place: the value before the band, the band before the level."""
    if column.value is not None:
        if column.solid:
            filled = scale.place(column.value) - row
            if filled >= 1:
                return pens.bar
            if filled > 0 and (part := _part(filled, pens)) != " ":
                return part
        elif scale.row(column.value) == row:
            return pens.point
    if column.band and scale.row(column.band[0]) <= row <= scale.row(column.band[1]):
        return pens.band
    return pens.level if level is not None and scale.row(level) == row else " "


def _part(filled: float, pens: _Pens) -> str:
    """The top of a bar that fills a part of its row."""
    if pens is _ASCII:
        return pens.bar if filled >= 0.5 else " "  # noqa: PLR2004 (half)
    return _EIGHTHS[min(round(filled * 8), 7)]


def _label(label: str, row: int, rows: int) -> str:
    """Numbers stand at the floor, the top and every third row between."""
    return label if row in {0, rows - 1} or (row % 3 == 0 and row < rows - 2) else ""


def _names(names: Sequence[str], room: int) -> str:
    """As many names as fit, each where its period begins; the first always."""
    line, free = [" "] * room, 0
    for index, name in enumerate(names):
        start = index * room // len(names)
        if start >= free and start + len(name) <= room:
            line[start : start + len(name)] = name
            free = start + len(name) + _GAP
    return "".join(line)


def spark(values: Sequence[Value], *, width: int = 24, ascii_only: bool = False) -> str:
    """One line of ``width`` characters at most, from the lowest value to the highest.

    A gap is a blank; several periods share a character, by their mean, where there are too many.
    """
    many = -(-len(values) // width) or 1
    cells = [
        [value for value in values[first : first + many] if value is not None]
        for first in range(0, len(values), many)
    ]
    means = [sum(cell) / len(cell) if cell else None for cell in cells]
    known = [mean for mean in means if mean is not None]
    pens = "_.-=^" if ascii_only else "▁▂▃▄▅▆▇█"
    low, spread = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return "".join(
        " " if mean is None else pens[round((mean - low) / (spread or 1.0) * (len(pens) - 1))]
        for mean in means
    )
