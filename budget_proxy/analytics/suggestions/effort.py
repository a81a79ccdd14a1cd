"""Agents that mostly reason, and whose effort or thinking nobody has handed over.

What it would save is unknown until it is tried, so no saving is claimed: the holdout measures it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from budget_proxy.analytics.suggestions.base import (
    GROUP,
    LEAST,
    LOOKED_AT,
    Scene,
    Setting,
    Suggestion,
    suggestion,
)
from budget_proxy.analytics.suggestions.bounds import ratio, session_of
from budget_proxy.store.sums import Sums
from budget_proxy.types import CallRecord

_MOSTLY: Final = 0.5
_FEWEST_EFFORTS: Final = 2


def untried(scene: Scene) -> Iterator[Suggestion]:
    """Agents of which more than half of the output is reasoning, at the 95 % bound."""
    groups = [
        one
        for one in scene.by(*GROUP)
        if one.reasoning_reported >= LEAST and one.reasoning_tokens > _MOSTLY * one.output_tokens
    ]
    told: set[str] = set()
    for group in sorted(groups, key=lambda one: -one.reasoning_tokens)[:LOOKED_AT]:
        found = None if group.agent in told else _tried(scene, group)
        if found is not None:
            told.add(group.agent)
            yield found


def _tried(scene: Scene, group: Sums) -> Suggestion | None:
    rows = [row for row in scene.rows.of(group) if row.reasoning_tokens is not None]
    if len(rows) < LEAST:
        return None
    steer = _steer(scene, rows[0])
    if steer is None:
        return None
    share = ratio(
        (session_of(row), float(row.reasoning_tokens or 0), float(row.output_tokens or 0))
        for row in rows
    )
    if share.low <= _MOSTLY:
        return None
    rates = scene.rates(rows[0], group.model)
    stake = None if rates is None else scene.monthly(group.reasoning_tokens * float(rates.thought))
    cost = "" if stake is None else f", ${stake:,.2f} a month"
    blind = "" if scene.policy.holdout else "; set holdout = 0.1 first, or nothing will measure it"
    return suggestion(
        "effort",
        group,
        n=len(rows),
        target=steer,
        text=f"{share.value:.0%} of the output is reasoning ({share.low:.0%} to "
        f"{min(share.high, 1):.0%}){cost}.",
        action=f'{steer} = "auto" for agent {group.agent}{blind}',
        worth="Unknown until it is tried: the holdout will tell. What the caller "
        "chose stays.",
        tokens=None,
        of=None,
        money=None,
        effort="one setting",
        setting=Setting(("agents", group.agent, steer), "auto"),
        evidence={"reasoning": group.reasoning_tokens, "output": group.output_tokens,
                  "share": share.value, "share_low": share.low, "share_high": share.high,
                  "at_stake": stake},
        calls=rows,
    )  # fmt: skip


def _steer(scene: Scene, row: CallRecord) -> str | None:
    """What could be handed over: the model has it, and it is not handed over already."""
    able = scene.able(row.api, row.host, row.model)
    policy, own = scene.policy, scene.policy.of(row.agent)
    if len(able.efforts) >= _FEWEST_EFFORTS:
        return None if own.effort or policy.effort else "effort"
    if able.thinking - {"disabled"}:
        return None if own.thinking or policy.thinking else "thinking"
    return None
