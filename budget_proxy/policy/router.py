"""One joint choice of model, thinking, effort and budget, with one explanation.

The rule is plain: of the tiers that take the task, the one with the lowest predicted cost.
Left out: learning. What the router knows of a model's lengths is the forecasts it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.policy.base import Tier
from budget_proxy.policy.breakdown import breakdown
from budget_proxy.policy.effort import effort_for, thinking_for, thinking_off
from budget_proxy.types import Breakdown, Capabilities, Characteristics, Forecast, Thinking

Price = tuple[float, float]
"""US dollars per input token and per output token."""

VERY_CRITICAL: Final = 0.8
"""Above this criticality a task goes one tier higher than its complexity asks for."""


@dataclass(frozen=True, slots=True)
class Considered:
    """One tier as the router saw it; ``qualifies`` says whether it took part in the choice.

    ``tokens`` is its q50; ``cost`` is in US dollars, ``None`` where the price is unknown.
    """

    model: str
    tier: int
    qualifies: bool
    tokens: float
    cost: float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The model chosen and what it is given; ``tier`` counts from 0.

    ``expected_cost`` is in US dollars, ``None`` where the price is unknown.
    """

    model: str
    tier: int
    thinking: Thinking | None
    effort: str | None
    recommended: int
    breakdown: Breakdown
    expected_cost: float | None
    confidence: float
    explanation: str
    considered: tuple[Considered, ...]


def select(
    tiers: Sequence[Tier],
    characteristics: Characteristics,
    forecasts: Mapping[str, Forecast],
    prices: Mapping[str, Price | None],
    capabilities: Mapping[str, Capabilities],
    input_tokens: int,
) -> Choice:
    """Choose the tier of lowest predicted cost among those that take the task.

    A tier takes tasks of up to its ``max_complexity``; a very critical task (above .8) skips
    the first that does; where none is left, the last tier is used. The cost is input tokens
    x input price + q50 x output price; tiers of unknown price come last, in the list's order.
    ``forecasts`` holds every tier's model; a model without capabilities gets the safe ones.
    A tier's ``thinking`` allows thinking; without it thinking is off where it can be.
    Raises InvalidInput when there are no tiers.
    """
    if not tiers:
        raise InvalidInput(
            "there is no model to choose from: list one or more [[tiers]] (model, "
            "max_complexity, thinking), cheapest first, in budget_proxy.toml"
        )
    taking, why = _taking(tiers, characteristics)
    q50 = {model: forecast.quantile(0.5) for model, forecast in forecasts.items()}
    considered = tuple(
        Considered(m, i, i in taking, q50[m], _cost(prices.get(m), input_tokens, q50[m]))
        for i, m in enumerate(tier.model for tier in tiers)
    )
    rivals = [each for each in considered if each.qualifies]
    best = min(rivals, key=lambda each: (each.cost is None, each.cost or 0.0))
    return _choice(
        tiers[best.tier],
        best,
        characteristics,
        forecasts[best.model],
        capabilities.get(best.model, Capabilities()),
        because=f"(tier {best.tier + 1} of {len(tiers)}) because {why}{_why_cost(best, rivals)}",
        considered=considered,
    )


def _choice(
    tier: Tier,
    best: Considered,
    characteristics: Characteristics,
    forecast: Forecast,
    able: Capabilities,
    *,
    because: str,
    considered: tuple[Considered, ...],
) -> Choice:
    phases = breakdown(forecast.recommended, characteristics)
    thinking = thinking_off(able)
    if tier.thinking:
        thinking = thinking_for(forecast.recommended, phases, characteristics, able)
    effort = effort_for(characteristics, able, thinking=thinking)
    gets = f"{forecast.recommended} tokens, {_thinking_words(thinking)} and {_effort_words(effort)}"
    return Choice(
        model=best.model,
        tier=best.tier,
        thinking=thinking,
        effort=effort,
        recommended=forecast.recommended,
        breakdown=phases,
        expected_cost=best.cost,
        confidence=forecast.confidence,
        explanation=f"{best.model} {because}; it gets {gets}.",
        considered=considered,
    )


def _taking(tiers: Sequence[Tier], characteristics: Characteristics) -> tuple[list[int], str]:
    """Find the tiers that take part in the choice, and the explanation's first half."""
    complexity, last = characteristics.complexity, [len(tiers) - 1]
    taking = [i for i, tier in enumerate(tiers) if tier.max_complexity >= complexity]
    if not taking:
        return last, f"no tier takes complexity {complexity:.0f} and the last is the most capable"
    if characteristics.criticality <= VERY_CRITICAL:
        return taking, f"it takes complexity {complexity:.0f}"
    critical = f"the task is critical ({characteristics.criticality:.2f})"
    if not taking[1:]:
        return last, f"{critical} and the last tier is the most capable"
    return taking[1:], f"{critical} and it stands above the first that takes {complexity:.0f}"


def _cost(price: Price | None, input_tokens: int, tokens: float) -> float | None:
    return None if price is None else input_tokens * price[0] + tokens * price[1]


def _why_cost(best: Considered, rivals: Sequence[Considered]) -> str:
    if best.cost is None:
        return ", its price being unknown"
    cost = f"{best.cost:.6f}".rstrip("0").rstrip(".")
    if len(rivals) == 1:
        return f", at a predicted cost of ${cost}"
    unpriced = [each.model for each in rivals if each.cost is None]
    rest = f", {' and '.join(unpriced)} coming last for want of a price" if unpriced else ""
    return f", and its predicted cost of ${cost} is the lowest of {len(rivals)} tiers{rest}"


def _thinking_words(thinking: Thinking | None) -> str:
    if thinking is None:
        return "the model's own thinking"
    if thinking.kind == "disabled":
        return "no thinking"
    size = "" if thinking.budget is None else f" of {thinking.budget} tokens"
    return f"{thinking.kind} thinking{size}"


def _effort_words(effort: str | None) -> str:
    return "the model's own effort" if effort is None else f"effort {effort}"
