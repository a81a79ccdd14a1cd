"""Notes that do not pay: answers with them are no shorter than those of the holdout.

Arms are drawn by session, so this compares like with like, with everything that the treatment
does. Agents whose effort or thinking is handed over are left out: there the arms differ by more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, sqrt
from typing import Final

from budget_proxy.analytics.suggestions.base import (
    LEAST,
    LOOKED_AT,
    Range,
    Scene,
    Setting,
    Suggestion,
    suggestion,
)
from budget_proxy.analytics.suggestions.bounds import Interval, Z, difference, mean, session_of
from budget_proxy.analytics.suggestions.rows import answers
from budget_proxy.store.sums import Sums, merged
from budget_proxy.types import CallRecord

_GROUPS: Final = 4
"""Task types and models of an agent that are looked at, the most frequent first."""


def unpaid(scene: Scene) -> Iterator[Suggestion]:
    """Agents whose notes cost more than the tokens that they may save, at the 95 % bound."""
    guided = [one for one in merged(scene.sums, ("agent",)) if one.guided >= LEAST]
    for agent in sorted(guided, key=lambda one: -one.guidance_tokens)[:LOOKED_AT]:
        policy, own = scene.policy, scene.policy.of(agent.agent)
        steered = own.effort or own.thinking or policy.effort or policy.thinking
        if not steered and (own.guidance or policy.guidance) != "off":
            yield from _judged(scene, agent)


def _judged(scene: Scene, agent: Sums) -> Iterator[Suggestion]:
    groups = [
        group
        for group in merged(scene.sums, ("agent", "task_type", "model"))
        if group.agent == agent.agent and group.guided
    ]
    strata = [
        (group, _arm(scene, group, "treatment"), _arm(scene, group, "holdout"))
        for group in groups[:_GROUPS]
    ]
    usable = [part for part in strata if min(len(part[1]), len(part[2])) >= LEAST]
    if not usable:
        return
    saved = _saved(usable)
    treated_n = sum(len(treated) for _, treated, _ in usable)
    held_n = sum(len(held) for _, _, held in usable)
    note = agent.guidance_tokens / agent.guided
    prices = _prices(scene, usable)
    if prices is None:
        pays, money = saved.high > 0, None
    else:
        given, taken = prices
        gain = (saved.low * taken - note * given, saved.high * taken - note * given)
        pays = gain[1] > 0
        money = _lost(scene, agent, gain)
    if pays or saved.error == inf:
        return
    yield suggestion(
        "guidance",
        agent,
        n=min(treated_n, held_n),
        text=f"Answers with a note are {-saved.value:+,.0f} tokens longer than those of the "
        f"holdout ({-saved.high:+,.0f} to {-saved.low:+,.0f}).",
        action=f'guidance = "off" for agent {agent.agent}',
        worth="By the holdout: the notes' input tokens and the longer answers, less what they may "
        "save." if prices else "By the holdout: no shorter answers; prices are unknown.",
        tokens=round(scene.monthly(agent.guidance_tokens)),
        of="input",
        money=money,
        effort="one setting",
        setting=Setting(("agents", agent.agent, "guidance"), "off"),
        evidence={"guided": agent.guided, "note_tokens": note, "treated": treated_n,
                  "holdout": held_n, "saved_a_call": saved.value, "saved_a_call_low": saved.low,
                  "saved_a_call_high": saved.high},
        calls=[row for _, treated, _ in usable for row in treated],
    )  # fmt: skip


def _arm(scene: Scene, group: Sums, arm: str) -> list[CallRecord]:
    """Answers of one arm, where nobody overrode it and the other arm would have been guided."""
    return [
        row
        for row in answers(scene.rows.of(group, arm=arm))
        if not row.overridden and row.mode in {"guide", "enforce"}
    ]


_Strata = Sequence[tuple[Sums, Sequence[CallRecord], Sequence[CallRecord]]]


def _saved(strata: _Strata) -> Interval:
    """Output tokens a call that the treatment saves; strata weigh by their guided calls."""
    whole = sum(group.guided for group, _, _ in strata)
    value = variance = 0.0
    for group, treated, held in strata:
        gap, weight = difference(_length(held), _length(treated)), group.guided / whole
        value += weight * gap.value
        variance += (weight * gap.error) ** 2
    error = sqrt(variance)
    n = sum(len(treated) for _, treated, _ in strata)
    return Interval(value, value - Z * error, value + Z * error, error, n)


def _length(rows: Sequence[CallRecord]) -> Interval:
    return mean((session_of(row), float(row.output_tokens or 0)) for row in rows)


def _prices(scene: Scene, strata: _Strata) -> Range | None:
    """US dollars a token of input and of output, weighed alike; ``None`` where one is unknown."""
    whole = sum(group.guided for group, _, _ in strata)
    given = taken = 0.0
    for group, treated, _ in strata:
        rates = scene.rates(treated[0], group.model)
        if rates is None:
            return None
        given += float(rates.cached) * group.guided / whole  # at least that; the start costs more
        taken += float(rates.plain) * group.guided / whole
    return given, taken


def _lost(scene: Scene, agent: Sums, gain: Range) -> Range:
    return scene.monthly(-gain[1] * agent.guided), scene.monthly(-gain[0] * agent.guided)
