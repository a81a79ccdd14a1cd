"""The strategy ``learned``: calibrated quantiles from all that a call tells, learned online.

Between refits outcomes are folded in one by one (``fold``); a refit (``fitting``) learns a
window of outcomes anew. Both are functions of the outcomes and their order alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from budget_proxy.predict.cases import GROUPS, case_of
from budget_proxy.predict.columns import UNKNOWN, Block, Columns, Outcome, Outcomes
from budget_proxy.predict.drift import Drift, Level
from budget_proxy.predict.effects import Effects
from budget_proxy.predict.fitting import Fitted, Snapshot
from budget_proxy.predict.fold import Fold, recommend_of
from budget_proxy.predict.grounds import reasons_of
from budget_proxy.predict.mixture import Mixture
from budget_proxy.predict.network import LEVELS, Network
from budget_proxy.predict.pace import Pace
from budget_proxy.predict.ridge import Ridge
from budget_proxy.predict.sessions import Before, Sessions
from budget_proxy.predict.tracking import Tracking
from budget_proxy.predict.trees import Trees
from budget_proxy.predict.trust import Trust
from budget_proxy.predict.waiting import Waiting
from budget_proxy.types import Features, Forecast, Observation

WINDOW: Final = 8000
"""Outcomes that a refit learns from: as many as are learned in some seconds."""

_FIRST: Final = 40
_GROWTH: Final = 0.1
_FEWEST, INTERVAL = 20, 1000
SHAPES: Final = (
    Snapshot, Outcomes, Block, Fitted, Fold, Effects, Sessions, Before, Pace, Ridge, Network, Trees,
    Mixture, Tracking, Drift, Level, Trust, Waiting,
)  # fmt: skip
"""What snapshots and fits consist of."""

_KEPT: Final = 4000
"""Outcomes that are kept at least: as many as may come while a small window is fitted."""

_SOURCES: Final = ("prior", *GROUPS)


class Learned:
    """Forecasts from effects, words, sessions and groups; refits in the background."""

    name = "learned"

    def __init__(self, window: int = WINDOW) -> None:
        self.window = min(window, WINDOW)
        self.interval = min(INTERVAL, self.window)
        self._columns = Columns(max(self.window + 2 * self.interval, _KEPT))
        self._fold = Fold(self.window)
        self._position = 0
        self._held = False

    def predict_one(self, features: Features) -> Forecast:
        """Forecast the output tokens of one choice."""
        case, fold = case_of(features), self._fold
        fold.settle()
        seen = fold.look(case)
        values = fold.forecast(case, seen)
        recommended, confidence = recommend_of(values)
        support = fold.support(case)
        return Forecast(
            levels=LEVELS,
            values=tuple(values),
            strategy=self.name,
            recommended=recommended,
            confidence=fold.trust.calibrated(confidence),
            support=support.outcomes,
            source=_SOURCES[support.level],
            group=_group(features, support.level),
            reasons=reasons_of(fold, case, seen, support),
            novelty=features.characteristics.novelty,
            reasoning=tuple(map(min, fold.reasoning_of(case), values)),
        )

    def learn_one(
        self,
        features: Features,
        observation: Observation,
        call_id: str = "",  # noqa: ARG002 (the contract's)
    ) -> None:
        """Take one outcome into the history."""
        case = case_of(features)
        reasoning = UNKNOWN if observation.reasoning is None else observation.reasoning
        billed = UNKNOWN if observation.input_tokens is None else observation.input_tokens
        tokens = float(observation.tokens)
        outcome = Outcome(tokens, observation.censored, float(reasoning), float(billed))
        self._columns.add(case, outcome)
        if not self._held:
            self._fold.learn(case, outcome)

    def behind(self) -> bool:
        """Whether ``settle`` has something to do."""
        return self._fold.behind()

    def settle(self) -> None:
        """Learn a part of what would be learned before the next forecast."""
        self._fold.settle_part()

    def due(self) -> bool:
        """Whether so many outcomes came since the last refit that another should start."""
        waited = self._columns.total - self._position
        if self._columns.total < _FIRST:
            return False
        return waited >= min(max(_FEWEST, int(_GROWTH * self._position)), self.interval)

    def hold(self) -> None:
        """Only keep outcomes from now on, until a refit that knows them is adopted."""
        self._held = True

    def release(self) -> None:
        """Learn what was only kept."""
        if self._held:
            self._held = False
            self._fold = Fold(self.window)
            for case, outcome in self._columns.newest(len(self._columns)).rows():
                self._fold.learn(case, outcome)

    def snapshot(self) -> Snapshot:
        """What a refit needs."""
        return Snapshot(self._columns.newest(self.window), self._columns.total, self.window)

    def since(self, fitted: Fitted) -> Outcomes:
        """The outcomes that a refit does not know yet."""
        if fitted.position < self._columns.total - len(self._columns):
            raise ValueError("so many outcomes came meanwhile that some are no longer kept")
        return self._columns.between(fitted.position, self._columns.total)

    def adopt(self, fitted: Fitted) -> Iterator[None]:
        """Put a refit in force, with the outcomes that it does not know yet."""
        for _ in fitted.learn(self.since(fitted)):
            pass
        replaced, self._fold, self._position = self._fold, fitted.fold, fitted.position
        self._held = False
        return replaced.let_go()


def _group(features: Features, level: int) -> tuple[str, ...]:
    """The names of the group at a level of the sources."""
    agent, model = features.agent, features.model
    return ((), (), (model,), (agent,), (agent, model), (agent, features.task_type, model))[level]
