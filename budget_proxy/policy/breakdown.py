"""A budget split into phases, and the budgets one could choose instead (mission, 2)."""

from __future__ import annotations

from budget_proxy.errors import InvalidInput
from budget_proxy.types import Alternative, Breakdown, Characteristics, Forecast


def breakdown(budget: int, characteristics: Characteristics) -> Breakdown:
    """Split ``budget`` tokens by points of a hundred; the phases add up to it exactly.

    Tokens left by rounding down go to the phases of the largest remainders; of equals to the
    earlier one. Raises InvalidInput on a negative budget.
    """
    if budget < 0:
        raise InvalidInput(f"a budget to break down must be >= 0 tokens, not {budget}")
    points = _points(characteristics)
    tokens = [budget * share // 100 for share in points]
    by_remainder = sorted(range(len(points)), key=lambda phase: -(budget * points[phase] % 100))
    for phase in by_remainder[: budget - sum(tokens)]:
        tokens[phase] += 1
    return Breakdown(*tokens)


def alternatives(recommended: int, forecast: Forecast) -> tuple[Alternative, ...]:
    """.6 x and 1.5 x ``recommended`` tokens; their risk is P(used > tokens) under ``forecast``."""
    lower = max((recommended * 6 + 5) // 10, 1)
    higher = (recommended * 3 + 1) // 2
    return tuple(
        Alternative(tokens, round(1.0 - forecast.cdf(tokens), 6), label)
        for tokens, label in ((lower, "lower"), (higher, "higher"))
    )


def _points(task: Characteristics) -> tuple[int, int, int, int]:
    """Points of thinking, planning, execution and reflection; execution takes what is left."""
    thinking = 25 + _step(task.uncertainty, 0.6, 0.4) + (5 if task.creative else 0)
    planning = 20 + (5 if task.uncertainty > 0.6 else 0)  # noqa: PLR2004 (the mission's bound)
    reflection = 15 + _step(task.criticality, 0.8, 0.6)
    return thinking, planning, 100 - thinking - planning - reflection, reflection


def _step(value: float, high: float, low: float) -> int:
    if value > high:
        return 10
    return 5 if value > low else 0
