"""One part of the calls under watch: what is usual there, and sequential tests against it.

Every test is a CUSUM (Page 1954): a sum of log-likelihood ratios, "things have changed" against
"things are as usual", that never falls below 0 and alarms at its bound. While nothing changes,
a bound of h alarms no more than once in exp(h) calls. What is usual is learned while the test is
calm, so that a change does not become usual before it is found.
"""

from __future__ import annotations

from enum import IntEnum
from math import log, sqrt
from typing import Any, Final, Self

from budget_proxy.analytics.causes import CHANGES, TRUNCATION
from budget_proxy.analytics.late import MARGIN, MOST_COST, Late, late_of
from budget_proxy.analytics.scopes import Scope
from budget_proxy.analytics.signs import Signs


class Probe(IntEnum):
    """What is tested, by its place in a subject's lists."""

    LONGER = 0
    SHORTER = 1
    LEVEL_UP = 2
    LEVEL_DOWN = 3
    DEARER = 4
    CUT = 5
    ABOVE_50 = 6
    BELOW_50 = 7
    ABOVE_90 = 8
    BELOW_90 = 9
    ABOVE_95 = 10
    MISFIT = 11
    ESTIMATED = 12
    SPIKE = 13
    INEFFICIENT = 14


PROBES: Final = tuple(Probe)
BOUNDS: Final = (
    15.0, 15.0, 12.0, 12.0, 16.0, 12.0, 16.0, 16.0, 16.0, 16.0, 16.0, 12.0, 12.0, 30.0, 10.0,
)  # fmt: skip
"""Where each alarms: docs/analytics.md says how they were chosen."""

WARM_UP: Final = 30
"""Calls of a subject that are only learned from."""

LEAST_MEASURED: Final = 50
"""Measured calls before the use of budgets is judged."""

_STEP: Final = 0.7  # the change that is looked for, in standard deviations
_DRIFT: Final = 0.5 * _STEP * _STEP
_LEVEL_STEP: Final = 0.5  # lengths scatter more around their mean than around forecasts
_LEVEL_DRIFT: Final = 0.5 * _LEVEL_STEP * _LEVEL_STEP
_CLIP: Final = 2.5
_CALM: Final = 1.0 / 3.0
_CALM_SURPRISE: Final = _CALM * BOUNDS[Probe.LONGER]
_CALM_LEVEL: Final = 1.5  # forecasts follow soon, and what is usual must not
_HALF: Final = 0.7978845608028654  # the mean of a standard normal's upper half
_FADING: Final = 0.995
_WIDE: Final = 1.5
_RECENT: Final = 0.1  # the weight of a call among the newest ten or so
_LEVEL_FADING: Final = 0.998
_NARROWEST: Final = 0.01  # a variance of ln(tokens) that is taken for nothing less
_LEVEL_LEAST: Final = 20.0
_PRIOR: Final = 50.0
_PRICE_LEAST: Final = 0.3  # the smallest rise of a price that matters, in ln
_SPIKE: Final = 2.0
_RARELY_CUT: Final = 0.01
_CUT_PRIOR: Final = 100.0
_CUT_RISE: Final = 0.05
_CUT_CALM: Final = 1.8  # less than a single cut answer adds: a change would become usual else
_FIT_FALLS: Final = 0.4
_EVIDENCE: Final = 13.0
_MOST_OF_LEVEL: Final = 9.0
_SOON: Final = 80.0  # calls after a level changed in which surprise belongs to it

Steps = list[float | None]


def _bit(usual: float, changed: float) -> tuple[float, float]:
    """The log-likelihood ratios of no and of yes."""
    return log((1.0 - changed) / (1.0 - usual)), log(changed / usual)


_ABOVE_50: Final = _bit(0.50, 0.68)
_BELOW_50: Final = _bit(0.50, 0.32)
_ABOVE_90: Final = _bit(0.10, 0.22)
_BELOW_90: Final = _bit(0.10, 0.02)
_ABOVE_95: Final = _bit(0.05, 0.14)
_ESTIMATED: Final = _bit(0.05, 0.25)


class Subject:
    """The calls of one scope. In a ``group``, the finest, the use of budgets is tested too."""

    __slots__ = (
        "calls", "cost", "cut", "firsts", "group", "last", "late", "lengths", "level", "peaks",
        "price", "recent", "scope", "shifts", "since", "sums",
    )  # fmt: skip

    def __init__(self, scope: Scope, *, group: bool) -> None:
        self.scope = scope
        self.group = group
        self.calls = 0
        self.last = 0
        self.sums = [0.0] * len(PROBES)
        self.since = [0.0] * len(PROBES)
        self.firsts = [0] * len(PROBES)
        self.peaks = [0.0, 0.0]
        self.recent = [0.0, 1.0]
        self.shifts = [0.0, 0.0, 0.0, 0.0]
        self.lengths = [_PRIOR, _PRIOR * _HALF, _PRIOR, _PRIOR * _HALF]
        self.level = [0.0, 0.0, 0.0]
        self.price = [_PRIOR, 0.0]
        self.cut = [_CUT_PRIOR, _RARELY_CUT * _CUT_PRIOR]
        self.cost = [0.0, 0.0]
        self.late = Late()

    def deviation(self, length: float) -> float | None:
        """How far ln(tokens) lies from its usual mean here, in standard deviations."""
        weight, total, squares = self.level
        if weight < _LEVEL_LEAST:
            return None
        mean = total / weight
        spread = sqrt(max(squares / weight - mean * mean, _NARROWEST))
        return min(max((length - mean) / spread, -_CLIP), _CLIP)

    def usual_length(self) -> float | None:
        """The usual mean of ln(tokens)."""
        return self.level[1] / self.level[0] if self.level[0] >= _LEVEL_LEAST else None

    def learn(
        self, call: Signs, *, young: bool, known: frozenset[str]
    ) -> tuple[Steps, list[Probe]]:
        """Take in a call: what it adds to each test, and which tests alarm.

        ``young`` forecasts, of a history's first calls, are not tested. ``known`` are the causes
        of open alerts: what is usual follows a change that is known, and does not become what is
        to be over again.
        """
        steps = self.weigh(call)
        self._settle(call, known)
        self.calls += 1
        self.last = call.row
        tested = steps
        if self.calls <= WARM_UP:
            tested = [None] * len(PROBES)
            for test in (Probe.MISFIT, Probe.INEFFICIENT):
                tested[test] = steps[test]
        elif young:
            tested = list(steps)
            _forget_forecasts(tested)
        return steps, self._alarms(call, tested)

    def weigh(self, call: Signs) -> Steps:
        """What a call adds to each test; ``None`` where it tells nothing."""
        steps: Steps = [None] * len(PROBES)
        if call.length is not None:
            self._weigh_length(call, steps)
        if call.price is not None:
            spread = max(1.25 * self.price[1] / self.price[0], _PRICE_LEAST)
            steps[Probe.DEARER] = _STEP * min(max(call.price / spread, -_CLIP), _CLIP) - _DRIFT
        if call.cut is not None:
            share = max(self.cut[1] / self.cut[0], _RARELY_CUT)
            changed = min(_CUT_RISE + 2.0 * share, 0.5 + 0.5 * share)
            steps[Probe.CUT] = _bit(share, changed)[call.cut]
        if call.estimated is not None:
            steps[Probe.ESTIMATED] = _ESTIMATED[call.estimated]
        if self.group:
            if call.use is not None:
                usual = min(max(call.use.promised - MARGIN, 0.02), 0.98)
                steps[Probe.MISFIT] = _bit(usual, _FIT_FALLS * usual)[call.use.fits]
                steps[Probe.INEFFICIENT] = self.late.drop(call.use)
            weight, total = self.cost
            if call.cost is not None and weight > 0.5 * WARM_UP and total > 0:
                steps[Probe.SPIKE] = min(call.cost * weight / total, MOST_COST) - _SPIKE
        return steps

    def reset(self, *tests: Probe) -> None:
        """Begin tests anew."""
        for test in tests:
            self.sums[test] = 0.0

    def follow(self) -> None:
        """Let the usual length be soon what it is now."""
        weight = self.level[0]
        if weight > _LEVEL_LEAST:
            self.level = [value * _LEVEL_LEAST / weight for value in self.level]

    def calm(self, *tests: Probe) -> bool:
        """Whether these tests see nothing."""
        return all(self.sums[test] < _CALM * BOUNDS[test] for test in tests)

    def dump(self) -> list[Any]:
        """All of it but its scope, as JSON."""
        return [
            self.calls, self.last, self.sums, self.since, self.firsts, self.peaks, self.recent,
            self.shifts, self.lengths, self.level, self.price, self.cut, self.cost,
            self.late.numbers,
        ]  # fmt: skip

    @classmethod
    def load(cls, scope: Scope, values: list[Any], *, group: bool) -> Self:
        """Take up what ``dump`` gave, here or in a version that tested less."""
        subject = cls(scope, group=group)
        (
            subject.calls, subject.last, subject.sums, subject.since, subject.firsts,
            subject.peaks, subject.recent, subject.shifts, subject.lengths, subject.level,
            subject.price, subject.cut, subject.cost, late,
        ) = values  # fmt: skip
        lacking = len(PROBES) - len(subject.sums)
        for numbers in (subject.sums, subject.since, subject.firsts):
            numbers.extend([0] * lacking)
        subject.late = late_of(late)
        return subject

    def _weigh_length(self, call: Signs, steps: Steps) -> None:
        length = call.length or 0.0
        place = 0 if length < 0 else 2
        usual = self.lengths
        clipped = min(max(length * _HALF * usual[place] / usual[place + 1], -_CLIP), _CLIP)
        mean, square = self.recent
        wide = square - mean * mean
        if wide > _WIDE:  # lengths that scatter more are no longer and no shorter
            clipped /= sqrt(wide / _WIDE)
        steps[Probe.LONGER] = _STEP * clipped - _DRIFT
        steps[Probe.SHORTER] = -_STEP * clipped - _DRIFT
        if call.level is not None:
            steps[Probe.LEVEL_UP] = _LEVEL_STEP * call.level - _LEVEL_DRIFT
            steps[Probe.LEVEL_DOWN] = -_LEVEL_STEP * call.level - _LEVEL_DRIFT
        if call.above_50 is not None:
            steps[Probe.ABOVE_50] = _ABOVE_50[call.above_50]
            steps[Probe.BELOW_50] = _BELOW_50[call.above_50]
        if call.above_90 is not None:
            steps[Probe.ABOVE_90] = _ABOVE_90[call.above_90]
            steps[Probe.BELOW_90] = _BELOW_90[call.above_90]
        if call.above_95 is not None:
            steps[Probe.ABOVE_95] = _ABOVE_95[call.above_95]

    def _settle(self, call: Signs, known: frozenset[str]) -> None:
        """Learn what is usual, where the tests are calm or the change is known."""
        sums, settled = self.sums, bool(known & CHANGES)
        if call.length is not None:
            clipped = min(max(call.length, -_CLIP), _CLIP)
            self.recent[0] += _RECENT * (clipped - self.recent[0])
            self.recent[1] += _RECENT * (clipped * clipped - self.recent[1])
            if settled or (sums[0] < _CALM_SURPRISE and sums[1] < _CALM_SURPRISE):
                place, usual = 0 if call.length < 0 else 2, self.lengths
                usual[place] = _FADING * usual[place] + 1.0
                usual[place + 1] = _FADING * usual[place + 1] + min(abs(call.length), _CLIP)
            if settled or (sums[2] < _CALM_LEVEL and sums[3] < _CALM_LEVEL):
                tokens, usual = call.tokens, self.level
                usual[0] = _LEVEL_FADING * usual[0] + 1.0
                usual[1] = _LEVEL_FADING * usual[1] + tokens
                usual[2] = _LEVEL_FADING * usual[2] + tokens * tokens
        if call.price is not None and (settled or self.calm(Probe.DEARER)):
            _fade(self.price, min(abs(call.price), 1.0))
        if call.cut is not None and sums[Probe.CUT] < _CUT_CALM and TRUNCATION not in known:
            _fade(self.cut, float(call.cut))
        if self.group:
            if call.use is not None:
                self.late.learn(call.use)
            if call.cost is not None and (settled or self.calm(Probe.SPIKE)):
                _fade(self.cost, call.cost)

    def _alarms(self, call: Signs, steps: Steps) -> list[Probe]:
        alarms: list[Probe] = []
        sums = self.sums
        for test, step in enumerate(steps):
            if step is None:
                continue
            was = sums[test]
            now = was + step
            if now <= 0.0:
                if was:
                    sums[test] = 0.0
                continue
            if not was:
                self._begin(test, call)
            if now >= BOUNDS[test]:
                now = BOUNDS[test]
                alarms.append(PROBES[test])
            sums[test] = now
        for place in (0, 1):  # the surprise that came with a changed level, and how far it is
            if self.shifts[2 * place] <= _SOON:
                self.peaks[place] = max(self.peaks[place], sums[place])
            if call.level is not None:
                self.shifts[2 * place] += 1.0
                self.shifts[2 * place + 1] += call.level
        return [test for test in alarms if self._is_certain(test)] if alarms else alarms

    def _begin(self, test: int, call: Signs) -> None:
        self.since[test] = call.ts
        self.firsts[test] = call.row
        if test in {Probe.LEVEL_UP, Probe.LEVEL_DOWN}:
            place = test - Probe.LEVEL_UP
            self.peaks[place] = self.sums[place]
            self.shifts[2 * place : 2 * place + 2] = (0.0, 0.0)

    def _evidence(self, place: int) -> float:
        """How much speaks for a level that changed, in ln of the likelihood.

        It is half the square of its distance from the usual, in standard errors (the usual is an
        estimate too), and the surprise that came with it: of what forecasts knew there is none.
        """
        count, total = self.shifts[2 * place : 2 * place + 2]
        square = total * total / (count * count) / (1.0 / count + 1.0 / max(self.level[0], 1.0))
        return min(0.5 * square, _MOST_OF_LEVEL) + self.peaks[place]

    def _is_certain(self, test: Probe) -> bool:
        """Whether more than a test's sum speaks for it, where more is asked for.

        Lengths that differ from usual ones may be another mix of tasks; accuracy and efficiency of
        budgets must lie below what is told of for certain.
        """
        if test in {Probe.LEVEL_UP, Probe.LEVEL_DOWN}:
            return self._evidence(test - Probe.LEVEL_UP) >= _EVIDENCE
        if test is Probe.MISFIT:
            late = self.late.figures()
            return self._is_used() and late["accuracy_at_most"] < late["attainable"] - MARGIN
        if test is Probe.INEFFICIENT:
            return self._is_used() and self.late.is_low("efficiency_at_most")
        return True

    def _is_used(self) -> bool:
        return self.late.measured >= LEAST_MEASURED


def _fade(usual: list[float], number: float) -> None:
    """Add to a count and a sum in which the older count less."""
    usual[0] = _FADING * usual[0] + 1.0
    usual[1] = _FADING * usual[1] + number


def _forget_forecasts(steps: Steps) -> None:
    for test in (*PROBES[: Probe.DEARER], *PROBES[Probe.ABOVE_50 : Probe.MISFIT]):
        steps[test] = None
