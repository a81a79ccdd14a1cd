"""What is the same in texts of one make: their ends with what varies masked, their lines' signs."""

from __future__ import annotations

import re
from typing import Final

KEPT: Final = 48
"""Characters of a masked end."""

_READ: Final = 160
"""Characters read for them: masks are shorter than what they stand for."""
_QUOTED: Final = r"""  "[^"\n]{0,80}" | '[^'\n]{1,80}'(?!\w) | `[^`\n]{0,80}`  """
_PATH: Final = r"(?<![\w.~-]) [\w.~-]*+ / [\w./~-]+"
_NUMBER: Final = r"\d [\d.,]*+"
_VARYING: Final = re.compile(f"{_QUOTED} | {_PATH} | {_NUMBER}", re.VERBOSE)
_PATHLESS: Final = re.compile(f"{_QUOTED} | {_NUMBER}", re.VERBOSE)
"""The same for a text without a slash, at a third of the cost."""

_SIGNS: Final = re.compile(r"""["'`/\d]""")
"""One of which is in whatever varies."""
_MASK: Final = "#"
_FIRST: Final = 6
_LAST: Final = 3
_LINES: Final = 12
_NEAR: Final = 1000
"""Lines and characters from an end that are looked at."""
_TAG: Final = "<"


def template(text: str) -> str:
    """The beginning, masked."""
    return _masked(text[:_READ])[:KEPT]


def tail(text: str) -> str:
    """The end, masked."""
    return _masked(text[-_READ:])[-KEPT:]


def _masked(text: str) -> str:
    if not _SIGNS.search(text):
        return text
    return (_VARYING if "/" in text else _PATHLESS).sub(_MASK, text)


def outline(text: str) -> str:
    """How the first lines begin: a listing, a file, a log and a question each in its own way.

    One sign a line: digits and letters as ``0``, ``a`` and ``A``. Lines that are tags around an
    observation are left out.
    """
    signs = list(map(_sign, text[:_NEAR].split("\n", _LINES)[:_LINES]))
    while signs and signs[0] in (_TAG, ""):
        del signs[0]
    return ",".join(signs[:_FIRST])


def ending(text: str) -> str:
    """How the last lines begin, likewise."""
    signs = list(map(_sign, text[-_NEAR:].rsplit("\n", _LINES)[-_LINES:]))
    while signs and signs[-1] in (_TAG, ""):
        del signs[-1]
    return ",".join(signs[-_LAST:])


def _sign(line: str) -> str:
    first = line.lstrip()[:1]
    if first.isalpha():
        return "a" if first.islower() else "A"
    return "0" if first.isdecimal() else first
