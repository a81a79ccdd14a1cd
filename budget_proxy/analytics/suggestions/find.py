"""All suggestions about a history, those worth most first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from budget_proxy.analytics.suggestions.base import KINDS, Kind, Scene, Suggestion
from budget_proxy.analytics.suggestions.budgets import ill_fitting
from budget_proxy.analytics.suggestions.caches import breaking
from budget_proxy.analytics.suggestions.caps import idle_caps, over_allocated, under_allocated
from budget_proxy.analytics.suggestions.effort import untried
from budget_proxy.analytics.suggestions.guidance import unpaid
from budget_proxy.analytics.suggestions.models import cheaper

_WAYS: Final[dict[Kind, Callable[[Scene], Iterator[Suggestion]]]] = {
    "over-allocated": over_allocated,
    "under-allocated": under_allocated,
    "idle-cap": idle_caps,
    "budget": ill_fitting,
    "model": cheaper,
    "cache": breaking,
    "guidance": unpaid,
    "effort": untried,
}


def suggestions(scene: Scene, kinds: tuple[Kind, ...] = KINDS) -> tuple[Suggestion, ...]:
    """What could be set otherwise, by the money it may save, then by tokens."""
    found = [one for kind in kinds for one in _WAYS[kind](scene)]
    return tuple(sorted(found, key=_worth))


def _worth(one: Suggestion) -> tuple[float, int, int, str]:
    low, high = one.money or (0.0, 0.0)
    return (-(low + high), -(one.tokens or 0), KINDS.index(one.kind), one.id)
