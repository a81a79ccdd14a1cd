"""How runs stand, as people and programs ask for it, and more for one that needs it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from budget_proxy.engine import DEFAULT_AGENT, Core
from budget_proxy.errors import InvalidInput, StoreError
from budget_proxy.forks import after_fork
from budget_proxy.ledger.accounts import Balance
from budget_proxy.ledger.limits import EACH, NANO, Limit, beaten, nano_of, runs_of
from budget_proxy.ledger.runs import (
    Alarmed,
    Bounds,
    Extending,
    Extension,
    RunAccount,
    RunLookup,
    RunPage,
    parent_of,
    stops_of,
)
from budget_proxy.predict.runs import Quantiles
from budget_proxy.run_types import RunOutlook
from budget_proxy.store.backlog import OnFault
from budget_proxy.store.base import Store

State = Literal["open", "ended", "stopped"]


@dataclass(frozen=True, slots=True)
class Range:
    """p10, p50 and p90 of what a run comes to in all, if it makes another call."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class HardStop:
    """A limit that stops ``run``, and what is a part of it.

    Numbers are tokens, or US dollars where ``unit`` is "usd".
    """

    limit: int
    run: str
    unit: str
    size: float
    used: float
    left: float


@dataclass(frozen=True, slots=True)
class Granted:
    """What was granted to a run besides: tokens, US dollars, by whom, when and why."""

    ts: float
    who: str
    tokens: int
    usd: float
    reason: str


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run stands, its parts included.

    ``tokens`` are input + output; ``usd`` has calls without a price at the dearest one, and
    ``unpriced`` counts those. ``soft_tokens`` and ``soft_usd`` are the soft budget with what was
    ``granted``, ``None`` where there is none; ``left_tokens`` and ``left_usd`` what is left of it
    (0 at least). ``forecast`` is of tokens. ``hard`` has the run's own hard stops, then those of
    the runs above it. A run is "stopped" where one of these is reached, or an alarm stops it;
    "open" while another call is likely. ``first`` and ``last`` are Unix seconds.
    """

    run: str
    parent: str | None
    agent: str
    state: State
    turns: int
    tokens: int
    output_tokens: int
    usd: float
    unpriced: int
    first: float
    last: float
    soft_tokens: int | None
    soft_usd: float | None
    left_tokens: int | None
    left_usd: float | None
    basis: str
    forecast: Range
    forecast_turns: Range
    forecast_usd: Range | None
    grounds: tuple[str, ...]
    hard: tuple[HardStop, ...]
    granted: tuple[Granted, ...]
    alarms: tuple[Alarmed, ...]


@dataclass(frozen=True, slots=True)
class RunList:
    """Runs, each followed by its parts; ``next`` is the place to ask on from."""

    runs: tuple[RunStatus, ...]
    next: str | None


class Runs:
    """The runs of one history. Its methods block; they raise StoreError.

    ``locked()`` gives the lock that guards the core; ``flush`` has rows written that wait;
    ``on_fault(stage, error)`` is told what went wrong where a call goes on all the same.
    """

    def __init__(
        self,
        core: Core,
        store: Store,
        *,
        locked: Callable[[], AbstractContextManager[Any]],
        flush: Callable[[], object],
        now: Callable[[], float],
        on_fault: OnFault,
    ) -> None:
        self._on_fault = on_fault
        self._core = core
        after_fork(core.running.begin_process)
        self._store = store
        self._locked = locked
        self._flush = flush
        self._now = now

    def status(self, run: str) -> RunStatus:
        """How a run stands. Raises InvalidInput where nothing is known of it."""
        self._flush()
        (account,) = self._store.run_accounts([run])
        if not account.use.turns and account.budget is None and not account.extensions:
            raise InvalidInput(f"no run {run!r} is known; `budget-proxy runs` lists them")
        return self._status([account])[0]

    def page(self, after: str | None = None, limit: int = 50) -> RunList:
        """A page of runs, those called last first. Raises InvalidInput on a wrong place."""
        self._flush()
        found: RunPage = self._store.runs(_place(after), limit)
        rows = self._status(self._store.run_accounts(found.runs))
        following = None if found.next is None else f"{found.next[0]!r}:{found.next[1]}"
        return RunList(tuple(rows), following)

    def extend(
        self, run: str, *, tokens: int = 0, usd: float = 0.0, reason: str, who: str
    ) -> Extension:
        """Give a run more, and raise its hard stops. Raises InvalidInput beyond what is allowed."""
        policy = self._core.policy.runs
        most = Bounds(policy.extend_tokens, nano_of(policy.extend_usd) or 0)
        self._flush()  # a hard stop of the run's own counts the rows that are there
        (known,) = self._store.run_accounts([run], use=False)
        ts = max([self._now(), *(one.ts for one in known.alarms)])  # it answers all of them
        asked = Extension(run, ts, who, reason, tokens, nano_of(usd) or 0)
        given = self._store.extend_run(asked, most)
        accounts = self._store.run_accounts(runs_of(run))
        limits = self._store.limits()
        with self._locked():
            self._core.running.hold(accounts, self._now())
            self._core.ledger.adopt(limits)
        return given

    def granted(self, asked: Extending) -> Extension | InvalidInput | None:
        """What a caller gets who asks for more, or what was wrong; ``None`` on a store's fault."""
        if self._core.policy.runs.extend != "header":
            return InvalidInput(
                'callers may not extend runs here: set extend = "header" under [runs], or ask an '
                "admin (budget-proxy runs extend)"
            )
        if asked.run is None:
            return InvalidInput("name the run that is to be extended: x-budget-run")
        more = asked.asked
        try:
            return self.extend(
                asked.run, tokens=more.tokens, usd=more.usd, reason=more.reason, who="caller"
            )
        except InvalidInput as error:
            return error
        except StoreError as error:
            self._on_fault("limits", error)
            return None

    def stands(self, outlook: RunOutlook) -> RunOutlook:
        """A call's run as it stands now, in memory."""
        with self._locked():
            return self._core.running.stands(outlook)

    def found(self, asked: RunLookup) -> list[RunAccount]:
        """What the history knows of runs; nothing where it cannot be asked."""
        try:
            return self._store.run_accounts(asked.runs, use=asked.use)
        except StoreError as error:
            self._on_fault("lookup", error)
            return []

    def _status(self, accounts: Iterable[RunAccount]) -> list[RunStatus]:
        now = self._now()
        stops = _Stops(self._store.limits(), self._store.balances(now))
        return [self._one(account, stops, now) for account in accounts]

    def _one(self, account: RunAccount, stops: _Stops, now: float) -> RunStatus:
        use, agent = account.use, account.agent or DEFAULT_AGENT
        with self._locked():  # for each run anew: calls need not wait for a page
            forecast = self._core.running.forecast(account.run, agent, "")
            is_open = self._core.running.is_open(account.run, now)
        hard = tuple(stop for name in reversed(runs_of(account.run)) for stop in stops.of(name))
        stopping = self._core.policy.runs.runaway == "stop" and bool(account.standing())
        stopped = stopping or any(stop.left <= 0 for stop in hard)
        soft, nano = account.size("tokens"), account.size("usd")
        return RunStatus(
            run=account.run,
            parent=parent_of(account.run),
            agent=agent,
            state="stopped" if stopped else "open" if is_open else "ended",
            turns=use.turns,
            tokens=use.tokens,
            output_tokens=use.output_tokens,
            usd=use.nano / NANO,
            unpriced=use.unpriced,
            first=use.first,
            last=use.last,
            soft_tokens=soft,
            soft_usd=None if nano is None else nano / NANO,
            left_tokens=None if soft is None else max(soft - use.tokens, 0),
            left_usd=None if nano is None else max(nano - use.nano, 0) / NANO,
            basis=account.budget.basis if account.budget is not None else "none: no call named it",
            forecast=_range(forecast.tokens),
            forecast_turns=_range(forecast.turns),
            forecast_usd=None if forecast.cost is None else _range(forecast.cost),
            grounds=forecast.reasons,
            hard=hard,
            granted=tuple(
                Granted(one.ts, one.who, one.tokens, one.nano / NANO, one.reason)
                for one in account.extensions
            ),
            alarms=account.alarms,
        )


class RunsOffered:
    """The part of an Engine that answers about runs."""

    runs: Runs

    def run_status(self, run: str) -> RunStatus:
        """How a run stands. Raises InvalidInput where nothing is known of it, StoreError."""
        return self.runs.status(run)

    def extend_run(
        self, run: str, *, tokens: int = 0, usd: float = 0.0, reason: str, who: str = "engine"
    ) -> Extension:
        """Give a run more, which is recorded with who, when and why, and raise its hard stops.

        Raises InvalidInput without a reason or beyond what one run may get, StoreError.
        """
        return self.runs.extend(run, tokens=tokens, usd=usd, reason=reason, who=who)


class _Stops:
    """The hard stops of all runs, and what is used of them."""

    def __init__(self, limits: Sequence[Limit], balances: Iterable[Balance]) -> None:
        self._passed = beaten(limits)
        self._used = {(one.account.limit, one.account.part): one.used for one in balances}
        self._by_run: defaultdict[str, list[Limit]] = defaultdict(list)
        for limit in limits:
            self._by_run[dict(limit.where).get("run", "")].append(limit)

    def of(self, run: str) -> Iterator[HardStop]:
        """Those that hold a run by its name."""
        known = sorted((*self._by_run[EACH], *self._by_run[run]), key=lambda limit: limit.id)
        for limit in stops_of(known, run):
            part = run if limit.by == "run" else ""
            if part and part in self._passed.get(limit.id, ()):
                continue
            scale = NANO if limit.unit == "usd" else 1
            used = self._used.get((limit.id, part), 0)
            size, left = limit.amount, max(limit.amount - used, 0)
            yield HardStop(limit.id, run, limit.unit, size / scale, used / scale, left / scale)


def _range(found: Quantiles) -> Range:
    return Range(found.at(0.10), found.at(0.50), found.at(0.90))


def _place(text: str | None) -> tuple[float, str] | None:
    if text is None:
        return None
    ts, _, run = text.partition(":")
    try:
        return float(ts), run
    except ValueError:
        raise InvalidInput("after is what an earlier answer gave as next") from None
