"""Which calls: a scope is (agent, task type, model), ``None`` standing for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

Scope = tuple[str | None, str | None, str | None]

ALL: Final[Scope] = (None, None, None)


def covers(wide: Scope, narrow: Scope) -> bool:
    """Whether all calls of ``narrow`` are among those of ``wide``."""
    return all(mine is None or mine == its for mine, its in zip(wide, narrow, strict=True))


def meet(one: Scope, other: Scope) -> bool:
    """Whether a call may be in both."""
    return all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))


def blamed(
    steps: Iterable[tuple[Scope, float]], subject: Scope, *, lead: float, by_model: bool
) -> Scope:
    """The scope whose calls a change explains best, of all that hold or lie in ``subject``.

    ``steps`` are log-likelihood ratios of "changed" by finest scope. A wider scope must explain
    more by ``lead`` than the narrower; where ``by_model``, a narrower one than the model.
    """
    totals: dict[Scope, float] = {}
    for group, step in steps:
        totals[group] = totals.get(group, 0.0) + step
    sums: dict[Scope, float] = {}
    for wide in {wide for group in totals for wide in _wider(group)}:
        if covers(wide, subject) or covers(subject, wide):
            sums[wide] = sum(total for group, total in totals.items() if covers(wide, group))
    return _best(sums, subject, lead, by_model=by_model)


def _best(sums: Mapping[Scope, float], subject: Scope, lead: float, *, by_model: bool) -> Scope:
    best, most = subject, float("-inf")
    for scope in sorted(sums, key=lambda scope: (_width(scope, by_model=by_model), -sums[scope])):
        if sums[scope] > most + (lead if most > float("-inf") else 0.0):
            best, most = scope, sums[scope]
    return best


def _wider(group: Scope) -> Iterator[Scope]:
    agent, _, model = group
    yield group
    yield (agent, None, model)
    yield (None, None, model)
    yield (agent, None, None)
    yield ALL


def _width(scope: Scope, *, by_model: bool) -> int:
    order = [scope[1] is not None, scope[0] is not None and scope[2] is not None]
    if by_model and scope == (None, None, scope[2]) and scope[2] is not None:
        return -1
    if all(order):
        return 0
    if order[1]:
        return 1
    return 2 if scope[2] is not None else 3 if scope[0] is not None else 4
