"""Forecasts for tasks that are not calls: predict, record, find similar, choose a model.

What agents and planners ask before they start ("how many tokens will this ticket need?").
The same predictor, the same history: a recorded task is a row like any call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from budget_proxy.classify.characteristics import classify_task
from budget_proxy.engine import DEFAULT_AGENT, CapabilitiesOf, Core
from budget_proxy.errors import InvalidInput
from budget_proxy.policy.base import Tier
from budget_proxy.policy.breakdown import alternatives, breakdown
from budget_proxy.policy.router import Choice, select
from budget_proxy.predict.base import Predictor
from budget_proxy.predict.recorded import features_of, observation_of
from budget_proxy.predict.strategies import make
from budget_proxy.scope import MOST_TOKENS
from budget_proxy.types import (
    NO_PROVIDER,
    Call,
    CallRecord,
    Characteristics,
    Features,
    Prediction,
    Similar,
)
from budget_proxy.wire import DIALECTS
from budget_proxy.wire.models import api_of_model, provider_of_model
from budget_proxy.wire.prices import Prices

_DEFAULT_MODEL: Final = "any"


@dataclass(frozen=True, slots=True)
class Selection:
    """A model and a budget chosen together, with the prediction they rest on."""

    choice: Choice
    prediction: Prediction

    @property
    def model(self) -> str:
        """The model that was chosen."""
        return self.choice.model

    @property
    def explanation(self) -> str:
        """Why this model with this budget, in one sentence."""
        return self.choice.explanation


class Tasks:
    """Task-level questions to a core's history. Not thread-safe: the facade holds the lock."""

    def __init__(self, core: Core, capabilities: CapabilitiesOf, prices: Prices) -> None:
        self._core = core
        self._capabilities = capabilities
        self._prices = prices

    def predict(
        self,
        task: Mapping[str, Any],
        *,
        agent: str | None,
        model: str | None,
        now: float,
        identifier: str,
        predictor: Predictor | None = None,
    ) -> Prediction:
        """What a task will need. Raises InvalidInput on a descriptor of wrong types."""
        features = self._features(task, agent, model, now)
        features, forecast = self._core.foresee(features)
        if predictor is not None:
            forecast = predictor.predict_one(features)
        kind = features.characteristics
        return Prediction(
            id=identifier,
            recommended=forecast.recommended,
            confidence=forecast.confidence,
            strategy=forecast.strategy,
            breakdown=breakdown(forecast.recommended, kind),
            alternatives=alternatives(forecast.recommended, forecast),
            similar=forecast.similar or self._core.memory.similar(features, 10),
            reasons=forecast.reasons,
            characteristics=kind,
            forecast=forecast,
            agent=features.agent,
            model=features.model,
            ts=now,
        )

    def similar(self, task: Mapping[str, Any], n: int, now: float) -> tuple[Similar, ...]:
        """The ``n`` most similar tasks of the history, most similar first."""
        return self._core.memory.similar(self._features(task, None, None, now), n)

    def record(
        self, prediction: Prediction, used: int, *, now: float, truncated: bool = False
    ) -> CallRecord:
        """The row of a finished task; learned from at once."""
        used = _whole(used)
        if not isinstance(prediction, Prediction):
            raise InvalidInput("record takes what predict() returned, and the tokens used")
        forecast = prediction.forecast
        row = CallRecord(
            ts=now,
            api=NO_PROVIDER,
            model=prediction.model,
            call_id=prediction.id,
            agent=prediction.agent,
            **prediction.characteristics.columns(),
            output_tokens=used,
            truncated=truncated,
            finish_reason="length" if truncated else "stop",
            **forecast.columns(),
            target=round(forecast.quantile(0.60)),
            recommended=prediction.recommended,
            reserve=round(forecast.quantile(0.95)),
            confidence=prediction.confidence,
            reason="recorded task",
        )
        self._core.learn(row)
        return row

    def select(
        self, task: Mapping[str, Any], *, agent: str | None, now: float, identifier: str
    ) -> Selection:
        """Model, thinking, effort and budget for a task, chosen together."""
        kind = self._features(task, agent, None, now).characteristics
        choice = self._choose(self._core.policy.tiers, kind, agent or DEFAULT_AGENT, now)
        prediction = self.predict(
            task, agent=agent, model=choice.model, now=now, identifier=identifier
        )
        return Selection(choice, prediction)

    def route(
        self, call: Call, kind: Characteristics, input_tokens: int, kept: str | None
    ) -> Choice:
        """The tier for a call that asks for the alias: the session's own if it can serve it.

        Of the tiers those whose model's provider speaks the call's dialect; all, if there is
        none (an upstream may well translate).
        """
        provider = DIALECTS[call.api].provider
        tiers = self._core.policy.tiers
        fitting = [t for t in tiers if provider_of_model(t.model) in {None, provider}] or tiers
        own = [tier for tier in fitting if tier.model == kept]
        agent = call.scope.agent or DEFAULT_AGENT
        return self._choose(own or fitting, kind, agent, call.now, call, input_tokens)

    def _choose(
        self,
        tiers: Sequence[Tier],
        kind: Characteristics,
        agent: str,
        now: float,
        call: Call | None = None,
        input_tokens: int = 0,
    ) -> Choice:
        features = Features(agent, "", kind.task_type, kind, now, input_tokens)
        models = [tier.model for tier in tiers]
        apis = {model: call.api if call else api_of_model(model) or "" for model in models}
        host = call.host if call else ""
        forecasts = {
            model: self._core.foresee(replace(features, model=model))[1] for model in models
        }
        return select(
            tiers,
            kind,
            forecasts,
            {model: self._prices.unit_prices(api, model) for model, api in apis.items()},
            {model: self._capabilities(api, host, model) for model, api in apis.items()},
            input_tokens,
        )

    def _features(
        self, task: Mapping[str, Any], agent: str | None, model: str | None, now: float
    ) -> Features:
        kind = classify_task(task)
        return Features(agent or DEFAULT_AGENT, model or _DEFAULT_MODEL, kind.task_type, kind, now)


def _whole(used: Any) -> int:
    if isinstance(used, bool) or not isinstance(used, int) or not 0 <= used <= MOST_TOKENS:
        said = str(used)[:40]
        raise InvalidInput(f"used must be a whole number of tokens >= 0 (at most 1e9), not {said}")
    return used


def trained(strategy: str, rows: Sequence[CallRecord], window: int) -> Predictor:
    """A predictor by its strategy's name that learned from these rows. Raises ConfigError."""
    predictor = make(strategy, window=window)
    for record in rows:
        if record.has_length:
            predictor.learn_one(features_of(record), observation_of(record), record.call_id)
    return predictor
