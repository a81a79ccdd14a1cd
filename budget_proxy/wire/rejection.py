"""Which parameter a 400 complains of, read from its ``param`` and message.

Providers word the same complaint differently, so the earliest parameter named decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from budget_proxy.wire import value

Mention = tuple[re.Pattern[str], tuple[str, ...]]
"""How a parameter is spoken of, and the names it may have among those we added."""


def mention(pattern: str, *names: str) -> Mention:
    """A Mention from a pattern that ignores case."""
    return re.compile(pattern, re.IGNORECASE), names


def named(payload: Any, mentions: Sequence[Mention], added: Sequence[str]) -> str | None:
    """The parameter of ours that an error answer names, or ``None`` if it is not ours."""
    complaint = _complaint(payload)
    hits = [
        (hit.start(), names) for pattern, names in mentions if (hit := pattern.search(complaint))
    ]
    if not hits:
        return None
    _, names = min(hits)
    return next((name for name in names if name in added), None)


def _complaint(payload: Any) -> str:
    outer = value.mapping(payload)
    error = outer.get("error")
    inner = error if isinstance(error, dict) else outer
    parts = (inner.get("param"), error, inner.get("message"), inner.get("detail"))
    return "\n".join(part for part in parts if isinstance(part, str))
