"""Watching one run: whether it gets further than runs of its agent usually do, or in circles.

Both limits are drawn when the run begins, from the runs before it, and stand while it goes on: so
the share of usual runs that alarms are raised for is bounded whatever number of times is looked.
"""

from __future__ import annotations

from collections.abc import Iterator

from budget_proxy.predict.runs import loops, runaway
from budget_proxy.predict.runs.base import AlarmKind, RunAlarm, RunStep
from budget_proxy.predict.runs.loops import PERIODS, Circling, Streaks
from budget_proxy.predict.runs.peers import SoFar
from budget_proxy.predict.runs.runaway import Usual


class Watch:
    """The watch over one run; at most one alarm of a kind."""

    __slots__ = ("_circling", "_limits", "_raised", "_streaks", "_usual")

    def __init__(self, usual: Usual, streaks: Streaks) -> None:
        self._usual = usual
        self._streaks = streaks
        self._limits = streaks.limits(usual.turns)
        self._circling = Circling()
        self._raised: set[AlarmKind] = set()

    def add(self, step: RunStep, so_far: SoFar) -> tuple[RunAlarm, ...]:
        """The alarms that a call raises; ``so_far`` counts it in."""
        found = tuple(self._first(self._all(step, so_far, self._circling.add(step))))
        self._raised.update(alarm.kind for alarm in found)
        return found

    def end(self) -> None:
        """The run is over, unless it goes on: what is usual for its agent learns from it."""
        self._streaks.learn(self._circling.counts, alarmed="loop" in self._raised)
        self._circling.counts = {}

    def _first(self, alarms: Iterator[RunAlarm]) -> Iterator[RunAlarm]:
        seen = set(self._raised)
        for alarm in alarms:
            if alarm.kind not in seen:
                seen.add(alarm.kind)
                yield alarm

    def _all(self, step: RunStep, so_far: SoFar, streaks: list[int]) -> Iterator[RunAlarm]:
        usual = self._usual
        passed = (
            ("turns", so_far.turns, usual.most_turns),
            ("tokens", so_far.tokens, usual.most_tokens),
        )
        for measure, value, limit in passed:
            if value > limit:
                reason = (
                    f"{value:,} {measure} so far; {usual.runs:.0f} earlier runs say that at most "
                    f"{runaway.RATE / 2:.1%} of usual ones pass {limit:,.0f}"
                )
                yield _alarm("runaway", step, so_far, measure, value, int(limit), reason)
        for period, streak, most in zip(PERIODS, streaks, self._limits, strict=True):
            if streak >= most:
                what = "the one before" if period == 1 else f"the one {period} before"
                reason = (
                    f"{streak} calls in a row each repeat {what}; fewer than {loops.RATE:.0%} of "
                    f"usual runs have {most}"
                )
                yield _alarm("loop", step, so_far, f"period {period}", streak, most, reason)


def _alarm(
    kind: AlarmKind, step: RunStep, so_far: SoFar, measure: str, value: int, limit: int, reason: str
) -> RunAlarm:
    return RunAlarm(kind, step.run, step.agent, so_far.turns, measure, value, limit, reason)
