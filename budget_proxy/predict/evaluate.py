"""Progressive validation: predict each call from those before it, then learn it, then score.

The yardstick for every strategy, and the same for all. It reads no files and no clock: rows
and the clock come in. Lengths are scored as given; only learning treats them as censored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.base import Predictor, Refitting
from budget_proxy.predict.promises import By, Decile, GroupCoverage, deciles, group_coverage
from budget_proxy.predict.recommend import HIGHEST_USE, LOWEST_USE
from budget_proxy.predict.strategies import fitting
from budget_proxy.types import LEVELS, Features, Forecast, Observation

Floats = NDArray[np.float64]
PerLevel = tuple[float, ...]
"""One number for each of LEVELS."""

FITTED: Final = 0.6
"""Share of a file that the static quantiles are fitted on; skill is scored on the rest."""

_FEW: Final = 5
_LEVELS: Final = np.array(LEVELS)
_Q50, _Q95 = LEVELS.index(0.50), LEVELS.index(0.95)


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded call: what was known before, and (or ``None``) the tokens it returned.

    ``index`` counts the rows of its source; ``seconds`` is what making its features took;
    ``reasoning`` is the part of the tokens that was reasoning, and ``input_tokens`` what was
    billed as input, where that is known: after the call, both.
    """

    index: int
    features: Features
    tokens: int | None
    censored: bool = False
    call_id: str = ""
    seconds: float = 0.0
    reasoning: int | None = None
    input_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """A row with the forecast made before its outcome was seen; ``seconds`` in all."""

    row: Row
    forecast: Forecast
    seconds: float


@dataclass(frozen=True, slots=True)
class Scores:
    """How well the forecasts of ``n`` calls held.

    ``pinball`` is in tokens, the mean of max(a (y - q), (a - 1) (y - q)); ``coverage`` the
    share with y <= q. With use = y / recommended: ``utilisation`` is its mean, ``over`` and
    ``under`` are the shares of calls that used less than 50 % and more than 95 %,
    ``accuracy`` is the rest and ``attainable`` what the forecasts promised of it (their mean
    confidence). ``error`` is the median of abs(y - q50) / y, ``reserved`` the sum of q95 by
    the sum of y, ``seconds`` the mean per call. ``skill`` is 1 - pinball / pinball of static
    quantiles, where there are any.
    """

    n: int
    pinball: PerLevel
    coverage: PerLevel
    utilisation: float
    over: float
    under: float
    accuracy: float
    attainable: float
    error: float
    reserved: float
    seconds: float
    skill: PerLevel | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """``rows`` were predicted; the scores are those of all with a length, and of the last 40 %.

    Only the latter have skill: the first 60 % are what the static quantiles are fitted on.
    Either is ``None`` where no row has a length. ``groups`` (models, then agents) and
    ``confidence`` (by decile) are of the last 40 % too.
    """

    strategy: str
    rows: int
    all: Scores | None
    last: Scores | None
    groups: tuple[GroupCoverage, ...] = ()
    confidence: tuple[Decile, ...] = ()


def evaluate(
    rows: Iterable[Row], predictor: Predictor, clock: Callable[[], float]
) -> Iterator[Scored]:
    """Forecast every row, then learn it if its length is known. ``clock`` counts seconds.

    Rows are taken one by one: row i is predicted before row i + 1 is asked for. A row is
    learned with the novelty that its forecast found, as a row of the history would be. A fit
    that is due is made at once, and in force before the next row.
    """
    refitting = predictor if isinstance(predictor, Refitting) else None
    refit: Callable[[Any], Any] | None = None
    for row in rows:
        start = clock()
        forecast = predictor.predict_one(row.features)
        seconds = row.seconds + clock() - start
        if row.tokens is not None:
            seen = Observation(
                row.tokens, row.censored, row.features.now, row.reasoning, row.input_tokens
            )
            predictor.learn_one(_as_found(row.features, forecast), seen, row.call_id)
            if refitting is not None and refitting.due():
                refit = refit or fitting(predictor.name).series()
                refitting.adopt(refit(refitting.snapshot()))
        yield Scored(row, forecast, seconds)


class Tally:
    """Collects scored rows and sums them up."""

    def __init__(self, strategy: str) -> None:
        self._strategy = strategy
        self._rows = 0
        self._models: list[str] = []
        self._agents: list[str] = []
        self._numbers: list[tuple[float, ...]] = []

    def add(self, scored: Scored) -> None:
        """Count one row in; one without a length only counts as predicted."""
        self._rows += 1
        tokens, forecast = scored.row.tokens, scored.forecast
        if tokens is None:
            return
        self._models.append(scored.row.features.model)
        self._agents.append(scored.row.features.agent)
        promised = (forecast.quantile(level) for level in LEVELS)
        self._numbers.append(
            (tokens, forecast.recommended, forecast.confidence, scored.seconds, *promised)
        )

    def summary(self) -> Summary:
        """Score what was added so far."""
        if not self._numbers:
            return Summary(self._strategy, self._rows, None, None)
        table = np.array(self._numbers)
        cut = int(FITTED * len(table))
        static = static_quantiles(table[:, 0], self._models, cut) if cut else None
        lengths, recommended, confidence = table[cut:, :3].T
        use = lengths / recommended
        named: tuple[tuple[By, list[str]], ...] = (("model", self._models), ("agent", self._agents))
        return Summary(
            strategy=self._strategy,
            rows=self._rows,
            all=_scores(table),
            last=_scores(table[cut:], None if static is None else static[cut:]),
            groups=tuple(
                group
                for by, names in named
                for group in group_coverage(by, names[cut:], lengths, table[cut:, 4:])
            ),
            confidence=deciles(confidence, (use >= LOWEST_USE) & (use <= HIGHEST_USE)),
        )


def static_quantiles(lengths: Floats, models: list[str], cut: int) -> Floats:
    """For each row the linear quantiles (LEVELS) of its model's rows among the first ``cut``.

    Models with five rows or fewer there get those of all ``cut`` rows. ``cut`` is at least 1.
    """
    known: dict[str, list[float]] = {}
    for model, length in zip(models[:cut], lengths[:cut].tolist(), strict=True):
        known.setdefault(model, []).append(length)
    general = np.quantile(lengths[:cut], _LEVELS)
    fitted = {m: np.quantile(found, _LEVELS) for m, found in known.items() if len(found) > _FEW}
    return np.array([fitted.get(model, general) for model in models])


def pinball(lengths: Floats, values: Floats) -> Floats:
    """Mean pinball loss in tokens at each of LEVELS; ``values`` has a row per length."""
    short = lengths[:, None] - values
    losses: Floats = np.maximum(_LEVELS * short, (_LEVELS - 1.0) * short).mean(axis=0)
    return losses


def _as_found(features: Features, forecast: Forecast) -> Features:
    kind = replace(features.characteristics, novelty=forecast.novelty)
    return replace(features, characteristics=kind)


def _scores(table: Floats, static: Floats | None = None) -> Scores:
    lengths, recommended, confidence, seconds = table[:, :4].T
    values = table[:, 4:]
    losses = pinball(lengths, values)
    skill = None
    if static is not None:
        reference = pinball(lengths, static)
        if reference.all():
            skill = _tuple(1.0 - losses / reference)
    use = lengths / recommended
    over, under = (use < LOWEST_USE).mean(), (use > HIGHEST_USE).mean()
    return Scores(
        n=len(table),
        pinball=_tuple(losses),
        coverage=_tuple((lengths[:, None] <= values).mean(axis=0)),
        utilisation=float(use.mean()),
        over=float(over),
        under=float(under),
        accuracy=float(1.0 - over - under),
        attainable=float(confidence.mean()),
        error=float(np.median(np.abs(lengths - values[:, _Q50]) / lengths)),
        reserved=float(values[:, _Q95].sum() / lengths.sum()),
        seconds=float(seconds.mean()),
        skill=skill,
    )


def _tuple(values: Floats) -> PerLevel:
    return tuple(float(value) for value in values)
