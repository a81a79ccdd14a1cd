"""Outcomes that wait until they are enough to be learned together, and how far that has got.

It is done in parts, so that whoever comes meanwhile waits for one of them. The parts and what
they found are plain values: the next one is done by any thread, in a forked child too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.cases import Case
from budget_proxy.predict.columns import Outcome
from budget_proxy.predict.network import MEDIAN, Singles
from budget_proxy.predict.sight import Sight

Floats = NDArray[np.float64]

_NOTHING: Final[Floats] = np.empty((0, 0, 0))


class Learner(Protocol):
    """Whoever learns of them (``fold.Fold``)."""

    def told(self, cases: list[Case], sights: list[Sight]) -> Singles:
        """What networks are told of calls."""

    def by_numbers(self, numbers: Singles, centres: Floats) -> Floats:
        """What they and the trees make of it, and room for the other members."""

    def add_groups(self, members: Floats, cases: list[Case], centres: Floats) -> None:
        """Fill that in."""

    def mixed(self, cases: list[Case], members: Floats) -> Floats:
        """The mixture of members."""

    def track(self, cases: list[Case], mixed: Floats, lengths: Floats) -> None:
        """Learn how well mixtures held."""

    def follow(self, cases: list[Case], mixed: Floats, lengths: Floats) -> None:
        """Learn where lengths drift."""

    def count_lengths(self, cases: list[Case], outcomes: list[Outcome]) -> None:
        """Count lengths by group."""

    def count_rests(self, cases: list[Case], rests: Floats) -> None:
        """Count by group what the networks left."""


class Waiting:
    """The outcomes that wait, each with what was seen of its call and its whole length."""

    __slots__ = ("_members", "_mixed", "_part", "rows")

    def __init__(self) -> None:
        self.rows: list[tuple[Case, Outcome, Sight, float]] = []
        self._clear()

    def _clear(self) -> None:
        self._part = 0
        self._members = self._mixed = _NOTHING

    def learn_part(self, learner: Learner) -> None:
        """Have the next part of them learned; after the last, none wait.

        One that fails is done again.
        """
        _PARTS[self._part](self, learner, _Batch.of(self.rows))
        if self._part + 1 < len(_PARTS):
            self._part += 1
        else:
            self._clear()
            self.rows = []

    def foresee(self, learner: Learner, batch: _Batch) -> None:
        """Say what networks and trees would have said."""
        self._members = learner.by_numbers(learner.told(batch.cases, batch.sights), batch.centres)

    def mix(self, learner: Learner, batch: _Batch) -> None:
        """Say what the groups would have said, and the mixture."""
        learner.add_groups(self._members, batch.cases, batch.centres)
        self._mixed = learner.mixed(batch.cases, self._members)

    def track(self, learner: Learner, batch: _Batch) -> None:
        """Learn how well that would have held."""
        learner.track(batch.cases, self._mixed, batch.lengths)

    def count(self, learner: Learner, batch: _Batch) -> None:
        """Count them in their groups: from now on, they tell of others."""
        learner.follow(batch.cases, self._mixed, batch.lengths)
        learner.count_lengths(batch.cases, batch.outcomes)
        learner.count_rests(batch.cases, batch.lengths - self._members[0, :, MEDIAN])


class _Batch(NamedTuple):
    """Rows by column; centres and lengths in ln(tokens)."""

    cases: list[Case]
    outcomes: list[Outcome]
    sights: list[Sight]
    centres: Floats
    lengths: Floats

    @staticmethod
    def of(rows: list[tuple[Case, Outcome, Sight, float]]) -> _Batch:
        """The columns of rows."""
        cases, outcomes, sights, tokens = map(list, zip(*rows, strict=True))
        centres = np.array([seen.centre for seen in sights])
        return _Batch(cases, outcomes, sights, centres, np.log(tokens))


_PARTS: Final[tuple[Callable[[Waiting, Learner, _Batch], None], ...]] = (
    Waiting.foresee, Waiting.mix, Waiting.track, Waiting.count,
)  # fmt: skip
