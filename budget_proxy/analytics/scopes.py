"""Which calls: a scope is (agent, task type, model), ``None`` standing for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

Scope = tuple[str | None, str | None, str | None]

ALL: Final[Scope] = (None, None, None)

WIDER: Final = 1.0
"""By how much, in ln of the likelihood, a wider scope must explain more than the usual one."""

NEARLY: Final = 0.9
"""The share of a scope's calls that stands for it."""


def covers(wide: Scope, narrow: Scope) -> bool:
    """Whether all calls of ``narrow`` are among those of ``wide``."""
    return all(mine is None or mine == its for mine, its in zip(wide, narrow, strict=True))


def meet(one: Scope, other: Scope) -> bool:
    """Whether a call may be in both."""
    return all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))


def shared(one: Scope, other: Scope) -> Scope | None:
    """The model or agent, or both, that two scopes have in common; ``None`` if they have none."""
    agent = one[0] if one[0] == other[0] else None
    model = one[2] if one[2] == other[2] else None
    return None if agent is None and model is None else (agent, None, model)


def blamed(
    steps: Iterable[tuple[Scope, float]], subject: Scope, usual: Scope, narrower: float
) -> Scope:
    """The scope whose calls a change explains best, of all that meet ``subject``.

    ``steps`` are log-likelihood ratios of "changed" by finest scope. It is ``usual``, or what
    nearly all of its calls are of, unless a wider one explains more by WIDER, or a narrower by
    ``narrower``.
    """
    totals: dict[Scope, tuple[int, float]] = {}
    for group, step in steps:
        calls, total = totals.get(group, (0, 0.0))
        totals[group] = (calls + 1, total + step)
    scopes = {wide for group in totals for wide in _wider(group) if meet(wide, subject)} | {usual}
    sums = {scope: _sum(totals, scope) for scope in scopes}
    usual = _finest(sums, usual)
    leads = {scope: narrower if covers(usual, scope) else WIDER for scope in scopes}
    leads[usual] = 0.0
    return _finest(sums, max(scopes, key=lambda scope: sums[scope][1] - leads[scope]))


def _finest(sums: dict[Scope, tuple[int, float]], scope: Scope) -> Scope:
    """The finest scope that nearly all of the calls of ``scope`` are of."""
    enough = NEARLY * sums[scope][0]
    within = [one for one in sums if covers(scope, one) and sums[one][0] >= enough]
    return max(within, key=lambda one: (sum(part is not None for part in one), one[2] is not None))


def _sum(totals: dict[Scope, tuple[int, float]], scope: Scope) -> tuple[int, float]:
    inside = [total for group, total in totals.items() if covers(scope, group)]
    return sum(calls for calls, _ in inside), sum(total for _, total in inside)


def _wider(group: Scope) -> Iterator[Scope]:
    agent, _, model = group
    yield group
    yield (agent, None, model)
    yield (None, None, model)
    yield (agent, None, None)
    yield ALL
