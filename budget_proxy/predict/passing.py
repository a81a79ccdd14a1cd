"""The pass through a window: each outcome as it was seen before it was known.

Effects are swept and words fitted at growing intervals on the way. What is seen of an outcome
rests on those before it alone, so that a window that has only grown since is passed through
from where the last pass ended.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.cases import Case
from budget_proxy.predict.columns import Outcome
from budget_proxy.predict.effects import Backfit
from budget_proxy.predict.fold import Fold, batch
from budget_proxy.predict.network import Singles
from budget_proxy.predict.ridge import Texts
from budget_proxy.predict.sight import Sight

Floats = NDArray[np.float64]

_FIRST_SWEEP, _SWEEP_GROWTH, _SWEEP_MOST = 40, 1.2, 1000
_FIRST_WORDS, _WORDS_GROWTH, _WORDS_MOST = 60, 1.35, 1500
_LARGEST_REST: Final = 2.5


@dataclass(slots=True)
class Seen:
    """What a pass saw: by outcome numbers, centre and ln(tokens).

    ``by_group`` are the forecasts (2, n, levels) by the lengths of groups, and of models.
    """

    cases: list[Case]
    numbers: Singles
    centres: Floats
    lengths: Floats
    by_group: Floats

    @property
    def rests(self) -> Singles:
        """What the effects left."""
        rests: Singles = (self.lengths - self.centres).astype(np.float32)
        return rests


class Passing:
    """A pass through outcomes, from none.

    ``cuts`` says that some of them were cut off. What those are completed with rests on all
    outcomes, so that such a pass takes all of them at once, and does not go on.
    """

    def __init__(self, width: int, *, cuts: bool) -> None:
        self._width = width
        self._cuts = cuts
        self._fold = Fold(width)
        if cuts:
            self._fold.expect_cuts()
        self._cases: list[Case] = []
        self._outcomes: list[Outcome] = []
        self._lengths: Floats = np.empty(0)
        self._sights: list[Sight] = []
        self._numbers: list[Singles] = []
        self._told = 0  # of so many calls, before what words tell changed
        self._by_group: list[Floats] = []
        self._counted = 0

    def __len__(self) -> int:
        return len(self._cases)

    def go_on(self, rows: Iterable[tuple[Case, Outcome]]) -> None:
        """Pass through the outcomes that came next."""
        start = len(self)
        for case, outcome in rows:
            self._cases.append(case)
            self._outcomes.append(outcome)
        self._backfit = Backfit(np.array([case.factors for case in self._cases], np.uint64))
        self._texts = Texts([case.grams for case in self._cases])
        self._by_group += self._count(self._fold, whole=self._cuts)
        tokens = self._completed(start)
        self._lengths = np.concatenate((self._lengths, np.log(tokens)))
        self._pass(start, tokens)

    def ended(self) -> tuple[Fold, Seen]:
        """What is known after the last outcome, and what was seen of each; it may go on after."""
        fold = self._twin()
        cases, sights, lengths = self._cases, self._sights, self._lengths
        by_group = [*self._by_group, *self._count(fold, whole=True, keep=False)]
        numbers = [*self._numbers, fold.numbers(cases[self._told :], sights[self._told :])]
        self._backfit.sweep(fold.effects, lengths)
        fold.ridge = self._texts.fit(_unexplained(lengths, sights))
        centres = np.array([seen.centre for seen in sights])
        seen = Seen(
            list(cases), np.concatenate(numbers), centres, lengths, np.concatenate(by_group, axis=1)
        )
        return fold, seen

    def _count(self, fold: Fold, *, whole: bool, keep: bool = True) -> list[Floats]:
        """Count lengths by group, in batches; returns what each group forecast before.

        A batch that more outcomes could fill is left, but for the ``whole``.
        """
        found = []
        at, n = self._counted, len(self)
        while at < n and (whole or at + batch(at) <= n):
            part = slice(at, min(at + batch(at), n))
            found.append(fold.by_group(self._cases[part]))
            fold.count_lengths(self._cases[part], self._outcomes[part])
            at = part.stop
        if keep:
            self._counted = at
        return found

    def _completed(self, start: int) -> list[float]:
        """The whole lengths of outcomes, as all that were counted tell."""
        fold, lived, tokens = self._fold, self._fold.count, []
        both = zip(self._cases[start:], self._outcomes[start:], strict=True)
        for fold.count, (case, outcome) in enumerate(both, start):
            tokens.append(fold.completed(case, outcome))
        fold.count = lived
        return tokens

    def _pass(self, start: int, tokens: list[float]) -> None:
        fold, cases, sights = self._fold, self._cases, self._sights
        n, lengths = len(self), self._lengths
        sweeps = set(_schedule(n, _FIRST_SWEEP, _SWEEP_GROWTH, _SWEEP_MOST))
        fits = set(_schedule(n, _FIRST_WORDS, _WORDS_GROWTH, _WORDS_MOST))
        for at, length in enumerate(tokens, start):
            if at in sweeps:
                self._backfit.sweep(fold.effects, lengths[:at])
            if at in fits:
                self._numbers.append(fold.numbers(cases[self._told : at], sights[self._told :]))
                fold.ridge = self._texts.fit(_unexplained(lengths, sights))
                self._told = at
            seen = fold.look(cases[at])
            sights.append(seen)
            fold.absorb(cases[at], self._outcomes[at], seen, length)

    def _twin(self) -> Fold:
        """What is known so far, to be learned on from apart from this."""
        fold, twin = self._fold, Fold(self._width)
        twin.count, twin.ridge, twin.tails = fold.count, fold.ridge, fold.tails
        twin.effects = copy(fold.effects)  # a sweep replaces all that it holds
        twin.sessions, twin.pace = fold.sessions.copy(), fold.pace.copy()
        twin.lengths, twin.models = fold.lengths.copy(), fold.models.copy()
        twin.reasoning = fold.reasoning.copy()
        return twin


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
