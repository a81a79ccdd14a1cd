"""Who spends: agents, task types and models by cost and by tokens, and how that has changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from budget_proxy.analytics.efficiency import COLUMNS, By
from budget_proxy.analytics.figures import Group
from budget_proxy.store.sums import OTHER, Sums, merged, total

Earlier = Mapping[tuple[str, str, str, str], Sums]
"""Sums of an earlier period by what they have in common."""


@dataclass(frozen=True, slots=True)
class Spender:
    """What one group spent: dollars of attempts with a known price, and tokens in and out.

    ``unpriced`` attempts have a price that is unknown. The shares are of all groups together,
    ``None`` where these spent nothing. ``cost_before`` and ``tokens_before`` are of an earlier
    period of the same length, ``None`` where there is none.
    """

    group: Group
    calls: int
    cost: float
    unpriced: int
    tokens: int
    cost_share: float | None
    token_share: float | None
    cost_before: float | None
    tokens_before: int | None


def spenders(
    sums: Sequence[Sums], before: Sequence[Sums] | None, by: By, most: int = 10
) -> tuple[Spender, ...]:
    """The groups that spent most, by cost, then by tokens; what others there are is the last.

    Of the ``most`` some are there for their tokens if not for their cost: prices may be unknown.
    """
    columns = COLUMNS[by]
    groups = sorted(merged(sums, columns), key=_by_cost)
    earlier = None if before is None else {one.group: one for one in merged(before, columns)}
    kept = {one.group for one in groups[: most - most // 3]}
    for one in sorted(groups, key=lambda one: -_tokens(one)):
        if len(kept) < most:
            kept.add(one.group)
    whole = total(groups)
    found = [
        _spender(one, tuple(getattr(one, name) for name in columns), whole, earlier)
        for one in groups
        if one.group in kept
    ]
    if len(groups) > len(kept):
        found.append(_others([one for one in groups if one.group not in kept], by, whole, earlier))
    return tuple(found)


def _others(rest: Sequence[Sums], by: By, whole: Sums, earlier: Earlier | None) -> Spender:
    one, before = total(rest), None
    if earlier is not None:
        known = [earlier[member.group] for member in rest if member.group in earlier]
        before = {one.group: total(known)}
    return _spender(one, (OTHER,) * len(COLUMNS[by]), whole, before)


def _spender(one: Sums, group: Group, whole: Sums, earlier: Earlier | None) -> Spender:
    before = None if earlier is None else earlier.get(one.group, Sums())
    return Spender(
        group=group,
        calls=one.calls,
        cost=one.cost,
        unpriced=one.unpriced,
        tokens=_tokens(one),
        cost_share=one.cost / whole.cost if whole.cost else None,
        token_share=_tokens(one) / _tokens(whole) if _tokens(whole) else None,
        cost_before=None if before is None else before.cost,
        tokens_before=None if before is None else _tokens(before),
    )


def _by_cost(one: Sums) -> tuple[float, int]:
    return -one.cost, -_tokens(one)


def _tokens(one: Sums) -> int:
    return one.input_tokens + one.output_tokens
