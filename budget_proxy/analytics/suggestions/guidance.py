"""Notes that do not pay: answers with them are no shorter than those of the holdout.

Arms are drawn by session, so this compares like with like, with everything that the treatment
does. Agents whose effort or thinking is handed over are left out: there the arms differ by more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, sqrt
from typing import Final

from budget_proxy.analytics.suggestions.base import (
    GROUP,
    LEAST,
    Range,
    Scene,
    Setting,
    Suggestion,
    suggestion,
)
from budget_proxy.analytics.suggestions.bounds import Interval, Z, difference, mean, session_of
from budget_proxy.analytics.suggestions.rows import answers
from budget_proxy.store.sums import Sums
from budget_proxy.types import CallRecord

_AGENTS: Final = 3
_GROUPS: Final = 3
"""Agents that are looked at, and of each so many task types and models."""


def unpaid(scene: Scene) -> Iterator[Suggestion]:
    """Agents whose notes cost more than the tokens that they may save, at the 95 % bound."""
    guided = [one for one in scene.by("agent") if one.guided >= LEAST and _doubtful(scene, one)]
    for agent in sorted(guided, key=lambda one: -one.guidance_tokens)[:_AGENTS]:
        yield from _judged(scene, agent)


def _doubtful(scene: Scene, agent: Sums) -> bool:
    """Whether notes alone are in force, and save fewer tokens of output than they take of input.

    Where they save more, they pay at any price: the rows need not be looked at.
    """
    policy, own = scene.policy, scene.policy.of(agent.agent)
    steered = own.effort or own.thinking or policy.effort or policy.thinking
    if steered or (own.guidance or policy.guidance) == "off":
        return False
    means = {
        one.group: one.output_tokens / one.output_reported
        for one in scene.by(*GROUP, "arm")
        if one.agent == agent.agent and one.output_reported
    }
    saved = 0.0
    for group in _groups(scene, agent):
        treated, held = (means.get((*group.group[:3], arm)) for arm in ("treatment", "holdout"))
        saved += 0.0 if treated is None or held is None else group.guided * (held - treated)
    return saved < agent.guidance_tokens


def _groups(scene: Scene, agent: Sums) -> list[Sums]:
    return [one for one in scene.by(*GROUP) if one.agent == agent.agent and one.guided]


def _judged(scene: Scene, agent: Sums) -> Iterator[Suggestion]:
    strata = [
        (group, _arm(scene.rows.of(group), "treatment"), _arm(scene.rows.of(group, arm="holdout")))
        for group in _groups(scene, agent)[:_GROUPS]
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


def _arm(rows: Sequence[CallRecord], arm: str = "holdout") -> list[CallRecord]:
    """Answers of one arm, where nobody overrode it and the other arm would have been guided."""
    return [
        row
        for row in answers(rows)
        if row.arm == arm and not row.overridden and row.mode in {"guide", "enforce"}
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
