"""Suggestions added up by agent, task type or model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from budget_proxy.analytics.suggestions.base import Range, Suggestion


@dataclass(frozen=True, slots=True)
class Total:
    """What the ``suggestions`` about one group are worth a month, if they did not overlap.

    ``reserved`` tokens would be freed, ``tokens`` of other kinds saved; ``money`` in US dollars
    is of those whose worth is known, ``unpriced`` counts the others.
    """

    group: str
    suggestions: int
    reserved: int
    tokens: int
    money: Range
    unpriced: int


def totals(found: Sequence[Suggestion], key: str) -> list[Total]:
    """By ``agent``, ``task_type`` or ``model``; most money first."""
    groups: dict[str, list[Suggestion]] = {}
    for one in found:
        groups.setdefault(getattr(one, key), []).append(one)
    made = [_total(group, members) for group, members in groups.items()]
    return sorted(made, key=lambda one: (-sum(one.money), -one.reserved, one.group))


def _total(group: str, members: Sequence[Suggestion]) -> Total:
    known = [one.money for one in members if one.money is not None]
    return Total(
        group=group,
        suggestions=len(members),
        reserved=sum(one.tokens or 0 for one in members if one.of == "reserved"),
        tokens=sum(one.tokens or 0 for one in members if one.of != "reserved"),
        money=(sum(low for low, _ in known), sum(high for _, high in known)),
        unpriced=len(members) - len(known),
    )
