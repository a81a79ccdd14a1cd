"""Which answers were cut: the groups in which that cost most, and the newest of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from budget_proxy.analytics.figures import Group
from budget_proxy.store.sums import Sums, merged
from budget_proxy.types import CallRecord


@dataclass(frozen=True, slots=True)
class CutGroup:
    """The truncated attempts of one (agent, task type, model).

    ``by_us`` were cut by our cap (and ``resent`` calls were answered again without it), the
    others by the caller's or the provider's. ``tokens`` they put out, for ``cost`` dollars of those
    with a known price (``None`` where no attempt of the group has one): paid for answers that end
    in the middle.
    """

    group: Group
    attempts: int
    truncated: int
    share: float
    by_us: int
    resent: int
    tokens: int
    cost: float | None


@dataclass(frozen=True, slots=True)
class CutCall:
    """One truncated attempt, and the cap in force (per choice, ``None``: not known)."""

    call_id: str
    attempt: int
    ts: float
    group: Group
    output_tokens: int | None
    ceiling: int | None
    recommended: int | None
    by_us: bool
    cost: float | None


@dataclass(frozen=True, slots=True)
class Truncations:
    """The worst groups, by cost, then by tokens; and the newest cut attempts, newest first."""

    groups: tuple[CutGroup, ...]
    newest: tuple[CutCall, ...]


def truncations(sums: Sequence[Sums], newest: Iterable[CallRecord], most: int = 10) -> Truncations:
    """What sums by (agent, task type, model) and the newest truncated rows tell."""
    parts = [one for one in merged(sums, ("agent", "task_type", "model")) if one.truncated]
    worst = sorted(parts, key=lambda one: (-one.cut_cost, -one.cut_tokens, -one.truncated))
    return Truncations(tuple(map(_group, worst[:most])), tuple(map(_call, newest)))


def _group(one: Sums) -> CutGroup:
    return CutGroup(
        group=(one.agent, one.task_type, one.model),
        attempts=one.attempts,
        truncated=one.truncated,
        share=one.truncated / one.attempts,
        by_us=one.truncated_by_us,
        resent=one.resent,
        tokens=one.cut_tokens,
        cost=one.cut_cost if one.priced else None,
    )


def _call(row: CallRecord) -> CutCall:
    return CutCall(
        call_id=row.call_id,
        attempt=row.attempt,
        ts=row.ts,
        group=(row.agent, row.task_type, row.model),
        output_tokens=row.output_tokens,
        ceiling=row.ceiling,
        recommended=row.recommended,
        by_us=row.cut_by_us,
        cost=row.cost,
    )
