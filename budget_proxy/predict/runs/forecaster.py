"""The forecaster of runs: learns settled calls one by one, and says what a run will come to.

State = fold(calls): the same calls in the same order give the same forecasts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import isnan
from typing import Final, TypeVar

import numpy as np

from budget_proxy.predict.runs.base import (
    LEVELS,
    Quantiles,
    RunAlarm,
    RunForecast,
    RunStep,
    RunTokens,
    Used,
)
from budget_proxy.predict.runs.calibration import STAGES, StageTracking, stage_of
from budget_proxy.predict.runs.gaps import MOST_SILENCE, Gaps
from budget_proxy.predict.runs.groups import Chain, chain_of
from budget_proxy.predict.runs.hazard import Watch
from budget_proxy.predict.runs.loops import Streaks
from budget_proxy.predict.runs.peers import STRENGTH, Peers, Sample, SoFar
from budget_proxy.predict.runs.runaway import Usual, usual
from budget_proxy.predict.runs.survival import Floats, log_quantiles
from budget_proxy.predict.runs.trajectories import COST, OUTPUT, TOKENS

MOST_RUNS: Final = 4096
MOST_GROUPS: Final = 4096
MOST_AGENTS: Final = 512

_LEAST_COST: Final = 1e-9
_SWEPT: Final = 2
"""Runs fallen silent that are seen to at a call: more than can begin with one."""

_CONVINCED: Final = 256
"""Calls in a row that are all an hour behind the newest: its clock was wrong, not theirs."""

_LEVELS: Final = np.array(LEVELS)
_NOTHING: Final = SoFar()
_T = TypeVar("_T")


class _Agent:
    """What is usual for one agent, whatever the run."""

    __slots__ = ("gaps", "streaks")

    def __init__(self) -> None:
        self.gaps = Gaps()
        self.streaks = Streaks()


class _Run:
    """One run so far, and the forecasts made of it as each stage began."""

    __slots__ = ("agent", "chain", "forecasts", "last", "number", "so_far", "watch")

    def __init__(self, agent: _Agent, chain: Chain, number: int, watch: Watch) -> None:
        self.agent = agent
        self.chain = chain
        self.number = number
        self.watch = watch
        self.so_far = SoFar()
        self.last = 0.0
        self.forecasts: list[tuple[int, Floats]] = []


class RunForecaster:
    """Forecasts runs from the runs before them: no I/O, no clock, and bounded memory.

    A run is over after a silence that is learned by agent (1 to 60 minutes), or when ``end`` says
    so; one that makes another call goes on. What is remembered: the newest ``most_runs`` runs, of
    each of the groups used last the newest 256.
    """

    __slots__ = (
        "_active",
        "_agents",
        "_behind",
        "_most",
        "_now",
        "_peers",
        "_runs",
        "_told",
        "_tracking",
    )

    def __init__(self, most_runs: int = MOST_RUNS, most_groups: int = MOST_GROUPS) -> None:
        self._most = most_runs
        self._peers = Peers(most_runs, most_groups)
        self._agents: OrderedDict[str, _Agent] = OrderedDict()
        self._runs: OrderedDict[str, _Run] = OrderedDict()  # by their last call, oldest first
        self._active: OrderedDict[str, _Run] = OrderedDict()  # those not over, likewise
        self._tracking = StageTracking()
        self._told: tuple[tuple[str, Chain], RunTokens] | None = None  # until a call is learned
        self._now = 0.0
        self._behind = 0

    def learn_one(self, step: RunStep) -> tuple[RunAlarm, ...]:
        """Take in one settled call, and say what is odd about its run since it.

        Raises ValueError if it has fewer than 0 tokens.
        """
        if step.input_tokens < 0 or step.output_tokens < 0:
            raise ValueError(
                f"a call has 0 tokens or more, not {step.input_tokens} in, {step.output_tokens} out"
            )
        self._told = None
        self._tick(step.ts)
        self._sweep()
        run = self._runs.get(step.run)
        if run is None:
            run = self._begin(step)
        else:
            run.agent.gaps.add(self._now - run.last)
            self._runs.move_to_end(step.run)
            if run.so_far.turns in STAGES:
                self._expect(run, self._quantiles(self._sample(run.chain, run), run.so_far))
        self._active[step.run] = run
        self._active.move_to_end(step.run)
        self._peers.add(run.number, step, self._now)
        run.so_far.add(step)
        run.last = self._now
        return run.watch.add(step, run.so_far)

    def predict_one(
        self, agent: str, run: str, *, model: str = "", task: str | None = None
    ) -> RunForecast:
        """What a run comes to in all, if it makes another call.

        Of a run that has made calls, ``agent``, ``model`` and ``task`` are those of its first. The
        time is that of the newest call learned, unless 256 in a row say that it is wrong.
        """
        known = self._runs.get(run)
        chain = chain_of(agent, model, task) if known is None else known.chain
        sample = self._sample(chain, known, (TOKENS, OUTPUT, COST))
        so_far = _NOTHING if known is None else known.so_far
        values = np.exp(self._quantiles(sample, so_far))
        tokens = np.maximum(values[0], so_far.tokens)
        output = np.minimum(np.maximum(values[1], so_far.output), tokens)
        turns = np.maximum(values[2], so_far.turns + 1.0)
        return RunForecast(
            tokens=_as_quantiles(tokens),
            output_tokens=_as_quantiles(output),
            turns=_as_quantiles(turns),
            cost=_cost(sample, so_far.cost),
            used=_used(so_far),
            support=round(sample.ended),
            source=sample.source,
            reasons=tuple(_reasons(sample, so_far)),
        )

    def tokens_one(
        self, agent: str, run: str, *, model: str = "", task: str | None = None
    ) -> RunTokens:
        """A part of what ``predict_one`` says, at two thirds of its cost; again, at none."""
        known = self._runs.get(run)
        chain = chain_of(agent, model, task) if known is None else known.chain
        if self._told is not None and self._told[0] == (run, chain):
            return self._told[1]
        sample = self._sample(chain, known, (TOKENS,))
        so_far = _NOTHING if known is None else known.so_far
        (values,) = np.exp(self._calibrated([sample.used[TOKENS]], sample, so_far))
        tokens = _as_quantiles(np.maximum(values, so_far.tokens))
        found = RunTokens(tokens, round(sample.ended), sample.source)
        self._told = (run, chain), found
        return found

    def end(self, run: str) -> None:
        """A run is over. One that is not known is nothing to learn from."""
        self._told = None
        known = self._active.pop(run, None)
        if known is not None:
            self._settle(known)

    def is_open(self, run: str, now: float) -> bool:
        """Whether a run is likely to go on, by how long it has been silent at ``now``."""
        known = self._active.get(run)
        return known is not None and now - known.last <= known.agent.gaps.silence

    def _begin(self, step: RunStep) -> _Run:
        chain = chain_of(step.agent, step.model, step.task)
        agent = _newest(self._agents, step.agent, MOST_AGENTS) or _Agent()
        self._agents[step.agent] = agent
        sample = self._peers.sample(chain, -1, _NOTHING, agent.gaps, self._now)
        expected = self._quantiles(sample, _NOTHING)
        watch = Watch(_usual(sample), agent.streaks)
        run = self._runs[step.run] = _Run(agent, chain, self._peers.begin(chain), watch)
        run.last = self._now
        self._expect(run, expected)
        while len(self._runs) > self._most:
            self.end(self._runs.popitem(last=False)[0])
        return run

    def _expect(self, run: _Run, quantiles: Floats) -> None:
        """Remember what is forecast as a stage begins, to learn from it once the run is over."""
        run.forecasts.append((stage_of(run.so_far.turns), quantiles))

    def _tick(self, ts: float) -> None:
        """Take the time from a call: forward at once, back only where so many in a row say so.

        Some calls are learned late; but a clock that was wrong once must not stop time until then.
        """
        if ts >= self._now - MOST_SILENCE:
            self._now, self._behind = max(self._now, ts), 0
            return
        self._behind += 1
        if self._behind == _CONVINCED:
            self._now, self._behind = ts, 0
            self._peers.put_back(ts)
            for run in self._runs.values():
                run.last = min(run.last, ts)

    def _sweep(self) -> None:
        """See to runs that have been silent for long, the longest silent first."""
        for _ in range(_SWEPT):
            if not self._active:
                return
            name, run = next(iter(self._active.items()))
            if self._now - run.last <= run.agent.gaps.silence:
                return
            self.end(name)

    def _settle(self, run: _Run) -> None:
        """A run is over: learn from what was forecast of it."""
        self._peers.end(run.number)
        run.watch.end()
        so_far = run.so_far
        came = np.log(np.maximum((so_far.tokens, so_far.output, so_far.turns), 1))
        for stage, forecast in run.forecasts:
            self._tracking.learn(stage, forecast, came)
        run.forecasts.clear()

    def _sample(
        self, chain: Chain, run: _Run | None, measures: Sequence[int] = (TOKENS, OUTPUT)
    ) -> Sample:
        if run is not None:
            number, gaps, so_far = run.number, run.agent.gaps, run.so_far
        else:
            agent = self._agents.get(chain[1][0])
            number, gaps, so_far = -1, Gaps() if agent is None else agent.gaps, _NOTHING
        return self._peers.sample(chain, number, so_far, gaps, self._now, measures)

    def _quantiles(self, sample: Sample, so_far: SoFar) -> Floats:
        """Ln of the calibrated quantiles: (MEASURES, levels)."""
        values = [sample.used[TOKENS], sample.used[OUTPUT], sample.turns]
        return self._calibrated(values, sample, so_far)

    def _calibrated(self, values: Sequence[Floats], sample: Sample, so_far: SoFar) -> Floats:
        """The same of the first measures alone, from their values."""
        raw = [log_quantiles(np.maximum(each, 1.0), sample.weights, _LEVELS) for each in values]
        return self._tracking.apply(stage_of(so_far.turns), np.array(raw))


def _usual(sample: Sample) -> Usual:
    return usual(sample.turns, sample.used[TOKENS], sample.weights, sample.ended)


def _cost(sample: Sample, so_far: float) -> Quantiles | None:
    """Dollars in all, from the runs that tell; ``None`` where none does, or not all was priced."""
    costs = sample.used[COST]
    known = np.isfinite(costs)
    weights = sample.weights[known]
    if isnan(so_far) or not weights.sum() > 0.0:
        return None
    cost = np.maximum(costs[known], _LEAST_COST)
    return _as_quantiles(np.maximum(np.exp(log_quantiles(cost, weights, _LEVELS)), so_far))


def _as_quantiles(values: Floats) -> Quantiles:
    return Quantiles(tuple(values.tolist()))


def _used(so_far: SoFar) -> Used:
    cost = None if isnan(so_far.cost) else so_far.cost
    return Used(so_far.turns, so_far.tokens, so_far.output, cost)


def _reasons(sample: Sample, so_far: SoFar) -> list[str]:
    if so_far.turns:
        found = [f"{so_far.turns} calls so far, {so_far.tokens:,} tokens"]
        further = f" that made more than {so_far.turns} calls"
    else:
        found, further = [], ""
    if sample.source == "prior":
        return [*found, f"no run is known{further}: a broad prior"]
    found.append(f"{sample.ended:.0f} ended runs by {sample.source}{further}")
    if round(sample.opened):
        found.append(f"{sample.opened:.0f} still open, counted as lower bounds")
    if sample.wider:
        found.append(f"{sample.wider} runs of wider groups, which count as {STRENGTH:.0f} a group")
    return found


def _newest(kept: OrderedDict[str, _T], name: str, most: int) -> _T | None:
    """One of the kept, now the newest; room is made for it if it is none of them."""
    found = kept.get(name)
    if found is not None:
        kept.move_to_end(name)
    elif len(kept) >= most:
        kept.popitem(last=False)
    return found
