"""Suggestions as programs read them: with the command that applies each, and added up."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from budget_proxy.analytics.encoding import named
from budget_proxy.analytics.suggestions.base import Scene, Suggestion
from budget_proxy.analytics.suggestions.totals import Total, totals

SPAN = "30d"
"""What is looked at where nobody says."""


@dataclass(frozen=True, slots=True)
class Listed(Suggestion):
    """A suggestion, and the ``command`` that applies it: ``None`` where no setting does."""

    command: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """All suggestions about ``days`` of the history ``store``, and added up ``by`` group."""

    store: str
    days: float
    suggestions: tuple[Listed, ...]
    by: tuple[Total, ...] | None


def listing(
    store: str, scene: Scene, found: Sequence[Suggestion], key: str | None, options: str
) -> Listing:
    """List what was found; ``key`` is the field to add up by, ``options`` as of ``options_of``."""
    listed = tuple(Listed(**named(one), command=command(one, options)) for one in found)
    sums = None if key is None else tuple(totals(found, key))
    return Listing(store, scene.days, listed, sums)


def command(one: Suggestion, options: str) -> str | None:
    """What applies a suggestion on the command line; ``None`` where no setting does."""
    return f"budget-proxy suggest --apply {one.id}{options}" if one.setting else None


def options_of(since: str, store: str | None, where: Mapping[str, str]) -> str:
    """The options by which the command that applies finds the same suggestions."""
    asked = [
        word for name, value in where.items() for word in (f"--{name.replace('_', '-')}", value)
    ]
    given = [
        *asked,
        *(["--since", since] if since != SPAN else []),
        *(["--store", store] if store else []),
    ]
    return "".join(f" {shlex.quote(word)}" for word in given)
