"""Which parameter a 400 or 422 complains of, read from its ``param`` and message.

Providers word the same complaint differently, so the earliest parameter named decides. Some give
it as a list of objects (FastAPI's ``detail``), which is searched as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from budget_proxy.wire import value

Mention = tuple[re.Pattern[str], tuple[str, ...]]
"""How a parameter is spoken of, and the names it may have among those we added."""

_PASSING: Final = " (this value)"
_OF_A_VALUE: Final = re.compile(
    r"too (?:large|big|high|long|small|low)|(?:was|been) reached|exceed|at (?:least|most)\b"
    r"|(?:less|greater|larger|smaller|more|fewer) than|context (?:length|window)|out of range",
    re.IGNORECASE,
)
"""How providers speak of a parameter that they know, with a value that does not do this time."""


def mention(pattern: str, *names: str) -> Mention:
    """A Mention from a pattern that ignores case."""
    return re.compile(pattern, re.IGNORECASE), names


def named(
    payload: Any, mentions: Sequence[Mention], added: Sequence[str], places: Mention
) -> str | None:
    """The parameter of ours that an error answer names, or ``None`` if it is not ours.

    A cap's name is followed by " (this value)" where that is what is wrong with it. ``places`` is
    how single messages are spoken of: what else a complaint names tells more of it.
    """
    complaint = _complaint(payload)
    hits = [
        (hit.start(), names) for pattern, names in mentions if (hit := pattern.search(complaint))
    ]
    if not hits and places[0].search(complaint):
        hits = [(0, places[1])]
    if not hits:
        return None
    _, names = min(hits)
    name = next((name for name in names if name in added), None)
    if name is not None and name.startswith("max_") and _OF_A_VALUE.search(complaint):
        return f"{name}{_PASSING}"
    return name


def parameter_of(rejected: str) -> str:
    """The parameter's name alone."""
    return rejected.removesuffix(_PASSING)


def is_passing(rejected: str) -> bool:
    """Whether a parameter was refused for its value, so that another one may be taken."""
    return rejected.endswith(_PASSING)


def _complaint(payload: Any) -> str:
    outer = value.mapping(payload)
    error = outer.get("error")
    inner = error if isinstance(error, dict) else outer
    parts = (inner.get("param"), error, inner.get("message"), inner.get("detail"))
    return "\n".join(_text(part) for part in parts)


def _text(part: Any) -> str:
    if isinstance(part, list | dict):
        return value.canonical(part).decode(errors="replace")
    return value.text(part)
