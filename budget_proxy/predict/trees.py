"""Boosted trees that tell the quantiles of what the effects leave of ln(tokens).

Gradient boosting (Friedman 2001) of oblivious trees, which ask the same question of all calls at
the same depth (Prokhorenkova et al. 2018, "CatBoost"): a tree is DEPTH numbers with a threshold
each, and what its leaves add at every level. Questions are the best of some drawn at random
(Geurts, Ernst and Wehenkel 2006, "Extremely randomized trees"), so that one matrix product
weighs them all. The loss is the pinball loss (Koenker and Bassett 1978) summed over LEVELS.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict.network import LEVELS

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Places = NDArray[np.intp]

FEWEST: Final = 40
CALLS: Final = 100
"""So many trees, and one more for so many calls: with more of them, ever less of it is noise."""

DEPTH: Final = 3
RATE: Final = 0.2
QUESTIONS: Final = 64
STRENGTH: Final = 20.0
"""Calls as which "add nothing" counts in a leaf: at the levels from 10 to 90 %, and ever more
beyond them, where ever fewer calls tell. All chosen as docs/backtest.md says."""

_LEVELS: Final = np.array(LEVELS)
_SINGLE_LEVELS: Final = _LEVELS.astype(np.float32)[:, None]
_STRENGTHS: Final = STRENGTH * np.maximum(0.1 / np.minimum(_LEVELS, 1.0 - _LEVELS), 1.0)
_WEIGHTS: Final = (1.0 / np.sqrt(_LEVELS * (1.0 - _LEVELS))).astype(np.float32)[:, None]
_DENSITY: Final = np.array((0.1755, 0.3178, 0.3989, 0.3178, 0.1755, 0.1031, 0.0267))
"""The normal density at LEVELS: what turns a share of calls into deviations."""

_LOW, _HIGH = LEVELS.index(0.10), LEVELS.index(0.90)
_DEVIATIONS: Final = 2.563  # from the 10 % to the 90 % of a normal distribution
_NARROWEST: Final = 0.05
_LEAST: Final = 1e-3
_BITS: Final = (1 << np.arange(DEPTH)).astype(np.uint8)


class Trees:
    """By tree and depth a column and a threshold, by leaf what it adds; ``start`` is of all."""

    __slots__ = ("columns", "firsts", "leaves", "start", "thresholds")

    def __init__(self, start: Floats, columns: Places, thresholds: Singles, leaves: Floats) -> None:
        self.start = start
        self.columns = columns.ravel()
        self.thresholds = thresholds.ravel()
        self.leaves = leaves.reshape(-1, len(LEVELS))
        self.firsts = np.arange(0, len(self.leaves), 1 << DEPTH)

    def predict(self, inputs: Singles) -> Floats:
        """Quantiles (n, LEVELS) of what the effects leave; they may cross by a little."""
        above = inputs.take(self.columns, axis=1) > self.thresholds
        leaves = above.view(np.uint8).reshape(len(inputs), len(self.firsts), DEPTH) @ _BITS
        added: Floats = np.add.reduce(self.leaves.take(leaves + self.firsts, axis=0), axis=1)
        added += self.start
        return added


def fit(inputs: Singles, rests: Singles, *, seed: int) -> Trees:
    """Trees grown on what the effects left (n) of calls seen as ``inputs`` (n, numbers)."""
    random = np.random.default_rng(seed)
    start = np.quantile(rests, _LEVELS)
    spread = max((start[_HIGH] - start[_LOW]) / _DEVIATIONS, _NARROWEST)
    varied = np.flatnonzero(inputs.std(axis=0) > _LEAST)
    count = FEWEST + len(rests) // CALLS if len(varied) else 0
    columns = np.zeros((count, DEPTH), np.int64)
    thresholds = np.zeros((count, DEPTH), np.float32)
    leaves = np.zeros((count, 1 << DEPTH, len(LEVELS)))
    by_column = np.ascontiguousarray(inputs.T)
    found = np.repeat(start.astype(np.float32)[:, None], len(rests), axis=1)
    for tree in range(count):
        slope = (rests <= found) - _SINGLE_LEVELS
        asked = varied[random.integers(len(varied), size=QUESTIONS)]
        values = by_column.take(asked, axis=0)
        drawn = _between(values, random)
        answers = values > drawn[:, None]
        chosen, places = _grow(answers, slope * _WEIGHTS)
        columns[tree], thresholds[tree] = asked[chosen], drawn[chosen]
        leaves[tree] = _leaves(places, slope) * (-RATE * spread)
        found += leaves[tree].T.astype(np.float32).take(places, axis=1)
    return Trees(start, columns, thresholds, leaves)


def _between(values: Singles, random: np.random.Generator) -> Singles:
    """For each row of ``values`` a threshold anywhere between those of two calls."""
    pair = random.integers(values.shape[1], size=(2, len(values)))
    one, other = values[np.arange(len(values)), pair]
    thresholds: Singles = one + (other - one) * random.random(len(values), np.float32)
    return thresholds


def _grow(answers: NDArray[np.bool_], slope: Singles) -> tuple[list[int], Places]:
    """The questions of a tree, of those with ``answers`` (questions, n), and each call's leaf.

    Of two leaves that a question parts, the sums of one are counted; the other has what is left.
    """
    above = answers.astype(np.float32)
    n = slope.shape[1]
    apart = np.ones((1, len(slope) + 1, n), np.float32)  # by leaf; 0 of calls that are in others
    apart[0, :-1] = slope
    total = apart.sum(axis=2)
    yes = _sums(above, apart)
    chosen: list[int] = []
    places = np.zeros(n, np.intp)
    for depth in range(DEPTH):
        best = int(_gains(np.array((yes, total - yes))).argmax())
        chosen.append(best)
        places += answers[best].astype(np.intp) << depth
        if depth + 1 < DEPTH:
            upper = apart * above[best]
            counted = _sums(above, upper)
            apart = np.concatenate((apart - upper, upper))
            total = np.concatenate((total - yes[best], yes[best]))
            yes = np.concatenate((yes - counted, counted), axis=1)
    return chosen, places


def _sums(above: Singles, apart: Singles) -> Singles:
    """What calls tell (leaves, slopes and 1, n), summed by question over those above."""
    leaves, width, n = apart.shape
    return (above @ apart.reshape(-1, n).T).reshape(len(above), leaves, width)


def _gains(sums: Singles) -> Singles:
    """How far the loss falls by each question, of sums (answers, questions, leaves, slopes and 1).

    A leaf lowers it by the square of its slopes' sum, in shares of how many calls it is of.
    """
    slopes = sums[..., :-1]
    falls = np.einsum("aqls,aqls->aql", slopes, slopes) / (sums[..., -1] + STRENGTH)
    gains: Singles = falls.sum(axis=(0, 2))
    return gains


def _leaves(places: Places, slope: Singles) -> Floats:
    """By leaf how many deviations too high each level stands, drawn to none."""
    apart = np.zeros((1 << DEPTH, len(places)), np.float32)
    apart[places, np.arange(len(places))] = 1.0
    excess = (apart @ slope.T) / (apart.sum(axis=1)[:, None] + _STRENGTHS)
    return np.asarray(excess / _DENSITY)
