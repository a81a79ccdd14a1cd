"""The strategy ``rolling``: the quantiles of the last 200 lengths by model and agent.

What the nearest peer does, and thereby the least that a learned forecast has to beat. It takes
cut lengths as they are, so truncations bias it low; it knows no text, no task and no session.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from typing import Final

from budget_proxy.predict import prior
from budget_proxy.predict.recommend import recommend
from budget_proxy.types import Features, Forecast, Observation

WINDOW: Final = 200
"""Lengths that a group remembers."""

FEWEST: Final = 3
"""Lengths below which a group says nothing yet, and its parent is asked."""

LEVELS: Final = (0.05, 0.10, 0.25, 0.40, 0.50, 0.60, 0.75, 0.90, 0.95, 0.99)
"""More than the promised levels: ``recommended`` needs the lower half too."""

MOST_GROUPS: Final = 4096

_TARGET: Final = LEVELS.index(0.60)
_PRIOR: Final = [prior.quantile(level) for level in LEVELS]

Group = tuple[str, ...]


class Rolling:
    """Order statistics of a window; backs off from (model, agent) to model, to all, to the prior.

    Keeps at most ``most_groups`` groups, those that learned last.
    """

    name = "rolling"

    def __init__(self, most_groups: int = MOST_GROUPS) -> None:
        self._most_groups = most_groups
        self._windows: OrderedDict[Group, _Window] = OrderedDict()

    def predict_one(self, features: Features) -> Forecast:
        """Forecast from the finest group that has at least 3 lengths; ``support`` counts them."""
        group, source, lengths = self._found(features)
        values = _quantiles(lengths) if lengths else _PRIOR
        recommended, confidence = recommend(LEVELS, values, values[_TARGET])
        known = f"the last {len(lengths)} lengths by {source}"
        return Forecast(
            levels=LEVELS,
            values=tuple(values),
            strategy=self.name,
            recommended=recommended,
            confidence=confidence,
            support=len(lengths),
            source=source,
            group=group,
            reasons=(known if lengths else "no history yet: a broad prior",),
            novelty=features.characteristics.novelty,
        )

    def learn_one(
        self,
        features: Features,
        observation: Observation,
        call_id: str = "",  # noqa: ARG002 (the contract's)
    ) -> None:
        """Put one length into the windows of its groups, in place of their oldest."""
        for key, _ in _keys(features):
            window = self._windows.get(key)
            if window is None:
                window = self._windows[key] = _Window()
            window.add(observation.tokens)
            self._windows.move_to_end(key)
        while len(self._windows) > self._most_groups:
            self._windows.popitem(last=False)

    def _found(self, features: Features) -> tuple[Group, str, list[int]]:
        for key, name in reversed(_keys(features)):
            window = self._windows.get(key)
            if window is not None and len(window.ascending) >= FEWEST:
                return key, name, window.ascending
        return (), "prior", []


class _Window:
    """The newest lengths, by age and by size."""

    __slots__ = ("_by_age", "ascending")

    def __init__(self) -> None:
        self._by_age: deque[int] = deque()
        self.ascending: list[int] = []

    def add(self, tokens: int) -> None:
        if len(self._by_age) == WINDOW:
            del self.ascending[bisect_left(self.ascending, self._by_age.popleft())]
        self._by_age.append(tokens)
        insort(self.ascending, tokens)


def _keys(features: Features) -> tuple[tuple[Group, str], ...]:
    model = features.model
    return ((), "all"), ((model,), "model"), ((model, features.agent), "model+agent")


def _quantiles(ascending: list[int]) -> list[float]:
    """The length at the level's share of the window, or the longest."""
    n = len(ascending)
    return [float(max(ascending[min(int(level * n), n - 1)], 1)) for level in LEVELS]
