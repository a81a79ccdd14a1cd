"""Why an answer ended, in the core's words."""

from __future__ import annotations

from typing import Final

from budget_proxy.types import FinishReason

_RANK: Final[dict[FinishReason, int]] = {
    "length": 0,
    "content_filter": 1,
    "refusal": 2,
    "tool_calls": 3,
    "stop": 4,
}


def worse(first: FinishReason | None, second: FinishReason | None) -> FinishReason | None:
    """The one that counts for several choices of one answer: a truncation before all else."""
    if first is None or second is None:
        return first or second
    return min(first, second, key=lambda reason: _RANK.get(reason, 0))
