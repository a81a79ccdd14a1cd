"""The runs that a run is compared with, and what they say of how it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np

from budget_proxy.predict.runs import prior
from budget_proxy.predict.runs.base import RunStep
from budget_proxy.predict.runs.gaps import Gaps
from budget_proxy.predict.runs.groups import SOURCES, WITH_MODEL, Chain, Groups
from budget_proxy.predict.runs.survival import Floats, jumps
from budget_proxy.predict.runs.trajectories import COST, TOKENS, Rows, Trajectories

STRENGTH: Final = 1.0
"""Runs that those of a wider group count as, together (chosen on development rows)."""

_OPEN: Final = 0.5
_AS_LONG_AGAIN: Final = 2.0
_BELIEVED: Final[Floats] = np.full(prior.POINTS, prior.WEIGHT / prior.POINTS)
_OVER: Final[Floats] = np.ones(prior.POINTS)


@dataclass(slots=True)
class SoFar:
    """What one run has done: ``first`` and ``last`` are input tokens of its calls.

    ``cost`` is NaN where a price is not known.
    """

    turns: int = 0
    tokens: int = 0
    output: int = 0
    cost: float = 0.0
    first: int = 0
    last: int = 0

    def add(self, step: RunStep) -> None:
        """Count a call in."""
        self.turns += 1
        self.tokens += step.input_tokens + step.output_tokens
        self.output += step.output_tokens
        self.cost += nan if step.cost is None else step.cost
        self.last = step.input_tokens
        if self.turns == 1:
            self.first = step.input_tokens

    @property
    def used(self) -> tuple[float, float, float]:
        """As the columns of a Sample's ``used``."""
        return self.tokens, self.output, self.cost


@dataclass(frozen=True, slots=True)
class Sample:
    """Whole runs (n,) as the one asked about may be, with their probabilities ``weights``.

    ``used`` (n, 3) are their TOKENS, OUTPUT and COST, NaN where a cost is not known. ``ended``
    counts the runs of the finest group behind it, named by ``source``, that are over; ``opened``
    those that are not; ``wider`` the runs of wider groups.
    """

    turns: Floats
    used: Floats
    weights: Floats
    source: str
    ended: float
    opened: float
    wider: int


class Peers:
    """The newest runs by group, open ones and those that are over. It has no clock."""

    __slots__ = ("_groups", "_table")

    def __init__(self, most_runs: int, most_groups: int) -> None:
        self._table = Trajectories(most_runs)
        self._groups = Groups(most_groups)

    def begin(self, chain: Chain) -> int:
        """The number of a run that begins."""
        number = self._table.begin()
        self._groups.add(chain, number)
        return number

    def add(self, number: int, step: RunStep, now: float) -> None:
        """Count a call of a run, if there is still room for that one."""
        row = self._table.row_of(number)
        if row >= 0:
            tokens = step.input_tokens + step.output_tokens
            self._table.add(row, tokens, step.output_tokens, step.cost, now)

    def end(self, number: int) -> None:
        """A run is over: what it used is what it comes to, as long as no call follows."""
        row = self._table.row_of(number)
        if row >= 0:
            self._table.ended[row] = True

    def sample(self, chain: Chain, number: int, so_far: SoFar, gaps: Gaps, now: float) -> Sample:
        """What a run of a chain comes to that has got so far and makes another call.

        ``number`` is its own, -1 if it has none; ``gaps`` are those of its agent. Its peers are
        the runs that got further; what they used from there on is what it will.
        """
        table, steps = self._table, so_far.turns
        rows, levels = self._others(chain, number)
        over = np.where(table.ended[rows], 1.0, gaps.over(now - table.last[rows]))
        believed, more = self._believed(so_far, rows, levels, over)
        if steps:
            further = table.steps[rows] > steps
            rows, levels, over = rows[further], levels[further], over[further]
        later = table.used[rows] - table.by(rows, steps)
        later[levels < WITH_MODEL, COST] = nan
        more[:, COST] *= so_far.cost / so_far.tokens if so_far.tokens else _rate(later)
        turns = np.concatenate((table.steps[rows], believed))
        weights = np.concatenate((_weights(levels), _BELIEVED))
        finest = int(levels.max(initial=0))
        own = levels == finest
        ended = float(over[own].sum())
        return Sample(
            turns=turns,
            used=so_far.used + np.concatenate((later, more)),
            weights=jumps(turns, np.concatenate((over, _OVER)), weights),
            source=SOURCES[finest] if len(rows) else "prior",
            ended=ended,
            opened=float(own.sum()) - ended,
            wider=len(rows) - int(own.sum()),
        )

    def _believed(
        self, so_far: SoFar, rows: Rows, levels: Rows, over: Floats
    ) -> tuple[Floats, Floats]:
        """The prior's runs: turns (POINTS,), and what they still use (POINTS, 3), at 1 $ a token.

        They are like the known ones in ``rows`` that are over; where the longest is still open,
        one of them is longer.
        """
        steps, known, weights = so_far.turns, self._table.steps[rows], _weights(levels) * over
        turns = prior.turns(steps, known, weights)
        if len(rows) and over[known.argmax()] < _OPEN:
            turns[-1] = max(turns[-1], _AS_LONG_AGAIN * known.max())
        if steps:
            mean = so_far.output / steps
            tokens, output = prior.remaining(turns - steps, steps, so_far.first, so_far.last, mean)
        else:
            a_turn = np.maximum(self._table.used[rows, TOKENS], 1.0) / known
            tokens, output = prior.whole(turns, a_turn, weights)
        return turns, np.stack((tokens, output, tokens), axis=1)

    def _others(self, chain: Chain, number: int) -> tuple[Rows, Rows]:
        """Rows and levels of the runs of a chain that are kept, but for itself."""
        numbers, levels = self._groups.runs(chain)
        kept = (numbers >= self._table.begun - self._table.most) & (numbers != number)
        return numbers[kept] % self._table.most, levels[kept]


def _weights(levels: Rows) -> Floats:
    """A run of the finest level counts 1, those of each wider one STRENGTH together at most."""
    counts = np.bincount(levels, minlength=len(SOURCES))
    scale = np.minimum(1.0, STRENGTH / np.maximum(counts, 1))
    scale[levels.max(initial=0)] = 1.0
    weights: Floats = scale[levels]
    return weights


def _rate(used: Floats) -> float:
    """Dollars a token of those (n, 3) whose cost is known; NaN if there are none."""
    priced = used[np.isfinite(used[:, COST])]
    tokens = float(priced[:, TOKENS].sum())
    return float(priced[:, COST].sum()) / tokens if tokens else nan
