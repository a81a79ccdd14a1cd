"""Blocks as one HTML file: no script, no request to anywhere, light and dark.

What it shows may be named by anybody (agents, models): every text is escaped, and the policy in
the head lets a browser run and load nothing, should that ever fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from budget_proxy.analytics.rendering import svg
from budget_proxy.analytics.rendering.blocks import (
    MOST_ROWS,
    Bars,
    Block,
    Command,
    Courses,
    Entry,
    Facts,
    Forecast,
    Heading,
    Lines,
    Note,
    Plot,
    Promises,
    Table,
    Tiles,
)

_Words = Heading | Note | Facts | Tiles | Table | Entry | Command
_Laid = _Words | Plot

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
_TEXT: Final = ' class="text"'
_STYLE: Final = """
:root { color-scheme: light dark; --paper: #fdfdfc; --card: #fff; --ink: #1c1e21; --soft: #5f6670;
  --rule: #e3e5e8; --first: #2563eb; --second: #c2570c; }
@media (prefers-color-scheme: dark) { :root { --paper: #14161a; --card: #1b1e24; --ink: #e8eaed;
  --soft: #9aa3af; --rule: #2e333b; --first: #6ea8fe; --second: #f0a35e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 16px 64px; max-width: 1140px; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
h1 { margin: 0; font-size: 26px; } h2 { margin: 40px 0 12px; font-size: 20px; }
h3 { margin: 0 0 8px; font-size: 15px; }
.when, .note { color: var(--soft); } .when { margin: 2px 0 24px; }
.note { margin: 8px 0 16px; font-size: 13px; max-width: 78ch; overflow-wrap: anywhere; }
.tiles, .plots { display: grid; gap: 16px; margin: 16px 0; }
.tiles { grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); }
.plots { grid-template-columns: repeat(auto-fit, minmax(min(320px, 100%), 1fr)); }
.tile, figure, .table, dl { background: var(--card); border: 1px solid var(--rule);
  border-radius: 10px; padding: 14px 16px; margin: 0 0 16px; }
.tile, .plots figure { margin: 0; } .plots figure { max-width: 460px; }
.plots figure:only-child { max-width: 720px; }
.tile b { display: block; font-size: 28px; line-height: 1.2; }
.tile small { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 20px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 520px) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 8px; } }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding-bottom: 8px; }
th, td { padding: 5px 0 5px 16px; text-align: right; white-space: nowrap;
  border-top: 1px solid var(--rule); }
th { color: var(--soft); font-weight: 500; border-top: 0; }
.text { text-align: left; padding: 5px 16px 5px 0; } td.text { white-space: normal;
  overflow-wrap: anywhere; min-width: 9em; max-width: 34em; }
figcaption { font-weight: 600; margin-bottom: 8px; } svg { display: block; width: 100%; }
svg text { fill: var(--soft); font-size: 11px; } .end { text-anchor: end; }
.middle { text-anchor: middle; } .grid { stroke: var(--rule); } .bar { fill: var(--first); }
path.line { fill: none; stroke-width: 2; } .line-0 { stroke: var(--first); }
.line-1 { stroke: var(--second); stroke-dasharray: 5 4; } circle.line-0, .key.line-0 {
  fill: var(--first); stroke: none; } circle.line-1, .key.line-1 { fill: var(--second);
  stroke: none; } .diagonal { stroke: var(--soft); stroke-dasharray: 3 4; }
.band { fill: var(--second); fill-opacity: .2; } .ahead { fill: var(--second); }
pre { overflow-wrap: anywhere; white-space: pre-wrap; font-size: 13px; }
.whisker { stroke: var(--first); } .point { fill: var(--first); fill-opacity: .75; }
@media print { body { max-width: none; } .tile, figure, .table, dl { break-inside: avoid; } }
"""


def page(title: str, subtitle: str, blocks: Iterable[Block]) -> str:
    """A document of its own."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{escape(title)}</h1>\n<p class="when">{escape(subtitle)}</p>\n'
        f"{''.join(_body(blocks))}</body>\n</html>\n"
    )


def _body(blocks: Iterable[Block]) -> list[str]:
    """Blocks as they come; plots that follow each other stand side by side."""
    parts: list[str] = []
    plots: list[str] = []
    for block in _laid_out(blocks):
        if isinstance(block, Plot):
            plots.append(_figure(block))
            continue
        parts += [_side_by_side(plots)] * bool(plots)
        plots = []
        parts.append(_block(block))
    return parts + [_side_by_side(plots)] * bool(plots)


def _laid_out(blocks: Iterable[Block]) -> Iterator[_Laid]:
    """Courses as their table, and the plots of its first rows."""
    for block in blocks:
        if isinstance(block, Courses):
            yield block.table
            yield from block.lines[:MOST_ROWS]
        else:
            yield block


def _side_by_side(plots: Iterable[str]) -> str:
    return f'<div class="plots">\n{"".join(plots)}</div>\n'


def _figure(block: Plot) -> str:
    match block:
        case Bars():
            drawn = svg.bars(block)
        case Lines():
            drawn = svg.lines(block)
        case Promises():
            drawn = svg.promises(block)
        case Forecast():
            drawn = svg.forecast(block)
    caption = block.title
    if isinstance(block, Promises):
        caption = f"{block.title}: {block.held} by {block.promised}"
    return f"<figure><figcaption>{escape(caption)}</figcaption>{drawn}</figure>\n"


def _block(block: _Words) -> str:
    match block:
        case Heading(text):
            made = f"<h2>{escape(text)}</h2>\n"
        case Note(text):
            made = f'<p class="note">{escape(text)}</p>\n'
        case Facts(rows):
            made = _pairs(rows)
        case Entry(title, rows):
            made = f"<h3>{escape(title)}</h3>\n{_pairs(rows)}"
        case Command(line):
            made = f"<pre>{escape(line)}</pre>\n"
        case Tiles(tiles):
            cards = (
                f'<div class="tile">{escape(tile.name)}<b>{escape(tile.value)}</b>'
                f"<small>{escape(tile.small)}</small></div>"
                for tile in tiles
            )
            made = f'<div class="tiles">{"".join(cards)}</div>\n'
        case Table(title, columns, rows, left):
            head = _row("th", columns, left)
            body = "".join(_row("td", row, left) for row in rows)
            made = (
                f'<div class="table"><table><caption>{escape(title)}</caption>'
                f"<thead>{head}</thead><tbody>{body}</tbody></table></div>\n"
            )
    return made


def _pairs(rows: Iterable[tuple[str, str]]) -> str:
    pairs = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f"<dl>{''.join(pairs)}</dl>\n"


def _row(kind: str, cells: Sequence[str], left: int) -> str:
    made = (
        f"<{kind}{_TEXT if index < left else ''}>{escape(cell)}</{kind}>"
        for index, cell in enumerate(cells)
    )
    return f"<tr>{''.join(made)}</tr>"
