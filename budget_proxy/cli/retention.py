"""What the settings let go of a history: which calls may be folded into days."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from budget_proxy.settings import Settings
    from budget_proxy.store.base import Store

DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Share:
    """Calls that may be folded: ids up to ``until``, times before ``before``."""

    until: int
    before: float


def shares_of(history: Store, settings: Settings, before: float | None) -> list[Share]:
    """What may go: what is older than ``before`` (Unix seconds), and what ``keep_calls`` leaves.

    The newest calls, those that forecasts start from, never do.
    """
    shares = []
    if before is not None:
        shares.append(Share(history.horizon(settings.window), before))
    if settings.keep_calls is not None:
        keep = max(settings.keep_calls, settings.window)
        shares.append(Share(history.horizon(keep), math.inf))
    return shares


def foldable(history: Store, shares: Sequence[Share]) -> int:
    """How many calls there are in the shares together."""
    count = sum(history.foldable(share.until, share.before) for share in shares)
    if len(shares) > 1:
        until = min(share.until for share in shares)
        before = min(share.before for share in shares)
        count -= history.foldable(until, before)  # what lies in both was counted twice
    return count
