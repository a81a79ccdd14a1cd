"""A refit: everything learned anew from a window of outcomes, cold and always alike.

The window is passed through once, outcome by outcome, so that each is seen as it was before it
was known; effects are swept and words fitted at growing intervals on the way. The networks are
trained in stages: what all but the last forecast of the outcomes after them gives the weights of
the stack, the groups of what is left, and the calibration; the last one knows them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict import stack, trees
from budget_proxy.predict.cases import Case
from budget_proxy.predict.columns import Outcome, Outcomes
from budget_proxy.predict.drift import Drift, distances
from budget_proxy.predict.effects import Backfit
from budget_proxy.predict.fold import START, WIDTH, Fold, batch, recentred
from budget_proxy.predict.network import BATCH, LEVELS, MEDIAN, Singles, Training
from budget_proxy.predict.ridge import Texts
from budget_proxy.predict.sight import Sight

Floats = NDArray[np.float64]

SEED: Final = 7
STAGES: Final = (0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
"""Shares of the window that each stage of training knows."""

_STEPS, _STEPS_MORE = 100, 30
_FIRST_EPOCHS, _EPOCHS, _EPOCHS_OF_MANY = 20, 12, 10
_FEW: Final = 2000  # outcomes up to which the second help; the first are those of the first stage
_STACKED: Final = 0.4  # share of the window from which on forecasts count for the weights
_FIRST_SWEEP, _SWEEP_GROWTH, _SWEEP_MOST = 40, 1.2, 1000
_FIRST_WORDS, _WORDS_GROWTH, _WORDS_MOST = 60, 1.35, 1500
_LARGEST_REST: Final = 2.5
_LEVELS: Final = np.array(LEVELS)
_TOGETHER: Final = 16
_RECENT: Final = 400
_UNSETTLED: Final = 20  # the first outcomes are no examples: nothing was known before them


@dataclass(slots=True)
class Fitted:
    """What a refit found: a state that knows the outcomes up to number ``position``."""

    fold: Fold
    position: int

    def learn(self, later: Outcomes) -> Iterator[None]:
        """Take in outcomes that came later, step by step."""
        for case, outcome in later.rows():
            self.fold.learn(case, outcome)
            self.position += 1
            yield
            while self.fold.behind():
                self.fold.settle_part()
                yield


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A window of outcomes, up to number ``position``; plain arrays."""

    outcomes: Outcomes
    position: int
    width: int


def refit(snapshot: Snapshot) -> Fitted:
    """Learn a snapshot's window anew, cold and from a fixed seed; takes seconds."""
    return Fitted(_fit(list(snapshot.outcomes.rows()), snapshot.width), snapshot.position)


@dataclass(slots=True)
class _Pass:
    """What the pass through the window saw: by outcome numbers, centre and ln(tokens)."""

    cases: list[Case]
    outcomes: list[Outcome]
    numbers: Singles
    centres: Floats
    lengths: Floats

    @property
    def rests(self) -> Singles:
        rests: Singles = (self.lengths - self.centres).astype(np.float32)
        return rests


def _fit(rows: list[tuple[Case, Outcome]], width: int) -> Fold:
    fold = Fold(width)
    cases, outcomes = [case for case, _ in rows], [outcome for _, outcome in rows]
    if any(outcome.censored for outcome in outcomes):
        fold.expect_cuts()
    by_group, tokens = _count_lengths(fold, cases, outcomes)
    seen = _pass(fold, cases, outcomes, tokens)
    by_network, by_trees = _train(fold, seen)
    start, scored = len(rows) - len(by_network), len(rows) - len(by_trees)
    networks = seen.centres[start:, None] + by_network
    rests = _count_rests(fold, cases[start:], seen.lengths[start:] - networks[:, MEDIAN])
    cases, centres, lengths = cases[scored:], seen.centres[scored:], seen.lengths[scored:]
    members = np.empty((START.shape[1], len(cases), len(LEVELS)))
    members[0] = networks[scored - start :]
    members[1], members[5] = by_group[:, scored:]
    members[2] = members[0, :, MEDIAN, None] + rests[scored - start :]
    members[3] = recentred(members[0], centres)
    members[4] = centres[:, None] + by_trees
    fold.weights = stack.fit(members, np.exp(lengths), _LEVELS, START)
    for at in range(0, len(cases), _TOGETHER):
        part = slice(at, at + _TOGETHER)
        fold.calibrate(cases[part], members[:, part], lengths[part])
    _settle_drift(fold, seen)
    return fold


def _settle_drift(fold: Fold, seen: _Pass) -> None:
    """Learn drift anew from what the last networks leave: they know the newest outcomes."""
    lived, fold.drift = fold.drift, Drift(fold.most)
    part = slice(max(len(seen.cases) - _RECENT, 0), None)
    cases = seen.cases[part]
    members = fold.members(cases, seen.numbers[part], seen.centres[part])
    mixed = fold.mixed(cases, members)
    for case, distance in zip(cases, distances(mixed, seen.lengths[part]).tolist(), strict=True):
        fold.drift.learn(case, distance)
    fold.drift.remember(lived)


def _count_lengths(
    fold: Fold, cases: list[Case], outcomes: list[Outcome]
) -> tuple[Floats, list[float]]:
    """Count lengths by group: what ``by_group`` said before, and every length completed."""
    forecasts = np.empty((2, len(cases), len(LEVELS)))
    at = 0
    while at < len(cases):
        to = min(at + batch(at), len(cases))
        forecasts[:, at:to] = fold.by_group(cases[at:to])
        fold.count_lengths(cases[at:to], outcomes[at:to])
        at = to
    tokens = []
    for number, (case, outcome) in enumerate(zip(cases, outcomes, strict=True)):
        fold.count = number
        tokens.append(fold.completed(case, outcome))
    fold.count = 0
    return forecasts, tokens


def _pass(fold: Fold, cases: list[Case], outcomes: list[Outcome], tokens: list[float]) -> _Pass:
    n = len(cases)
    lengths, numbers = np.log(tokens), np.empty((n, WIDTH), np.float32)
    sights: list[Sight] = []
    backfit = Backfit(np.array([case.factors for case in cases], np.uint64))
    texts = Texts([case.grams for case in cases])
    sweeps = set(_schedule(n, _FIRST_SWEEP, _SWEEP_GROWTH, _SWEEP_MOST))
    fits = set(_schedule(n, _FIRST_WORDS, _WORDS_GROWTH, _WORDS_MOST))
    told = 0  # of so many calls, before what words tell changes
    for at, (case, outcome) in enumerate(zip(cases, outcomes, strict=True)):
        if at in sweeps:
            backfit.sweep(fold.effects, lengths[:at])
        if at in fits:
            numbers[told:at] = fold.numbers(cases[told:at], sights[told:])
            fold.ridge, told = texts.fit(_unexplained(lengths, sights)), at
        seen = fold.look(case)
        sights.append(seen)
        fold.absorb(case, outcome, seen, tokens[at])
    numbers[told:] = fold.numbers(cases[told:], sights[told:])
    backfit.sweep(fold.effects, lengths)
    fold.ridge = texts.fit(_unexplained(lengths, sights))
    return _Pass(cases, outcomes, numbers, np.array([seen.centre for seen in sights]), lengths)


def _train(fold: Fold, seen: _Pass) -> tuple[Floats, Floats]:
    """Train networks and trees; returns what each stage forecast of the outcomes after it.

    Those of the trees begin where the mixture learns from forecasts.
    """
    n = len(seen.cases)
    ends = [max(int(share * n), 1) for share in STAGES]
    first = min(_UNSETTLED, ends[0] // 4)
    rests = seen.rests
    training = Training(seen.numbers, seed=SEED)
    epochs = max(_EPOCHS * min(_FEW / n, 1.0), _EPOCHS_OF_MANY)
    steps = _STEPS + _FIRST_EPOCHS * ends[0] // BATCH
    by_network, by_trees = [], []
    for share, end, later in zip(STAGES, ends, (*ends[1:], n), strict=True):
        known, unknown = slice(first, end), slice(end, later)
        training.train(seen.numbers[known], rests[known], steps)
        by_network.append(training.network().predict(seen.numbers[unknown]))
        if share >= _STACKED:
            fold.trees = trees.fit(seen.numbers[known], rests[known], seed=SEED)
            by_trees.append(fold.trees.predict(seen.numbers[unknown]))
        steps = _STEPS_MORE + int(epochs * later) // BATCH
    fold.network = training.network()
    return np.concatenate(by_network), np.concatenate(by_trees)


def _count_rests(fold: Fold, cases: list[Case], rests: Floats) -> Floats:
    """Count what the networks left by group; returns what each group forecast before."""
    forecasts = np.empty((len(cases), len(LEVELS)))
    at = 0
    while at < len(cases):
        to = min(at + batch(at), len(cases))
        forecasts[at:to] = fold.by_rest(cases[at:to])
        fold.count_rests(cases[at:to], rests[at:to])
        at = to
    return forecasts


def _unexplained(lengths: Floats, sights: list[Sight]) -> Floats:
    """What the effects that know no text left of the lengths of calls seen, within bounds."""
    rests: Floats = lengths[: len(sights)] - np.array([seen.coarse for seen in sights])
    return np.asarray(np.minimum(np.maximum(rests, -_LARGEST_REST), _LARGEST_REST))


def _schedule(stop: int, first: int, growth: float, most: int) -> list[int]:
    """Places below ``stop`` at growing distances, which end at ``most``."""
    places, place = [], float(first)
    while place < stop:
        places.append(int(place))
        place += min(max(place * (growth - 1.0), 20.0), most)
    return places
