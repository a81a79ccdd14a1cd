"""What is the same in texts of one make: their ends with what varies masked."""

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
_PATHLESS: Final = re.compile(
    r"""
    ["'`\d]
    (?: (?<=") [^"\n]{0,80} " | (?<=') [^'\n]{1,80} '(?!\w) | (?<=`) [^`\n]{0,80} `
      | (?<=\d) [\d.,]*+ )
    """,
    re.VERBOSE,
)
"""The same for a text without a slash; it begins with what is soon skipped to."""

_SIGNS: Final = b"\"'`/0123456789"
"""One of which is in whatever varies, where all is ASCII."""
_MASK: Final = "#"


def template(text: str) -> str:
    """The beginning, masked."""
    return _masked(text[:_READ])[:KEPT]


def tail(text: str) -> str:
    """The end, masked."""
    return _masked(text[-_READ:])[-KEPT:]


def _masked(text: str) -> str:
    if text.isascii() and len(text.encode().translate(None, _SIGNS)) == len(text):
        return text
    return (_VARYING if "/" in text else _PATHLESS).sub(_MASK, text)
