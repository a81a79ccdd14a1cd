"""Runs under way: their forecasts, budgets, alarms, and what is told of them. No I/O, no clock.

The forecaster is a fold over the history's rows (``learn``); accounts are read from the history as
a run is met, and kept up with rows from then on. Nothing here is thread-safe: the engine's lock
guards it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from budget_proxy.ledger.claims import Charge, charge_of
from budget_proxy.ledger.limits import NANO, runs_of
from budget_proxy.ledger.refusal import Halted
from budget_proxy.ledger.runs import RunAccount, RunBudget, RunLookup, alarms_of, use_of
from budget_proxy.policy.base import Policy
from budget_proxy.policy.noting import Share, next_note
from budget_proxy.predict.runs import ALARMS, RunForecast, RunForecaster, RunStep, RunTokens
from budget_proxy.predict.runs.loops import digest_of
from budget_proxy.run_types import Note, RunOutlook
from budget_proxy.store.base import Journal
from budget_proxy.types import Call, CallRecord, Patch, Session

FEWEST: Final = 8
"""Ended runs that a soft budget drawn from history rests on at least."""

FRESH: Final = 2.0
"""Seconds after which an account is read again: others may have extended it."""

SHARED: Final = 3600.0
"""Seconds after another instance's row for which it may still serve sessions of ours."""

_HELD: Final = 4096
_UNITS: Final = ("tokens", "usd")


class _Held:
    """An account in memory, when it was read, and whether the history knows it so.

    One that is not ``known`` could not be read: it has what was seen of it since.
    """

    __slots__ = ("account", "known", "read")

    def __init__(self, account: RunAccount, read: float, *, known: bool) -> None:
        self.account = account
        self.known = known
        self.read = read


class Running:
    """What is known of runs, for the calls that name one."""

    def __init__(self, policy: Policy, journal: Journal, charge: Charge, instance: str) -> None:
        self._policy = policy
        self._journal = journal
        self._charge = charge
        self._instance = instance
        self._forecaster = RunForecaster()
        self._accounts: OrderedDict[str, _Held] = OrderedDict()
        self._foreign = float("-inf")
        self._unsaid: OrderedDict[str, str] = OrderedDict()  # alarms that no row tells of yet

    def begin_process(self) -> None:
        """Forget accounts in a forked child: rows that its parent counted come to it as well."""
        self._accounts.clear()

    # -- before a call ----------------------------------------------------------------------

    def ask(self, call: Call) -> RunLookup | None:
        """The accounts to be read for a call, if any: its run's, and those above it."""
        runs = runs_of(call.scope.run)
        if all(self._is_fresh(run, call.now) for run in runs):
            return None
        held = [self._accounts.get(run) for run in runs]
        return RunLookup(runs, use=any(one is None or not one.known for one in held))

    def hold(self, found: Sequence[RunAccount], now: float) -> None:
        """Keep accounts that were read. Of a known run the use is known better here.

        A budget of ours that the history has not got is given to it again.
        """
        for account in found:
            held = self._accounts.get(account.run)
            ours = None if held is None else held.account.budget
            if account.budget is None and ours is not None:
                self._journal.put_run(ours)
            self._put(account if held is None else _newer(account, held), now)

    def begin(
        self, call: Call, default: str
    ) -> Generator[RunLookup, Sequence[RunAccount] | Any, Halted | None]:
        """Take up a call: its run's budget is set if this is its first; why it may not go on.

        ``default`` is the agent of calls that name none.
        """
        run, agent = call.scope.run, call.scope.agent or default
        if run is None:
            return None
        wanted = self.ask(call)
        if wanted is not None:
            found = yield wanted
            self.hold(found if isinstance(found, Sequence) else (), call.now)
        held = self._accounts.get(run)
        if held is None:  # the history could not be read
            held = self._put(RunAccount(run, agent=agent), call.now, known=False)
        if held.account.budget is None:
            budget = self._budget(call, agent)
            held.account = replace(held.account, budget=budget, agent=agent)
            self._journal.put_run(budget)
        if self._policy.runs.runaway == "stop":
            for name in runs_of(run):
                if alarms := self._account(name).standing():
                    return Halted(name, alarms[-1].kind, *self._figures(name))
        return None

    def is_shared(self, call: Call) -> bool:
        """Whether another instance may have told a call's session something since we did."""
        return call.scope.run is not None and call.now - self._foreign < SHARED

    def outlook(self, call: Call, agent: str) -> RunOutlook | None:
        """How a call's run stands, and what it comes to."""
        run = call.scope.run
        if run is None:
            return None
        tokens = self._tokens(call, run, agent).tokens
        low, middle, high = (tokens.at(level) for level in (0.10, 0.50, 0.90))
        return self.stands(RunOutlook(run, (low, middle, high)))

    def stands(self, outlook: RunOutlook) -> RunOutlook:
        """The same with what is left now, and the alarms so far."""
        left: dict[str, list[int]] = {unit: [] for unit in _UNITS}
        alarms: dict[str, None] = {}
        for run in runs_of(outlook.run):
            account = self._account(run)
            alarms |= dict.fromkeys(one.kind for one in account.standing())
            for unit, found in left.items():
                size = account.size(unit)
                if size is not None:
                    found.append(max(size - account.used(unit), 0))
        usd = min(left["usd"], default=None)
        return RunOutlook(
            outlook.run,
            outlook.tokens,
            left=min(left["tokens"], default=None),
            left_usd=None if usd is None else usd / NANO,
            alarms=tuple(alarms),
        )

    def forecast(self, run: str, agent: str, model: str, task: str | None = None) -> RunForecast:
        """What a run comes to in all, if it makes another call."""
        return self._forecaster.predict_one(_kind(agent, run), run, model=model, task=task)

    def _tokens(self, call: Call, run: str, agent: str) -> RunTokens:
        """The same of tokens alone."""
        kind, task = _kind(agent, run), call.scope.task
        return self._forecaster.tokens_one(kind, run, model=call.model, task=task)

    def is_open(self, run: str, now: float) -> bool:
        """Whether a run is likely to go on, by the silence since its last call."""
        return self._forecaster.is_open(run, now)

    def tell(self, session: Session, call: Call, patch: Patch) -> tuple[Session, Patch]:
        """The session with what it is to be told now, and the patch with what this call carries."""
        if call.scope.run is None or not self._policy.runs.told:
            return session, patch
        session, notes = self._told(session, call)
        return session, replace(patch, notes=notes)

    def _told(self, session: Session, call: Call) -> tuple[Session, tuple[Note, ...]]:
        """The session with what it is to be told now, and the notes that this call carries.

        Where the provider keeps the conversation, it keeps our notes too: each is sent once. Runs
        that begin with the same words share a session, but no run is told of another.
        """
        kept = call.previous_response is not None or call.conversation is not None
        told = _about(session, call)
        notes = () if kept else told
        taken = not kept and any(note.at == call.tail for note in session.notes)
        if call.tail is None or taken:
            return session, notes
        note = next_note(self._shares(call), told, call.tail)
        if note is None:
            return session, notes
        if kept:
            place = min((one.at for one in session.notes), default=0) - 1
            return session.told((replace(note, at=min(place, -1)),)), (note,)
        session = session.told((note,))
        return session, _about(session, call)

    # -- after it ---------------------------------------------------------------------------

    def settle(self, record: CallRecord) -> CallRecord:
        """Take in a row of ours, and write the alarms that it raises into it."""
        charge = charge_of(record, self._charge)
        alarms = [*self._overdue(record), *self._fold(record, charge)]
        if alarms:
            reasons = "; ".join(reason for _, reason in alarms)
            record = replace(
                record,
                alarms=tuple(name for name, _ in alarms),
                reason=f"{record.reason}; {reasons}",
            )
        self._count(record, charge)
        return record

    def learn(self, record: CallRecord) -> None:
        """Take in a row that was written: an older one, or another instance's."""
        if record.instance != self._instance:
            self._foreign = max(self._foreign, record.ts)
        if record.run is not None:
            charge = charge_of(record, self._charge)
            self._unsaid.update(self._fold(record, charge))
            for name in record.alarms:
                self._unsaid.pop(name, None)
            while len(self._unsaid) > _HELD:
                self._unsaid.popitem(last=False)
            self._count(record, charge)

    def _overdue(self, record: CallRecord) -> Iterator[tuple[str, str]]:
        """Alarms about a row's run and those above it that rows learned from others raised here.

        Whoever wrote those knew too little of ours to see it: the next row of ours tells of it.
        """
        for run in runs_of(record.run):
            known = {one.kind for one in self._account(run).alarms}
            for kind in ALARMS:
                reason = self._unsaid.pop(name := f"{kind} {run}", None)
                if reason is not None and kind not in known:
                    yield name, reason

    def _fold(self, record: CallRecord, charge: tuple[int, bool]) -> list[tuple[str, str]]:
        """Have the forecaster learn a row, for its run and those above it; alarms, and why."""
        tokens = (record.input_tokens or 0) + (record.output_tokens or 0)
        if record.pending or tokens <= 0:
            return []
        nano, priced = charge
        found = []
        digest = digest_of(record.signals)
        for run in runs_of(record.run):
            step = RunStep(
                run,
                _kind(record.agent, run),
                record.model,
                max(record.input_tokens or 0, 0),
                max(record.output_tokens or 0, 0),
                record.ts,
                nano / NANO if priced else None,
                record.task,
                digest,
            )
            found += [
                (f"{alarm.kind} {run}", f"run {run}: {alarm.reason}")
                for alarm in self._forecaster.learn_one(step)
                # calls of several parts at once may look like one that repeats itself
                if alarm.kind != "loop" or run == record.run
            ]
        return found

    def _count(self, record: CallRecord, charge: tuple[int, bool]) -> None:
        """Add a row to the accounts that are held and have not counted it."""
        use = use_of(record)
        if use.turns:
            use = replace(use, nano=charge[0], unpriced=int(not charge[1]))
        for run in runs_of(record.run):
            held = self._accounts.get(run)
            if held is None or (record.id is not None and record.id <= held.account.row):
                continue
            account = held.account
            alarms = alarms_of(run, record.ts, record.seconds, record.alarms)
            held.account = replace(
                account, use=account.use.plus(use), alarms=(*account.alarms, *alarms)
            )

    # -- accounts ---------------------------------------------------------------------------

    def _budget(self, call: Call, agent: str) -> RunBudget:
        own, run = self._policy.of(agent), call.scope.run or ""
        nano = None if own.run_usd is None else round(own.run_usd * NANO)
        if own.run_tokens is not None or nano is not None:
            basis = f"set for the agent {agent}"
            return RunBudget(run, agent, call.now, own.run_tokens, nano, basis)
        forecast = self._tokens(call, run, agent)
        if forecast.support < FEWEST:
            basis = f"none: {forecast.support} ended runs are known, {FEWEST} are needed"
            return RunBudget(run, agent, call.now, basis=basis)
        soft = self._policy.runs.soft
        basis = f"p{100 * soft:.0f} of {forecast.support} ended runs by {forecast.source}"
        return RunBudget(run, agent, call.now, round(forecast.tokens.at(soft)), None, basis)

    def _shares(self, call: Call) -> Iterator[Share]:
        """How far the budgets of a call's run, and of those above it, are used."""
        for run in runs_of(call.scope.run):
            account = self._account(run)
            for unit in _UNITS:
                size = account.size(unit)
                if size is not None:
                    yield Share(run, unit, size, account.used(unit))

    def _figures(self, run: str) -> tuple[int, int]:
        use = self._account(run).use
        return use.turns, use.tokens

    def numbers(self, call: Call) -> Mapping[str, tuple[int, int]]:
        """Calls and tokens so far of a call's run and those above it, by name."""
        return {run: self._figures(run) for run in runs_of(call.scope.run)}

    def _account(self, run: str) -> RunAccount:
        held = self._accounts.get(run)
        return RunAccount(run) if held is None else held.account

    def _is_fresh(self, run: str, now: float) -> bool:
        held = self._accounts.get(run)
        return held is not None and abs(now - held.read) < FRESH  # clocks are put back, too

    def _put(self, account: RunAccount, now: float, *, known: bool = True) -> _Held:
        held = self._accounts[account.run] = _Held(account, now, known=known)
        self._accounts.move_to_end(account.run)
        while len(self._accounts) > _HELD:
            self._accounts.popitem(last=False)
        return held


def _newer(read: RunAccount, held: _Held) -> RunAccount:
    """An account that was read, with what is known better here."""
    mine = held.account
    counted = mine if held.known else read
    return replace(
        read,
        budget=read.budget or mine.budget,
        use=counted.use,
        row=counted.row,
        alarms=tuple(dict.fromkeys((*read.alarms, *mine.alarms))),
    )


def _about(session: Session, call: Call) -> tuple[Note, ...]:
    """What a session was told of a call's run and those above it."""
    runs = runs_of(call.scope.run)
    return tuple(note for note in session.notes if note.run in runs)


def _kind(agent: str, run: str) -> str:
    """With which runs a run is compared: of its agent, at its depth of nesting."""
    depth = len(runs_of(run)) - 1
    return agent if depth == 0 else f"{agent} (within, {depth})"
