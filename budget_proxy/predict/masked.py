"""The ends of a text with what varies masked: the same for all calls made from one template."""

from __future__ import annotations

import re
from typing import Final

KEPT: Final = 48
"""Characters of a masked end."""

_READ: Final = 240
"""Characters read for them: masks are shorter than what they stand for."""
_VARYING: Final = re.compile(
    r"""
      "[^"\n]{0,80}" | '[^'\n]{1,80}'(?!\w) | `[^`\n]{0,80}`   # quoted
    | [\w.~-]*/[\w./~-]+                                       # paths
    | \d+(?:[.,]\d+)*                                          # numbers
    """,
    re.VERBOSE,
)
_MASK: Final = "#"


def template(text: str) -> str:
    """The beginning, masked."""
    return _VARYING.sub(_MASK, text[:_READ])[:KEPT]


def tail(text: str) -> str:
    """The end, masked."""
    return _VARYING.sub(_MASK, text[-_READ:])[-KEPT:]
