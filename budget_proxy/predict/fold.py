"""All that is learned between refits, outcome by outcome, and the forecast that comes of it.

A forecast mixes six members: networks on what the effects leave, the lengths of the call's groups
(as ``quantile`` does), what the networks' median leaves, by group, the effects with the networks'
spread, trees, and all that the call's model ever answered. What came of a call is learned at once
by effects, sessions and pace, and in small batches by the rest, so that most of its cost is shared.
A batch that is full waits until somebody looks, or has time for it before that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from math import erfc, exp, log, sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from budget_proxy.predict import pace, prior, sessions, stack
from budget_proxy.predict.cases import ALL, FACTORS, GROUPS, Case
from budget_proxy.predict.columns import Outcome
from budget_proxy.predict.drift import Drift, distances
from budget_proxy.predict.effects import FINE, Effects
from budget_proxy.predict.histogram import EDGES, LOG_EDGES, LONGEST
from budget_proxy.predict.mixture import Mixture, log_quantiles
from budget_proxy.predict.network import LEVELS, MEDIAN, Network, Singles
from budget_proxy.predict.pace import Pace
from budget_proxy.predict.recommend import HIGHEST_USE, LOWEST_USE, recommend
from budget_proxy.predict.ridge import Ridge
from budget_proxy.predict.sessions import Sessions
from budget_proxy.predict.sight import Sight
from budget_proxy.predict.signals import NUMBERS
from budget_proxy.predict.tracking import Tracking
from budget_proxy.predict.trees import Trees
from budget_proxy.predict.trust import Trust
from budget_proxy.predict.waiting import Waiting

Floats = NDArray[np.float64]

MEMORY: Final = 300.0
"""Outcomes after which a group has replaced what it knew (as in ``quantile``)."""

LONG: Final = 2000.0
"""The same for models, and for what lies beyond cuts, of which one outcome in a hundred may tell.
"""

START: Final = np.tile((0.25, 0.1, 0.25, 0.15, 0.25, 0.0), (len(LEVELS), 1))
"""Weights of the members at first: networks, groups, groups of what is left, effects, trees, model.

The last is the least noisy: where many outcomes show that nothing else tells anything of the upper
levels, it comes to count. The others need no such help."""

START[LEVELS.index(0.90) :] = 0.245, 0.1, 0.245, 0.145, 0.245, 0.02

_UNFITTED: Final = np.tile((0.0, 0.5, 0.5, 0.0, 0.0, 0.0), (len(LEVELS), 1))
_LEVELS: Final = np.array(LEVELS)
_MODEL: Final = GROUPS.index("model") + 1  # groups down to the model
_AROUND: Final = slice(MEDIAN, MEDIAN + 2)  # the levels on both sides of the least recommended
_BETWEEN: Final = (0.60 - LEVELS[MEDIAN]) / (LEVELS[MEDIAN + 1] - LEVELS[MEDIAN])
_EXPECTED: Final = log(1000.0)  # the grid's ln(tokens) that stands for "as expected"
_REST: Final = 0.7  # standard deviation of what is left, before any outcome
_GROUP_STRENGTH, _REST_STRENGTH = 5.0, 8.0
_EARLY, _SOON = 64, 1000
_N: Final = len(NUMBERS)
WIDTH: Final[int] = _N + 3 * len(FACTORS) + 3 + len(sessions.NUMBERS) + len(pace.NUMBERS)
"""How many numbers the networks see."""

_OTHERS: Final = struct.Struct(f"{WIDTH - _N}f")
"""Those that are no signals. Numpy takes five times as long to make an array of them."""

_UNTOLD: Final = np.empty((0, WIDTH), np.float32)  # until there are networks to tell it

_LONGEST: Final = log(LONGEST)
_GOLDEN: Final = 0.6180339887498949
_ROUGH: Final = 40  # outcomes by which the general mean is a mean of all, until effects are fitted


class Support(NamedTuple):
    """How many ``outcomes`` a group has, which of GROUPS it is, from 1, and its newest one's age.

    All is 0 where there is no group; ``age`` is in outcomes of all groups.
    """

    outcomes: int
    level: int
    age: int


def batch(count: int) -> int:
    """How many outcomes are learned at once by now: the more are known, the more."""
    if count < _EARLY:
        return 1
    return 8 if count < _SOON else 16


def _rest_prior() -> Floats:
    scores = (LOG_EDGES - _EXPECTED) / (_REST * sqrt(2.0))
    below = np.array([0.5 * erfc(-score) for score in scores])
    below[0], below[-1] = 0.0, 1.0
    return np.diff(below)


_LENGTHS: Final[Floats] = -np.diff(prior.survival(EDGES))
_RESTS: Final[Floats] = _rest_prior()


class Fold:
    """The learner's state; ``width`` bounds how much of everything is kept (in outcomes)."""

    def __init__(self, width: int) -> None:
        most = self.most = min(width, 4096)
        self.count = 0
        self.effects = Effects(max(12 * width, 256))
        self.sessions = Sessions(most)
        self.pace = Pace(most)
        self.ridge: Ridge | None = None
        self.network: Network | None = None
        self.trees: Trees | None = None
        self.weights: Floats = _UNFITTED
        self.lengths = Mixture(
            _LENGTHS, depth=len(GROUPS), strength=_GROUP_STRENGTH, memory=MEMORY, most=most
        )
        self.models = Mixture(
            _LENGTHS, depth=_MODEL, strength=_GROUP_STRENGTH, memory=LONG, most=most
        )
        self.rests = Mixture(
            _RESTS, depth=len(GROUPS), strength=_REST_STRENGTH, memory=MEMORY, most=most
        )
        self.reasoning = Mixture(
            _LENGTHS, depth=len(GROUPS), strength=_GROUP_STRENGTH, memory=MEMORY, most=most
        )
        self.tails: Mixture | None = None
        self.tracking = Tracking(_LEVELS, most)
        self.drift = Drift(most)
        self.trust = Trust()
        self._waiting = Waiting()

    def expect_cuts(self) -> None:
        """Remember lengths for longer, to tell what lies beyond a cut: few are seen there."""
        self.tails = Mixture(
            _LENGTHS, depth=len(GROUPS), strength=_GROUP_STRENGTH, memory=LONG, most=self.most
        )

    def forecast(self, case: Case, seen: Sight) -> list[float]:
        """Tokens at LEVELS, ascending, of what ``look`` saw."""
        mixed = stack.combine_one(self._members_of(case, seen), self.weights)
        found = self._moved(case, self.tracking.shifted(mixed, _tracked(case)))
        return [exp(min(max(value, 0.0), _LONGEST)) for value in found]

    def _members_of(self, case: Case, seen: Sight) -> list[Sequence[float]]:
        """The members' forecasts of one call, each by level: ``members`` in plain arithmetic."""
        centre, groups = seen.centre, case.groups
        if self.network is None or self.trees is None:
            networks = trees = [centre] * len(LEVELS)
        else:
            numbers = self.numbers([case], [seen])
            networks = [centre + rest for rest in self.network.predict(numbers)[0].tolist()]
            trees = [centre + rest for rest in self.trees.predict(numbers)[0].tolist()]
        median = networks[MEDIAN]
        up, back = median - _EXPECTED, centre - median
        return [
            networks,
            self.lengths.quantiles(groups),
            [up + rest for rest in self.rests.quantiles(_rest_chain(case))],
            [back + value for value in networks],
            trees,
            self.models.quantiles(groups[:_MODEL]),
        ]

    def mixed(self, cases: list[Case], members: Floats) -> Floats:
        """The members' mixture (n, levels), tracked."""
        groups = [_tracked(case) for case in cases]
        return self.tracking.apply(stack.combine(members, self.weights), groups)

    def _moved(self, case: Case, mixed: list[float]) -> list[float]:
        """One call's forecast in ln(tokens), moved with the drift."""
        moved, wider = self.drift.look(case)
        median = mixed[MEDIAN]
        return [median + wider * (value - median) + moved for value in mixed]

    def look(self, case: Case) -> Sight:
        """See a call that is to come."""
        told = self.effects.look(case.factors)
        effects, general = told.effects, self.effects.general
        total, fine = sum(effects), sum([effects[place] for place in FINE])
        return Sight(
            general + total, general + total - fine, total, total - fine, told,
            self.sessions.look(case, general), self.pace.look(case),
        )  # fmt: skip

    def numbers(self, cases: list[Case], sights: list[Sight]) -> Singles:
        """What networks are told (n, WIDTH) of calls that were seen; of an outcome, it can wait."""
        rows: list[bytes] = []
        for case, seen in zip(cases, sights, strict=True):
            words = 0.0 if self.ridge is None else self.ridge.predict(case.grams)
            told = seen.told
            others = _OTHERS.pack(
                *told.effects, *told.weights, *told.spreads,
                seen.total, seen.plain, words, *seen.before, *seen.lately,
            )  # fmt: skip
            rows += case.numbers.tobytes(), others
        return np.frombuffer(b"".join(rows), np.float32).reshape(-1, WIDTH)

    def told(self, cases: list[Case], sights: list[Sight]) -> Singles:
        """What the networks are told, if there are any."""
        return _UNTOLD if self.network is None else self.numbers(cases, sights)

    def members(self, cases: list[Case], numbers: Singles, centres: Floats) -> Floats:
        """The members' forecasts (members, n, levels) in ln(tokens)."""
        members = self.by_numbers(numbers, centres)
        self.add_groups(members, cases, centres)
        return members

    def by_numbers(self, numbers: Singles, centres: Floats) -> Floats:
        """Room for all members, and in it networks and trees."""
        members = np.empty((START.shape[1], len(centres), len(LEVELS)))
        apart = centres[:, None]
        if self.network is None or self.trees is None:
            members[0] = members[4] = apart
        else:
            np.add(self.network.predict(numbers), apart, out=members[0])
            np.add(self.trees.predict(numbers), apart, out=members[4])
        return members

    def add_groups(self, members: Floats, cases: list[Case], centres: Floats) -> None:
        """The other members, which need the networks'."""
        networks = members[0]
        members[1], members[5], rests = _apart(
            (self._lengths_of(cases), self._models_of(cases), self._rests_of(cases))
        )
        np.add(rests, networks[:, MEDIAN, None] - _EXPECTED, out=members[2])
        members[3] = recentred(networks, centres)

    def by_group(self, cases: list[Case]) -> Floats:
        """Ln(tokens) at LEVELS (2, n, levels) by the lengths of calls' groups, and of models."""
        return _apart((self._lengths_of(cases), self._models_of(cases)))

    def by_rest(self, cases: list[Case]) -> Floats:
        """What the networks' median leaves, at LEVELS, by group."""
        return log_quantiles(self._rests_of(cases), _LEVELS) - _EXPECTED

    def _lengths_of(self, cases: list[Case]) -> Floats:
        return self.lengths.distributions([self.lengths.find(case.groups) for case in cases])

    def _models_of(self, cases: list[Case]) -> Floats:
        find = self.models.find
        return self.models.distributions([find(case.groups[:_MODEL]) for case in cases])

    def _rests_of(self, cases: list[Case]) -> Floats:
        return self.rests.distributions([self.rests.find(_rest_chain(case)) for case in cases])

    def support(self, case: Case) -> Support:
        """What the finest group of a case that has any outcomes knows."""
        rows = self.lengths.find(case.groups)
        for level in range(len(rows), 0, -1):
            if row := rows[level - 1]:
                return Support(self.lengths.count(row), level, self.lengths.age(row))
        return Support(0, 0, 0)

    def reasoning_of(self, case: Case) -> list[float]:
        """Tokens of reasoning at LEVELS; none where none of the model's outcomes told."""
        if not self.reasoning.knows(case.model):
            return []
        return [exp(value) - 1.0 for value in self.reasoning.quantiles(case.groups)]

    def learn(self, case: Case, outcome: Outcome) -> None:
        """Take one outcome in, after those that wait."""
        self.settle()
        self.effects.tidy()
        seen = self.look(case)
        tokens = self.completed(case, outcome)
        self.absorb(case, outcome, seen, tokens)
        self._waiting.rows.append((case, outcome, seen, tokens))

    def let_go(self) -> Iterator[None]:
        """Forget all, step by step."""
        yield from self.effects.let_go()
        parts = vars(self)
        while parts:
            parts.popitem()
            yield

    def behind(self) -> bool:
        """Whether so many outcomes wait that they are to be learned before the next look."""
        return len(self._waiting.rows) >= batch(self.count)

    def settle(self) -> None:
        """Learn the outcomes that wait, if they are enough."""
        while self.behind():
            self.settle_part()

    def settle_part(self) -> None:
        """Do the next part of that, a third at most. Whoever looks next does the rest."""
        if self.behind():
            self._waiting.learn_part(self)

    def completed(self, case: Case, outcome: Outcome) -> float:
        """The whole length; of one that was cut off, what its groups make of it beyond the cut.

        That is a draw from their distribution, by a sequence that fills the unit interval
        evenly (the golden ratio's), so that the same history gives the same.
        """
        if not outcome.censored:
            return max(outcome.tokens, 1.0)
        tail = (self.tails or self.lengths).beyond(case.groups, outcome.tokens)
        place = np.array([self.count * _GOLDEN % 1.0])
        return max(exp(float(log_quantiles(tail[None], place)[0, 0])), outcome.tokens, 1.0)

    def absorb(self, case: Case, outcome: Outcome, seen: Sight, tokens: float) -> None:
        """Learn at once what can be: effects, sessions, pace."""
        length = log(tokens)
        rest = length - seen.centre
        self.count += 1
        if self.network is None and self.count <= _ROUGH:
            self.effects.general += (length - self.effects.general) / (self.count + 1.0)
        self.effects.add(case.factors, seen.told, rest)
        reasoning = log(1.0 + max(outcome.reasoning, 0.0))
        billed = log(1.0 + max(outcome.input, 0.0))
        self.sessions.add(case, log(max(outcome.tokens, 1.0)), rest, reasoning, billed)
        self.pace.add(case, rest)

    def calibrate(self, cases: list[Case], members: Floats, lengths: Floats) -> None:
        """Learn how well forecasts of ``lengths``, in ln(tokens), would have held."""
        mixed = self.mixed(cases, members)
        self.track(cases, mixed, lengths)
        self.follow(cases, mixed, lengths)

    def track(self, cases: list[Case], mixed: Floats, lengths: Floats) -> None:
        """Learn how many of ``lengths`` lay below each level of forecasts, moved with the drift."""
        final = np.array(list(map(self._moved, cases, mixed.tolist())))
        known = np.log([max(case.ceiling, 1.0) for case in cases])
        self.tracking.learn(lengths, final, known, [_tracked(case) for case in cases])
        recommended, confidence = recommend_of(np.exp(final[-1]).tolist())
        used = exp(float(lengths[-1])) / recommended
        self.trust.learn(confidence, came_true=LOWEST_USE <= used <= HIGHEST_USE)

    def follow(self, cases: list[Case], mixed: Floats, lengths: Floats) -> None:
        """Let the drift learn how far ``lengths`` lay from forecasts."""
        for case, distance in zip(cases, distances(mixed, lengths).tolist(), strict=True):
            self.drift.learn(case, distance)

    def count_lengths(self, cases: list[Case], outcomes: list[Outcome]) -> None:
        """Count lengths in their calls' groups, in order: a cut one is spread by those before."""
        counted = (self.lengths,) if self.tails is None else (self.lengths, self.tails)
        both = zip(cases, outcomes, strict=True)
        for censored, run in groupby(both, lambda pair: pair[1].censored):
            pairs = list(run)
            if not censored:
                chains = [case.groups for case, _ in pairs]
                lengths = [outcome.tokens for _, outcome in pairs]
                for groups in counted:
                    groups.add(chains, lengths)
                self.models.add([groups[:_MODEL] for groups in chains], lengths)
                continue
            for case, outcome in pairs:
                tail = counted[-1].beyond(case.groups, outcome.tokens)
                for groups in counted:
                    groups.add_spread(case.groups, tail)
                self.models.add_spread(case.groups[:_MODEL], tail)
        told = [
            (case.groups, min(outcome.reasoning, outcome.tokens) + 1.0)
            for case, outcome in zip(cases, outcomes, strict=True)
            if outcome.reasoning >= 0.0
        ]
        if told:
            self.reasoning.add(*zip(*told, strict=True))

    def count_rests(self, cases: list[Case], rests: Floats) -> None:
        """Count what the networks' median left in the calls' groups."""
        lengths = np.exp(np.minimum(np.maximum(rests, -6.0), 6.0) + _EXPECTED)
        self.rests.add([_rest_chain(case) for case in cases], lengths.tolist())


def _apart(distributions: tuple[Floats, ...]) -> Floats:
    """Ln(tokens) at LEVELS (parts, n, levels) of as many distributions (n, bins) in each part."""
    found = log_quantiles(np.concatenate(distributions), _LEVELS)
    return found.reshape(len(distributions), -1, len(LEVELS))


def recentred(networks: Floats, centres: Floats) -> Floats:
    """The effects' ln(tokens) (n), with the spread (n, levels) that networks tell."""
    return networks + (centres - networks[:, MEDIAN])[:, None]


def recommend_of(values: list[float]) -> tuple[int, float]:
    """The recommended budget of tokens at LEVELS, and its confidence."""
    low, high = [log(max(value, 1.0)) for value in values[_AROUND]]
    return recommend(LEVELS, values, exp(low + _BETWEEN * (high - low)))


def _tracked(case: Case) -> tuple[int, int]:
    """The groups whose forecasts are tracked: model and agent."""
    return case.factors[0], case.agent


def _rest_chain(case: Case) -> tuple[int, ...]:
    model, _, pair, _, template = case.factors[:5]
    return ALL, model, case.agent, pair, template
