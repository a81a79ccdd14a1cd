"""Plots as SVG within an HTML page: bars, lines, forecasts, and promises beside what held.

Colours and fonts are the page's, by class; there is no script, and no text but escaped. Every
mark has a ``<title>``, which browsers show where the pointer rests and screen readers read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from math import floor, log10, sqrt
from typing import Final

from budget_proxy.analytics.rendering.blocks import (
    Bars,
    Forecast,
    Lines,
    Number,
    Point,
    Promises,
)
from budget_proxy.types import frozen

_WIDTH: Final = 360
_HEIGHT: Final = 220
_LEFT: Final = 50
_RIGHT: Final = 10
_TOP: Final = 10
_BOTTOM: Final = 26
_LETTER: Final = 6.6
"""How wide a letter of the names below is, at most."""
_TICKS: Final = 4
_LEGEND: Final = 16
_LEAST: Final = 1e-12
"""Less than that is nothing to see."""


@frozen
class _Frame:
    """Where values lie: x from 0 to 1, y from ``low`` to ``high``."""

    low: float
    high: float
    top: float = _TOP

    def x(self, share: float) -> float:
        """From the left."""
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """From above, as SVG counts."""
        room = _HEIGHT - self.top - _BOTTOM
        return self.top + room * (1 - (value - self.low) / (self.high - self.low))


def bars(block: Bars) -> str:
    """One bar a value; none where there is no value."""
    frame = _Frame(0.0, _above([value for value in block.values if value is not None]))
    many = len(block.values)
    each = (frame.x(1) - frame.x(0)) / max(many, 1)
    marks = (
        _bar(
            "bar", frame.x(0) + each * (index + 0.1), 0.8 * each, (0.0, value), frame,
            f"{name}: {block.number(value)}",
        )
        for index, (name, value) in enumerate(zip(block.names, block.values, strict=True))
        if value is not None
    )  # fmt: skip
    return _svg(block.title, [*_grid(frame, block.number), *marks, *_below(frame, block.names)])


def lines(block: Lines) -> str:
    """One line a series, with gaps where there is no value."""
    known = [value for _, values in block.series for value in values if value is not None]
    legend = len(block.series) > 1
    frame = _Frame(0.0, _above(known), _TOP + _LEGEND * legend)
    parts = [*_grid(frame, block.number), *_below(frame, block.names)]
    for number, (name, values) in enumerate(block.series):
        parts.extend(_line(frame, f"line line-{number}", name, values, block))
        if legend:
            x = _LEFT + 110 * number
            parts.append(f'<rect class="key line-{number}" x="{x}" y="4" width="14" height="4"/>')
            parts.append(f'<text x="{x + 20}" y="11">{escape(name)}</text>')
    return _svg(block.title, parts)


def forecast(block: Forecast) -> str:
    """The past as bars; what is to come as points within their intervals."""
    frame = _Frame(0.0, _above([*block.values, *(band[1] for band in block.bands if band)]))
    each = (frame.x(1) - frame.x(0)) / max(len(block.values), 1)
    parts = [*_grid(frame, block.number), *_below(frame, block.names)]
    days = zip(block.names, block.values, block.bands, strict=True)
    for index, (name, value, band) in enumerate(days):
        x, said = frame.x(0) + each * index, f"{name}: {block.number(value)}"
        if band is None:
            parts.append(_bar("bar", x + 0.1 * each, 0.8 * each, (0.0, value), frame, said))
        else:
            said = f"{said} ({block.number(band[0])} to {block.number(band[1])})"
            parts.append(_bar("band", x, each, band, frame, said))
            parts.append(
                f'<circle class="ahead" cx="{x + each / 2:.1f}" cy="{frame.y(value):.1f}" r="2">'
                f"<title>{escape(said)}</title></circle>"
            )
    return _svg(block.title, parts)


def _bar(
    kind: str, x: float, width: float, between: tuple[float, float], frame: _Frame, said: str
) -> str:
    """A bar from a value up to another, neither below the floor."""
    bottom, top = (frame.y(max(value, frame.low)) for value in between)
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
        f'height="{bottom - top:.1f}"><title>{escape(said)}</title></rect>'
    )


def promises(block: Promises) -> str:
    """Points around the diagonal, with their intervals; the more calls the greater."""
    frame = _Frame(0.0, 1.0)
    most = max((point.n for point in block.points), default=1)
    corners = f"M{frame.x(0):.1f} {frame.y(0):.1f}L{frame.x(1):.1f} {frame.y(1):.1f}"
    parts = [
        *_grid(frame, lambda share: f"{100 * share:.0f} %"),
        *_below(frame, ("10 %", "30 %", "50 %", "70 %", "90 %")),
        f'<path class="diagonal" d="{corners}"/>',
        *(_point(frame, point, most, block) for point in block.points),
    ]
    return _svg(block.title, parts)


def _point(frame: _Frame, point: Point, most: int, block: Promises) -> str:
    x, y = frame.x(point.promised), frame.y(point.held)
    said = (
        f"{block.promised} {100 * point.promised:.1f} %, {block.held} {100 * point.held:.1f} % "
        f"({100 * point.low:.1f}-{100 * point.high:.1f}) of {point.n:,}"
    )
    return (
        f'<path class="whisker" d="M{x:.1f} {frame.y(point.low):.1f}V{frame.y(point.high):.1f}"/>'
        f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="{2.5 + 4 * sqrt(point.n / most):.1f}">'
        f"<title>{escape(said)}</title></circle>"
    )


def _line(
    frame: _Frame, kind: str, name: str, values: Sequence[float | None], block: Lines
) -> Iterator[str]:
    many = max(len(values) - 1, 1)
    path, pen = "", "M"
    for index, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        path += f"{pen}{frame.x(index / many):.1f} {frame.y(value):.1f}"
        pen = "L"
    yield f'<path class="{kind}" d="{path}"/>'
    for index, value in enumerate(values):
        if value is not None:
            said = f"{block.names[index]}, {name}: {block.number(value)}"
            yield (
                f'<circle class="{kind}" cx="{frame.x(index / many):.1f}" '
                f'cy="{frame.y(value):.1f}" r="2"><title>{escape(said)}</title></circle>'
            )


def _grid(frame: _Frame, number: Number) -> Iterator[str]:
    step = (frame.high - frame.low) / _TICKS
    for tick in range(_TICKS + 1):
        value = frame.low + tick * step
        y = frame.y(value)
        yield f'<path class="grid" d="M{frame.x(0):.1f} {y:.1f}H{frame.x(1):.1f}"/>'
        yield f'<text class="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{escape(number(value))}</text>'


def _below(frame: _Frame, names: Sequence[str]) -> Iterator[str]:
    """As many names as fit without touching, each under its place."""
    many, free = len(names), 0.0
    for index, name in enumerate(names):
        middle = frame.x((index + 0.5) / many)
        half = len(name) * _LETTER / 2
        start = min(max(middle - half, 0.0), _WIDTH - 2 * half)
        if start >= free:
            place = f'x="{start + half:.1f}" y="{_HEIGHT - 8}"'
            yield f'<text class="middle" {place}>{escape(name)}</text>'
            free = start + 2 * half + 10


def _above(values: Iterable[float]) -> float:
    """A round number that no value is greater than, and that four steps lead up to."""
    most = max(values, default=0.0)
    if most < _LEAST:
        return 1.0
    unit = 10.0 ** floor(log10(most))
    return next(
        unit * top for top in (1, 1.2, 1.6, 2, 3, 4, 6, 8, 10) if unit * top >= most * 0.9999
    )


def _svg(title: str, parts: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
