"""The runs that a run is compared with, and what they say of how it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np

from budget_proxy.predict.runs import prior
from budget_proxy.predict.runs.base import RunStep
from budget_proxy.predict.runs.gaps import Gaps
from budget_proxy.predict.runs.groups import SOURCES, WITH_MODEL, Chain, Groups
from budget_proxy.predict.runs.survival import Floats, jumps
from budget_proxy.predict.runs.trajectories import COST, OUTPUT, TOKENS, Rows, Trajectories

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
        """By measure."""
        return self.tokens, self.output, self.cost


@dataclass(frozen=True, slots=True)
class Sample:
    """Whole runs (n,) as the one asked about may be, with their probabilities ``weights``.

    ``used`` has what they come to (n,) in the measures that were asked for (TOKENS, OUTPUT, COST),
    NaN where a cost is not known. ``ended`` counts the runs of the finest group behind it, named by
    ``source``, that are over; ``opened`` those that are not; ``wider`` the runs of wider groups.
    """

    turns: Floats
    used: Mapping[int, Floats]
    weights: Floats
    source: str
    ended: float
    opened: float
    wider: int


@dataclass(frozen=True, slots=True)
class Believed:
    """The prior's runs: their turns, and the tokens and output that they still use (POINTS,)."""

    turns: Floats
    tokens: Floats
    output: Floats


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

    def put_back(self, now: float) -> None:
        """The clock was ahead: no call was made after this moment."""
        np.minimum(self._table.last, now, out=self._table.last)

    def sample(
        self,
        chain: Chain,
        number: int,
        so_far: SoFar,
        gaps: Gaps,
        now: float,
        measures: Sequence[int] = (TOKENS, OUTPUT),
    ) -> Sample:
        """What a run of a chain comes to that has got so far and makes another call.

        ``number`` is its own, -1 if it has none; ``gaps`` are those of its agent. Its peers are
        the runs that got further; what they used from there on is what it will, in ``measures``.
        """
        table, steps = self._table, so_far.turns
        rows, levels = self._others(chain, number)
        over, weights = self._over(rows, gaps, now), _weights(levels)
        believed = self._believed(so_far, rows, weights * over, over)
        if steps:
            further = table.steps[rows] > steps
            rows, levels, over = rows[further], levels[further], over[further]
            weights = _weights(levels)
        turns = np.concatenate((table.steps[rows], believed.turns))
        finest = int(levels.max(initial=0))
        own = levels == finest
        count, ended = int(own.sum()), float(over[own].sum())
        return Sample(
            turns=turns,
            used={each: self._used(each, so_far, rows, levels, believed) for each in measures},
            weights=jumps(
                turns, np.concatenate((over, _OVER)), np.concatenate((weights, _BELIEVED))
            ),
            source=SOURCES[finest] if len(rows) else "prior",
            ended=ended,
            opened=count - ended,
            wider=len(rows) - count,
        )

    def _used(
        self, measure: int, so_far: SoFar, rows: Rows, levels: Rows, believed: Believed
    ) -> Floats:
        """What the run comes to if it goes on as each of its peers, and as the prior's runs."""
        later = self._later(measure, rows, so_far.turns)
        more = believed.output if measure == OUTPUT else believed.tokens
        if measure == COST:
            later[levels < WITH_MODEL] = nan
            tokens = so_far.tokens
            rate = so_far.cost / tokens if tokens else self._rate(later, rows, so_far.turns)
            more = more * rate
        return so_far.used[measure] + np.concatenate((later, more))

    def _later(self, measure: int, rows: Rows, steps: int) -> Floats:
        """What runs used after so many calls."""
        later: Floats = self._table.used[rows, measure]
        return later - self._table.by(rows, steps, measure) if steps else later

    def _rate(self, costs: Floats, rows: Rows, steps: int) -> float:
        """Dollars a token of what runs used later, where it is known; NaN if it is of none."""
        priced = np.isfinite(costs)
        tokens = float(self._later(TOKENS, rows[priced], steps).sum())
        return float(costs[priced].sum()) / tokens if tokens else nan

    def _over(self, rows: Rows, gaps: Gaps, now: float) -> Floats:
        """How probable it is that runs are over."""
        over = self._table.ended[rows].astype(np.float64)
        silent = np.flatnonzero(over == 0.0)
        if len(silent):
            over[silent] = gaps.over(now - self._table.last[rows[silent]])
        return over

    def _believed(self, so_far: SoFar, rows: Rows, weights: Floats, over: Floats) -> Believed:
        """The prior's runs: turns and what they still use.

        They are like the known ones in ``rows`` that are over, ``weights`` being theirs; where the
        longest is still open, one of them is longer.
        """
        steps, known = so_far.turns, self._table.steps[rows]
        turns = prior.turns(steps, known, weights)
        if len(rows) and over[longest := known.argmax()] < _OPEN:
            turns[-1] = max(turns[-1], _AS_LONG_AGAIN * known[longest])
        if steps:
            mean = so_far.output / steps
            more = prior.remaining(turns - steps, steps, so_far.first, so_far.last, mean)
        else:
            a_turn = np.maximum(self._table.used[rows, TOKENS], 1.0) / known
            more = prior.whole(turns, a_turn, weights)
        return Believed(turns, *more)

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
