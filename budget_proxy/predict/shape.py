"""What a text looks like before a word of it is read: its signs, its scripts, its lines."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

_SIGNS: Final = {
    "digits": b"0123456789",
    "capitals": bytes(range(65, 91)),
    "blanks": b" \t",
    "parentheses": b"()",
    "braces": b"[]{}<>",
    "LaTeX": b"$\\^",
    "operators": b"+*=%",
    "quotes": b"\"'`",
    "question marks": b"?",
    "accented letters": bytes(range(0xC3, 0xCA)),
    "other letters": bytes([*range(0xCD, 0xD4), *range(0xD6, 0xDC)]),
    "Asian letters": bytes([0xE0, *range(0xE3, 0xEE)]),
}
"""Bytes of UTF-8, a character's first, by what they tell; other letters are Greek, Cyrillic,
Hebrew and Arabic ones."""

_LINES: Final = {
    "numbered lines": "0123456789",
    "list items": "-*\N{BULLET}",
    "added lines": "+",
    "headings": "#=",
}
"""The first sign of a line, by what it tells."""

NAMES: Final = (
    *_SIGNS, *_LINES, "indented lines", "path lines", "blank lines", "options", "keys", "lines",
    "line length",
)  # fmt: skip

_SCALE: Final = 5.0
_KINDS: Final = bytes(
    next((at for at, signs in enumerate(_SIGNS.values(), 1) if byte in signs), 0)
    for byte in range(256)
)
"""By byte which of _SIGNS it is, from 1; 0 for all others."""

_FIRSTS: Final = {sign: at for at, signs in enumerate(_LINES.values()) for sign in signs}
_MOST_LINES: Final = 40
_INDENT: Final = 4
_OPTIONS: Final = frozenset("ABCDEFabcdef")


def shape_of(text: str) -> list[float]:
    """The numbers of NAMES: shares of all characters, of all lines, and logs of counts."""
    kinds = text.encode("utf-8", "surrogatepass").translate(_KINDS)
    counts = np.bincount(np.frombuffer(kinds, np.uint8), minlength=len(_SIGNS) + 1).tolist()
    length = max(len(text), 1)
    return [*[math.sqrt(count / length) for count in counts[1:]], *_lines(text)]


def _lines(text: str) -> Iterable[float]:
    lines = text.split("\n")
    count = len(lines)
    if count > 2 * _MOST_LINES:
        lines = lines[:_MOST_LINES] + lines[-_MOST_LINES:]
    found = [0] * len(_LINES)
    indented = paths = blank = options = 0
    for line in lines:
        bare = line.lstrip()
        if not bare:
            blank += 1
            continue
        first = bare[0]
        at = _FIRSTS.get(first)
        if at is not None:
            found[at] += 1
        elif first in _OPTIONS or first == "(":
            options += bare[1:2] in (")", ".") or bare[2:3] == ")"
        if len(line) - len(bare) >= _INDENT:
            indented += 1
        if "/" in line and " " not in bare:
            paths += 1
    read = len(lines)
    return (
        *(number / read for number in found),
        indented / read,
        paths / read,
        blank / read,
        min(options, 8) / 4,
        math.log1p(text.count('":')) / _SCALE,
        math.log1p(count) / _SCALE,
        math.log1p(len(text) / count) / _SCALE,
    )
