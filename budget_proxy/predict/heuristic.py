"""Strategy ``heuristic``: the origin's budget from the characteristics alone (mission, 2).

It knows no history and learns none; its forecast is one number at every level.
"""

from __future__ import annotations

from typing import Final

from budget_proxy.predict.adjustments import Facts, adjust, confidence
from budget_proxy.types import LEVELS, Features, Forecast, Observation, Similar

BASE: Final = 1_000
PER_COMPLEXITY: Final = 80


class Heuristic:
    """1,000 + 80 x complexity, the multipliers save novelty's, within 1,000..32,000 tokens."""

    name = "heuristic"

    def predict_one(self, features: Features) -> Forecast:
        """Forecast the heuristic budget. Its confidence counts the novelty given, no history."""
        return forecast(features, Facts(novelty=features.characteristics.novelty))

    def learn_one(self, features: Features, observation: Observation, call_id: str = "") -> None:
        """Learn nothing: the formula has no state."""


def forecast(features: Features, facts: Facts, similar: tuple[Similar, ...] = ()) -> Forecast:
    """Forecast a task by the formula; ``facts`` and ``similar`` say what is known besides."""
    task = features.characteristics
    base = BASE + PER_COMPLEXITY * task.complexity
    adjusted = adjust(base, task, novelty=None)
    return Forecast(
        levels=LEVELS,
        values=(float(adjusted.tokens),) * len(LEVELS),
        strategy=Heuristic.name,
        recommended=adjusted.tokens,
        confidence=confidence(facts),
        support=len(similar),
        source="heuristic",
        group=(features.agent, features.task_type, features.model),
        similar=similar,
        reasons=(f"complexity {task.complexity:g}: {base:,.0f} tokens", *adjusted.reasons),
        novelty=facts.novelty,
    )
