"""The strategy ``quantile``: the lengths of a call's own group, from its parents where few.

Groups nest: (agent, task type, model), (agent, model), (model), all calls. It knows no text
and no session; what those could add is left to sharper strategies.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np

from budget_proxy.predict import prior
from budget_proxy.predict.histogram import EDGES, Histogram, quantiles
from budget_proxy.predict.recommend import recommend
from budget_proxy.types import Features, Forecast, Observation

LEVELS: Final = (0.05, 0.10, 0.25, 0.40, 0.50, 0.60, 0.75, 0.90, 0.95, 0.99)
"""More than the promised levels: ``recommended`` needs the lower half too."""

MEMORY: Final = 300.0
"""Outcomes after which a group has replaced what it knew (chosen on development rows)."""

STRENGTH: Final = 5.0
"""Outcomes that a parent group counts as within its child (chosen on development rows)."""

MOST_GROUPS: Final = 4096

_TARGET: Final = LEVELS.index(0.60)
_LEVELS: Final = np.array(LEVELS)
_PRIOR: Final = prior.survival(EDGES)
_SOURCES: Final = ("all", "model", "agent+model", "agent+task+model")

Group = tuple[str, ...]


class Quantile:
    """Quantiles by group, each group drawn towards its parent, censored lengths included.

    Keeps at most ``most_groups`` groups, those that learned last.
    """

    name = "quantile"

    def __init__(self, most_groups: int = MOST_GROUPS) -> None:
        self._most_groups = most_groups
        self._groups: OrderedDict[Group, Histogram] = OrderedDict()

    def predict_one(self, features: Features) -> Forecast:
        """Forecast the output tokens of one choice.

        ``support`` counts the outcomes of the finest group that has any, and ``source`` and
        ``group`` name it.
        """
        survival = _PRIOR
        group: Group = ()
        source, support, censored = "prior", 0, 0
        for key, name in zip(_keys(features), _SOURCES, strict=True):
            histogram = self._groups.get(key)
            if histogram is None:
                continue
            survival = histogram.survival(survival, STRENGTH)
            group, source = key, name
            support, censored = histogram.count, histogram.censored
        values = quantiles(survival, _LEVELS)
        recommended, confidence = recommend(LEVELS, values.tolist(), float(values[_TARGET]))
        return Forecast(
            levels=LEVELS,
            values=tuple(values.tolist()),
            strategy=self.name,
            recommended=recommended,
            confidence=confidence,
            support=support,
            source=source,
            group=group,
            reasons=_reasons(source, support, censored),
            novelty=features.characteristics.novelty,
        )

    def learn_one(
        self,
        features: Features,
        observation: Observation,
        call_id: str = "",  # noqa: ARG002 (the contract's)
    ) -> None:
        """Count one outcome in each of its groups."""
        for key in _keys(features):
            histogram = self._groups.get(key)
            if histogram is None:
                histogram = self._groups[key] = Histogram(MEMORY)
            histogram.add(observation.tokens, censored=observation.censored)
            self._groups.move_to_end(key)
        while len(self._groups) > self._most_groups:
            self._groups.popitem(last=False)


def _keys(features: Features) -> tuple[Group, Group, Group, Group]:
    agent, model = features.agent, features.model
    return (), (model,), (agent, model), (agent, features.task_type, model)


def _reasons(source: str, support: int, censored: int) -> tuple[str, ...]:
    if source == "prior":
        return ("no history yet: a broad prior",)
    first = f"{support} outcomes by {source}"
    if not censored:
        return (first,)
    return first, f"{censored} of them cut off, counted as lower bounds"
