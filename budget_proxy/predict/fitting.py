"""A refit: everything learned anew from a window of outcomes, cold and always alike.

The window is passed through first (``passing``). Then the networks are trained in stages: what all
but the last forecast of the outcomes after them gives the weights of the stack, the groups of what
is left, and the calibration; the last one knows them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict import stack, trees
from budget_proxy.predict.cases import Case
from budget_proxy.predict.columns import Outcomes
from budget_proxy.predict.drift import Drift, distances
from budget_proxy.predict.fold import START, Fold, batch, recentred
from budget_proxy.predict.network import BATCH, LEVELS, MEDIAN, Training
from budget_proxy.predict.passing import Passing, Seen

Floats = NDArray[np.float64]

SEED: Final = 7
STAGES: Final = (0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
"""Shares of the window that each stage of training knows."""

_STEPS, _STEPS_MORE = 100, 30
_FIRST_EPOCHS, _EPOCHS, _EPOCHS_OF_MANY = 20, 12, 10
_FEW: Final = 2000  # outcomes up to which the second help; the first are those of the first stage
_STACKED: Final = 0.4  # share of the window from which on forecasts count for the weights
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
    return Refits().refit(snapshot)


class Refits:
    """Refits of one predictor's snapshots in turn: each finds what ``refit`` finds.

    They take less time, as long as windows only grow.
    """

    def __init__(self) -> None:
        self._passing: Passing | None = None
        self._first = 0

    def refit(self, snapshot: Snapshot) -> Fitted:
        """Learn a snapshot's window anew."""
        first = snapshot.position - len(snapshot.outcomes)
        cuts = snapshot.outcomes.cut()
        passing = self._passing
        if passing is None or cuts or first != self._first:
            self._passing = passing = Passing(snapshot.width, cuts=cuts)
            self._first = first
        passing.go_on(snapshot.outcomes.rows(len(passing)))
        fold, seen = passing.ended()
        _fit(fold, seen)
        return Fitted(fold, snapshot.position)


def _fit(fold: Fold, seen: Seen) -> None:
    """Train on what was seen in a pass that has ended, and calibrate."""
    by_network, by_trees = _train(fold, seen)
    start, scored = len(seen.cases) - len(by_network), len(seen.cases) - len(by_trees)
    networks = seen.centres[start:, None] + by_network
    rests = _count_rests(fold, seen.cases[start:], seen.lengths[start:] - networks[:, MEDIAN])
    cases, centres, lengths = seen.cases[scored:], seen.centres[scored:], seen.lengths[scored:]
    members = np.empty((START.shape[1], len(cases), len(LEVELS)))
    members[0] = networks[scored - start :]
    members[1], members[5] = seen.by_group[:, scored:]
    members[2] = members[0, :, MEDIAN, None] + rests[scored - start :]
    members[3] = recentred(members[0], centres)
    members[4] = centres[:, None] + by_trees
    fold.weights = stack.fit(members, np.exp(lengths), _LEVELS, START)
    for at in range(0, len(cases), _TOGETHER):
        part = slice(at, at + _TOGETHER)
        fold.calibrate(cases[part], members[:, part], lengths[part])
    _settle_drift(fold, seen)


def _settle_drift(fold: Fold, seen: Seen) -> None:
    """Learn drift anew from what the last networks leave: they know the newest outcomes."""
    lived, fold.drift = fold.drift, Drift(fold.most)
    part = slice(max(len(seen.cases) - _RECENT, 0), None)
    cases = seen.cases[part]
    members = fold.members(cases, seen.numbers[part], seen.centres[part])
    mixed = fold.mixed(cases, members)
    for case, distance in zip(cases, distances(mixed, seen.lengths[part]).tolist(), strict=True):
        fold.drift.learn(case, distance)
    fold.drift.remember(lived)


def _train(fold: Fold, seen: Seen) -> tuple[Floats, Floats]:
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
