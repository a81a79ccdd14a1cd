"""Progressive validation over runs: forecast a run before each of its calls, then learn the call.

A run's own total is seen only once it has been silent for long, as in a live system: runs that go
on beside it are open, and nothing of what comes later is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.runs.base import (
    LEVELS,
    AlarmKind,
    Quantiles,
    RunAlarm,
    RunForecast,
    RunStep,
)
from budget_proxy.predict.runs.calibration import STAGES, stage_of
from budget_proxy.predict.runs.forecaster import RunForecaster

Floats = NDArray[np.float64]

FITTED: Final = 0.6
"""Share of the runs that the static quantiles are fitted on; the last 40 % are scored apart."""

FEWEST: Final = 10
"""Runs, below which a stage is left out."""

_FEW: Final = 5
_LEVELS: Final = np.array(LEVELS)


@dataclass(frozen=True, slots=True)
class Scored:
    """A call with the forecast of its run before it, and the alarms it raised."""

    step: RunStep
    forecast: RunForecast
    alarms: tuple[RunAlarm, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class StageScores:
    """How the forecasts held that were made when runs had made ``seen`` calls.

    ``runs`` of them got further. ``within`` is the share of runs whose total tokens lay within
    p10..p90 as the stage began, ``within_calls`` that of all forecasts until the next stage;
    ``output``, ``turns`` and ``cost`` are as ``within`` (the last of runs whose cost is known).
    ``width`` is the median of p90 / p10, ``first_width`` that of the same runs before their first
    call. ``loss`` is the mean pinball loss of ln(total) over the levels, ``static`` that of fixed
    quantiles of the runs' model, fitted on the first 60 % and never below what was used so far,
    ``skill`` is 1 - loss / static.
    """

    seen: int
    runs: int
    within: float
    within_calls: float
    width: float
    first_width: float
    loss: float
    static: float | None
    skill: float | None
    output: float
    turns: float
    cost: float | None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The scores of all runs and of the last 40 % (by their first call), by stage.

    ``alarms`` counts the runs that raised one of a kind; ``seconds`` is the mean per call, of
    forecasting and of learning together.
    """

    runs: int
    calls: int
    all: tuple[StageScores, ...]
    last: tuple[StageScores, ...]
    alarms: dict[AlarmKind, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Made:
    run: int
    turn: int
    tokens: Quantiles
    output: Quantiles
    turns: Quantiles
    cost: Quantiles | None
    used: int


def evaluate(
    steps: Iterable[RunStep], forecaster: RunForecaster, clock: Callable[[], float]
) -> Iterator[Scored]:
    """Forecast before each call, in the order they come, and learn it. ``clock`` counts seconds."""
    for step in steps:
        start = clock()
        forecast = forecaster.predict_one(step.agent, step.run, model=step.model, task=step.task)
        alarms = forecaster.learn_one(step)
        yield Scored(step, forecast, alarms, clock() - start)


class Tally:
    """Collects scored calls and sums them up by run and stage."""

    def __init__(self) -> None:
        self._names: dict[str, int] = {}
        self._models: list[tuple[str, str]] = []
        self._came: list[list[float]] = []
        self._made: list[_Made] = []
        self._alarms: dict[AlarmKind, int] = {"runaway": 0, "loop": 0}
        self._seconds = 0.0

    def add(self, scored: Scored) -> None:
        """Count one call in."""
        step, forecast = scored.step, scored.forecast
        run = self._names.setdefault(step.run, len(self._names))
        if run == len(self._came):
            self._came.append([0.0, 0.0, 0.0, 0.0])
            self._models.append((step.agent, step.model))
        came = self._came[run]
        self._made.append(
            _Made(
                run, int(came[2]), forecast.tokens, forecast.output_tokens, forecast.turns,
                forecast.cost, forecast.used.tokens,
            )
        )  # fmt: skip
        cost = np.nan if step.cost is None else step.cost
        new = step.input_tokens + step.output_tokens, step.output_tokens, 1, cost
        self._came[run] = [before + more for before, more in zip(came, new, strict=True)]
        for alarm in scored.alarms:
            self._alarms[alarm.kind] += 1
        self._seconds += scored.seconds

    def summary(self) -> RunSummary:
        """Score what was added, taken as whole runs."""
        runs, calls = len(self._came), len(self._made)
        came = np.array(self._came).reshape(runs, 4)
        cut = int(FITTED * runs)
        static = _static(came[:, 0], self._models, cut) if cut else None
        return RunSummary(
            runs=runs,
            calls=calls,
            all=tuple(_stages(self._made, came, None)),
            last=tuple(_stages([made for made in self._made if made.run >= cut], came, static)),
            alarms=self._alarms,
            seconds=self._seconds / max(calls, 1),
        )


def _stages(made: Sequence[_Made], came: Floats, static: Floats | None) -> Iterator[StageScores]:
    first = {one.run: _width(one) for one in made if one.turn == 0}
    for stage, seen in enumerate(STAGES):
        calls = [one for one in made if stage_of(one.turn) == stage]
        begun = [one for one in calls if one.turn == seen]
        if len(begun) >= FEWEST:
            yield _scores(seen, begun, calls, came, first, static)


def _scores(
    seen: int,
    begun: Sequence[_Made],
    calls: Sequence[_Made],
    came: Floats,
    first: dict[int, float],
    static: Floats | None,
) -> StageScores:
    totals = np.log([came[one.run, 0] for one in begun])
    loss = _loss(totals, np.log([one.tokens.values for one in begun]))
    fixed = None
    if static is not None:
        least = np.log([[max(one.used, 1)] for one in begun])
        fixed = _loss(totals, np.maximum(static[[one.run for one in begun]], least))
    priced = [one for one in begun if one.cost is not None and isfinite(came[one.run, 3])]
    costs = [came[one.run, 3] for one in priced]
    return StageScores(
        seen=seen,
        runs=len(begun),
        within=_within([one.tokens for one in begun], [came[one.run, 0] for one in begun]),
        within_calls=_within([one.tokens for one in calls], [came[one.run, 0] for one in calls]),
        width=float(np.median([_width(one) for one in begun])),
        first_width=float(np.median([first[one.run] for one in begun])),
        loss=loss,
        static=fixed,
        skill=1.0 - loss / fixed if fixed else None,
        output=_within([one.output for one in begun], [came[one.run, 1] for one in begun]),
        turns=_within([one.turns for one in begun], [came[one.run, 2] for one in begun]),
        cost=_within([one.cost for one in priced if one.cost], costs) if priced else None,
    )


def _within(forecasts: Sequence[Quantiles], came: Sequence[float]) -> float:
    low = np.array([one.values[0] for one in forecasts])
    high = np.array([one.values[-1] for one in forecasts])
    values = np.array(came)
    return float(((low <= values) & (values <= high)).mean())


def _width(made: _Made) -> float:
    return made.tokens.values[-1] / made.tokens.values[0]


def _loss(values: Floats, quantiles: Floats) -> float:
    short = values[:, None] - quantiles
    return float(np.maximum(_LEVELS * short, (_LEVELS - 1.0) * short).mean())


def _static(totals: Floats, models: Sequence[tuple[str, str]], cut: int) -> Floats:
    """Ln of the quantiles (runs, levels) of totals of the first ``cut`` runs, by agent and model.

    Those with five runs or fewer there get those of all ``cut`` runs.
    """
    logs = np.log(np.maximum(totals, 1.0))
    known: dict[tuple[str, str], list[float]] = {}
    for model, total in zip(models[:cut], logs[:cut].tolist(), strict=True):
        known.setdefault(model, []).append(total)
    general = np.quantile(logs[:cut], _LEVELS)
    fitted = {one: np.quantile(found, _LEVELS) for one, found in known.items() if len(found) > _FEW}
    return np.array([fitted.get(model, general) for model in models])
