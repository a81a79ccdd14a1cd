"""Models that could be cheaper: others that this history has seen at the same work, or tiers.

Only models that served the same agent and task type, or that the settings name, are thought of.
A history is no experiment: easier tasks may have gone to the cheaper model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Final

from budget_proxy.analytics.calibration import wilson
from budget_proxy.analytics.suggestions.base import (
    GROUP,
    LEAST,
    LOOKED_AT,
    Range,
    Scene,
    Suggestion,
    suggestion,
)
from budget_proxy.analytics.suggestions.bounds import (
    Interval,
    difference,
    mean,
    session_of,
)
from budget_proxy.analytics.suggestions.pricing import cost_at, repriced
from budget_proxy.policy.router import VERY_CRITICAL
from budget_proxy.store.sums import Sums, merged
from budget_proxy.types import CallRecord

_MARGIN: Final = 0.2  # standard deviations of the scores: a loss that small counts as none


@dataclass(frozen=True, slots=True)
class _Rival:
    """A model that did the same work no worse, and what it would save a month."""

    whose: Sums
    money: Range
    scores: Interval
    margin: float
    sampled: int
    rows: Sequence[CallRecord]


def cheaper(scene: Scene) -> Iterator[Suggestion]:
    """Models whose scores are no worse for less money; else tiers that take the easy calls."""
    for work, dear in _by_cost(scene):
        rivals = [_rival(scene, dear, other) for other in work if other.model != dear.model]
        known = [rival for rival in rivals if rival is not None]
        if known:
            yield _by_scores(dear, max(known, key=lambda rival: rival.money[0]))
        else:
            yield from _by_tier(scene, dear)


def _by_cost(scene: Scene) -> list[tuple[list[Sums], Sums]]:
    """Groups whose cost is known, the dearest first, each with all that did the same work."""
    groups = scene.by(*GROUP)
    dear = sorted(
        (one for one in groups if one.calls >= LEAST and one.cost > 0 and not one.unpriced),
        key=lambda one: -one.cost,
    )
    every = merged(scene.work, GROUP)
    return [
        ([other for other in every if _work(other) == _work(one)], one) for one in dear[:LOOKED_AT]
    ]


def _work(group: Sums) -> tuple[str, str]:
    return (group.agent, group.task_type)


def _rival(scene: Scene, dear: Sums, other: Sums) -> _Rival | None:
    """What ``other`` would save of what ``dear`` cost, if scores say that it is no worse."""
    if min(dear.scored, other.scored, other.calls) < LEAST or other.unpriced:
        return None
    money = _saved(scene, dear, other)
    if money is None or money[0] <= 0:
        return None
    ours, theirs = (scene.rows.of(one, known="score") for one in (dear, other))
    if min(len(ours), len(theirs)) < LEAST:
        return None
    gap = difference(_scores(theirs), _scores(ours))
    margin = _MARGIN * _spread(ours)
    if gap.low < -margin:
        return None
    return _Rival(other, money, gap, margin, min(len(ours), len(theirs)), theirs)


def _saved(scene: Scene, dear: Sums, other: Sums) -> Range | None:
    """US dollars a month: by the recorded tokens at the other's rates, and by its own calls."""
    rows = scene.rows.of(other)
    rates = scene.rates(rows[0], other.model) if rows else None
    at_its_rates = None if rates is None else repriced(dear, rates)
    own = mean((session_of(row), row.cost) for row in rows if row.cost is not None)
    if at_its_rates is None or own.n < LEAST or own.high == inf:
        return None
    costs = (at_its_rates, own.low * dear.calls, own.high * dear.calls)
    return scene.monthly(dear.cost - max(costs)), scene.monthly(dear.cost - min(costs))


def _scores(rows: Sequence[CallRecord]) -> Interval:
    return mean((session_of(row), row.score) for row in rows if row.score is not None)


def _spread(rows: Sequence[CallRecord]) -> float:
    scores = [row.score for row in rows if row.score is not None]
    middle = sum(scores) / len(scores)
    return sqrt(sum((score - middle) ** 2 for score in scores) / (len(scores) - 1))


def _by_scores(dear: Sums, rival: _Rival) -> Suggestion:
    other, gap = rival.whose, rival.scores
    return suggestion(
        "model",
        dear,
        n=rival.sampled,
        target=other.model,
        text=f"{other.model} did the same work for less: scores differ by {gap.value:+.3g} "
        f"({gap.low:+.3g} to {gap.high:+.3g}; a loss of {rival.margin:.2g} would count as none).",
        action=f'in the calling code, model="{other.model}" for this task type',
        worth="Recorded tokens at its rates, and what its own calls cost. No experiment: easier "
        "tasks may have gone to it.",
        tokens=None,
        of=None,
        money=rival.money,
        effort="one code change",
        evidence={
            "calls": dear.calls, "cost": dear.cost, "rival_calls": other.calls,
            "rival_cost": other.cost, "score_difference": gap.value,
            "score_difference_low": gap.low, "score_difference_high": gap.high,
            "margin": rival.margin,
        },
        calls=rival.rows,
    )  # fmt: skip


def _by_tier(scene: Scene, dear: Sums) -> Iterator[Suggestion]:
    """Calls easy enough for a cheaper tier of the settings; whether it is as good, none tells."""
    tiers, alias = scene.policy.tiers, scene.policy.alias
    rows = scene.rows.of(dear)
    if len(rows) < LEAST or dear.model == alias:
        return
    priced = [row for row in rows if row.cost is not None]
    for tier in tiers:
        rates = scene.rates(rows[0], tier.model)
        if tier.model == dear.model or rates is None:
            continue
        easy = [
            row
            for row in priced
            if row.complexity <= tier.max_complexity and row.criticality <= VERY_CRITICAL
        ]
        then = [cost_at(row, rates) for row in easy]
        if len(easy) < LEAST or None in then:
            continue
        each = sum((row.cost or 0) - (cost or 0) for row, cost in zip(easy, then, strict=True))
        if each <= 0:
            continue
        low, high = wilson(len(easy), len(rows))
        saved = scene.monthly(dear.attempts * each / len(easy))
        yield suggestion(
            "model",
            dear,
            n=len(easy),
            target=tier.model,
            text=f"{len(easy) / len(rows):.0%} of the calls are easy enough for the tier "
            f"{tier.model} ({low:.0%} to {high:.0%}).",
            action=f'in the calling code, model="{alias}", and feedback to tell whether it is as '
            "good",
            worth="Recorded tokens at its rates. No score says that it is as good: complexity by "
            "key words tells little.",
            tokens=None,
            of=None,
            money=(0.0, high * saved),
            effort="one code change",
            evidence={"calls": dear.calls, "cost": dear.cost, "sampled": len(rows),
                      "easy": len(easy), "saved_each": each / len(easy)},
            calls=easy,
        )  # fmt: skip
        return
