"""Timing cases by turns, so that what disturbs the machine disturbs them alike.

A case makes many calls a round; every figure is microseconds a call, the mean of a round.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Run = Callable[[int], Any]
"""Makes that many calls."""


@dataclass(frozen=True)
class Case:
    """Something to time: how calls are made, how many make a round, and what one may cost.

    ``clock`` counts the seconds that matter: by default those of CPU in the calling thread.
    """

    name: str
    run: Run
    calls: int
    limit: float | None = None
    clock: Callable[[], float] = time.thread_time

    def round(self) -> float:
        """The mean of one round."""
        begun = self.clock()
        self.run(self.calls)
        return (self.clock() - begun) / self.calls * 1e6


@dataclass(frozen=True)
class Figure:
    """One line of a result: the median and the best of the rounds' means."""

    name: str
    median: float
    best: float
    limit: float | None = None

    @property
    def within(self) -> bool:
        """Whether it is within its limit, if it has one."""
        return self.limit is None or self.median <= self.limit


def repeated(call: Callable[[], Any]) -> Run:
    """How one call is made many times."""

    def run(calls: int) -> None:
        for _ in range(calls):
            call()

    return run


def by_turns(cases: Sequence[Case], rounds: int) -> list[list[float]]:
    """The rounds' means of each case; a first round warms up and does not count."""
    means = [[case.round() for case in cases] for _ in range(rounds + 1)]
    return [list(its) for its in zip(*means[1:], strict=True)]


def measure(cases: Sequence[Case], rounds: int) -> list[Figure]:
    """Time the cases by turns, and sum them up."""
    return [
        Figure(case.name, statistics.median(its), min(its), case.limit)
        for case, its in zip(cases, by_turns(cases, rounds), strict=True)
    ]
