"""Runs that go in circles: calls that repeat earlier ones more often than the agent's usually do.

Some agents repeat themselves all the time (a poll, an empty answer after each command), so what is
suspicious is learned: the hazard that a streak of repeats goes on, by its length so far.
"""

from __future__ import annotations

from typing import Final

from budget_proxy.predict import signals
from budget_proxy.predict.runs.base import RunStep

RATE: Final = 0.01
"""Share of usual runs that an alarm may be raised for."""

PERIODS: Final = (1, 2, 3)
"""A loop repeats the call before, or the one before that, or yet one more."""

_FEWEST: Final = 3
_ROUNDS: Final = 2
_DEPTH: Final = 32
_LONGEST: Final = 128
_NEAR, _NEAR_TOKENS = 0.15, 8.0
_LATELY, _USUAL = 0.05, 0.2
"""Weight of the newest run in the share that raise an alarm; from this share on it is usual."""

_OBSERVATION: Final = signals.IDENTITIES.index("observation")
_OPENING: Final = signals.IDENTITIES.index("opening")


def digest_of(encoded: bytes) -> int:
    """What a call's signals say it was about: its newest message, hashed; 0 if they do not."""
    found = signals.decode(encoded)
    if found is None:
        return 0
    return found.identities[_OBSERVATION] or found.identities[_OPENING]


Counts = dict[tuple[int, int], tuple[int, int]]
"""By place of the period and length of the streak: how often it might have gone on, and did."""


class Streaks:
    """How often streaks of repeats went on in runs of one agent, by period and length so far.

    Before anything is known, a streak goes on with probability 1/2.
    """

    __slots__ = ("_alarmed", "_chances", "_repeats")

    def __init__(self) -> None:
        self._chances = [[1.0] * _DEPTH for _ in PERIODS]
        self._repeats = [[0.5] * _DEPTH for _ in PERIODS]
        self._alarmed = 0.0

    def learn(self, counts: Counts, *, alarmed: bool) -> None:
        """Learn from a run that is over.

        One that raised an alarm tells nothing of what is usual, unless so many do that it must be.
        """
        self._alarmed += _LATELY * (alarmed - self._alarmed)
        if alarmed and self._alarmed < _USUAL:
            return
        for (at, streak), (chances, repeats) in counts.items():
            self._chances[at][streak] += chances
            self._repeats[at][streak] += repeats

    def limits(self, turns: float) -> tuple[int, ...]:
        """For each period the streak that is suspicious in a run of so many turns.

        The expected number of such streaks in a run bounds the probability of any; it is at most
        RATE over all periods.
        """
        return tuple(self._limit(at, max(turns, 1.0)) for at in range(len(PERIODS)))

    def _limit(self, at: int, turns: float) -> int:
        chances, repeats = self._chances[at], self._repeats[at]
        fewest = max(_FEWEST, _ROUNDS * PERIODS[at])
        expected = turns
        for streak in range(_LONGEST):
            if streak >= fewest and expected <= RATE / len(PERIODS):
                return streak
            place = min(streak, _DEPTH - 1)
            expected *= repeats[place] / chances[place]
        return _LONGEST


class Circling:
    """What one run has repeated so far; ``counts`` are what it tells of its agent."""

    __slots__ = ("_last", "_streaks", "counts")

    def __init__(self) -> None:
        self._last: list[tuple[int, int, int]] = []
        self._streaks = [0] * len(PERIODS)
        self.counts: Counts = {}

    def add(self, step: RunStep) -> list[int]:
        """Count a call in; the streaks of repeats by period."""
        new = step.digest, step.output_tokens, step.input_tokens
        last = self._last
        for at, period in enumerate(PERIODS):
            if len(last) <= period:
                break
            again = _alike(new, last[0], last[period - 1], last[period])
            streak = self._streaks[at]
            place = at, min(streak, _DEPTH - 1)
            chances, repeats = self.counts.get(place, (0, 0))
            self.counts[place] = chances + 1, repeats + again
            self._streaks[at] = streak + 1 if again else 0
        self._last = [new, *last[: PERIODS[-1]]]
        return self._streaks


def _alike(
    new: tuple[int, int, int],
    before: tuple[int, int, int],
    old: tuple[int, int, int],
    older: tuple[int, int, int],
) -> bool:
    """Whether a call is like an older one: what it is about, its output, what input it added."""
    digests = new[0], old[0]
    if all(digests) and digests[0] != digests[1]:
        return False
    return _near(new[1], old[1]) and _near(new[2] - before[2], old[2] - older[2])


def _near(one: int, other: int) -> bool:
    return abs(one - other) <= max(_NEAR * max(abs(one), abs(other)), _NEAR_TOKENS)
