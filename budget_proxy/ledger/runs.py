"""Budgets of runs: what a run was given, what it was given besides, and what it has used.

A run's soft budget is set at the first call that names the run, and stands: what is told of it
stays true. Hard stops are limits (``ledger.limits``); an extension raises those too (``raised``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.limits import EACH, ENFORCED, MOST, NANO, Limit, amount_of, runs_of
from budget_proxy.run_types import Extend
from budget_proxy.types import CallRecord, frozen

LONGEST_REASON: Final = 500
LONGEST_RUN: Final = 200
"""Characters of a run's name at most, as callers may give it (``scope.parse``)."""


@frozen
class RunBudget:
    """What a run may use before it is told to finish: tokens, nano-dollars; ``None``: no bound.

    ``basis`` says in words where the numbers come from.
    """

    run: str
    agent: str
    started: float
    tokens: int | None = None
    nano: int | None = None
    basis: str = ""


@frozen
class Extension:
    """More for a run: tokens, nano-dollars; who granted it, when, and why."""

    run: str
    ts: float
    who: str
    reason: str
    tokens: int = 0
    nano: int = 0
    id: int = 0


@frozen
class RunUse:
    """What a run and all runs within it have used: calls, tokens, nano-dollars, times.

    ``turns`` are attempts that used anything. Calls without a price are charged at the dearest
    one, as limits do; ``unpriced`` counts them. ``first`` and ``last`` are Unix seconds.
    """

    turns: int = 0
    tokens: int = 0
    output_tokens: int = 0
    nano: int = 0
    unpriced: int = 0
    first: float = 0.0
    last: float = 0.0

    def plus(self, other: RunUse) -> RunUse:
        """Both together."""
        if not (self.turns and other.turns):
            return self if self.turns else other
        return RunUse(
            self.turns + other.turns,
            self.tokens + other.tokens,
            self.output_tokens + other.output_tokens,
            self.nano + other.nano,
            self.unpriced + other.unpriced,
            min(self.first, other.first),
            max(self.last, other.last),
        )


def use_of(row: CallRecord) -> RunUse:
    """What a row uses of its run's budget; of an answer still to come nothing is known."""
    tokens = amount_of("tokens", row)
    if row.pending or not tokens:
        return RunUse()
    output, nano = amount_of("output_tokens", row), amount_of("usd", row)
    return RunUse(1, tokens, output, nano, int(row.cost is None), row.ts, row.ts)


@frozen
class Alarmed:
    """An alarm that a call of a run raised as it ended: "loop" or "runaway"."""

    kind: str
    ts: float


def alarms_of(run: str, ts: float, seconds: float | None, told: Iterable[str]) -> Iterator[Alarmed]:
    """Those of a row's alarms that are about a run; its call began at ``ts``."""
    for kind, _, name in (one.partition(" ") for one in told):
        if name == run:
            yield Alarmed(kind, ts + (seconds or 0.0))


@frozen
class RunAccount:
    """All that the history knows of a run. ``row`` is the newest row that ``use`` counts.

    ``agent`` is that of its first call; ``budget`` is ``None`` while no call has named it.
    """

    run: str
    agent: str = ""
    budget: RunBudget | None = None
    use: RunUse = RunUse()
    extensions: tuple[Extension, ...] = ()
    alarms: tuple[Alarmed, ...] = ()
    row: int = 0

    def size(self, unit: str) -> int | None:
        """The soft budget in "tokens" or nano-dollars ("usd"), with what was granted besides."""
        given = self.budget
        base = None if given is None else given.nano if unit == "usd" else given.tokens
        if base is None:
            return None
        return base + sum(one.nano if unit == "usd" else one.tokens for one in self.extensions)

    def used(self, unit: str) -> int:
        """What is used of it."""
        return self.use.nano if unit == "usd" else self.use.tokens

    def standing(self) -> tuple[Alarmed, ...]:
        """The alarms since the last extension: whoever granted that knew of those before."""
        since = max((one.ts for one in self.extensions), default=float("-inf"))
        return tuple(one for one in self.alarms if one.ts > since)


@frozen
class RunLookup:
    """The core asks for the accounts of runs, in this order; not for their ``use`` if it knows."""

    runs: tuple[str, ...]
    use: bool = True


@frozen
class Extending:
    """A caller asks more for a run: tokens, US dollars, and why."""

    run: str | None
    asked: Extend


@frozen
class Bounds:
    """What may be granted to one run in all: tokens and nano-dollars."""

    tokens: int
    nano: int


@frozen
class RunPage:
    """Names of runs, each followed by its parts; ``next`` is the place to ask on from."""

    runs: tuple[str, ...]
    next: tuple[float, str] | None


def page_of(
    newest: Iterable[tuple[str, float]], before: tuple[float, str] | None, limit: int
) -> RunPage:
    """A page of whole families of runs, of all runs with the times of their newest calls.

    A family is a run that is no part of another, and its parts; the one that was called last comes
    first. A whole that made no call of its own is named all the same.
    """
    names: defaultdict[str, set[str]] = defaultdict(set)
    last: dict[str, float] = {}
    for run, ts in newest:
        whole, *_ = paths = runs_of(run)
        names[whole].update(paths)
        last[whole] = max(ts, last.get(whole, ts))
    places = sorted(((ts, whole) for whole, ts in last.items()), reverse=True)
    found = [place for place in places if before is None or place < before]
    shown = found[:limit]
    runs = [
        run for _, whole in shown for run in sorted(names[whole], key=lambda one: one.split("/"))
    ]
    return RunPage(tuple(runs), shown[-1] if len(found) > limit else None)


def checked(asked: Extension, before: Iterable[Extension], most: Bounds) -> Extension:
    """An extension that makes sense and is within bounds. Raises InvalidInput."""
    if not 0 < len(asked.run) <= LONGEST_RUN:
        raise InvalidInput(f"a run's name has 1 to {LONGEST_RUN} characters")
    if asked.tokens < 0 or asked.nano < 0 or not (asked.tokens or asked.nano):
        raise InvalidInput("an extension is of some tokens or US dollars, more than 0")
    if not asked.reason.strip() or len(asked.reason) > LONGEST_REASON:
        raise InvalidInput(
            f"say why in 1 to {LONGEST_REASON} characters: an extension needs a reason"
        )
    known = list(before)
    tokens = sum(one.tokens for one in known)
    nano = sum(one.nano for one in known)
    if tokens + asked.tokens > most.tokens:
        raise InvalidInput(
            f"run {asked.run} may be extended by {most.tokens:,} tokens in all, and "
            f"{tokens:,} are granted: ask for {max(most.tokens - tokens, 0):,} at most, or raise "
            "extend_tokens under [runs]"
        )
    if nano + asked.nano > most.nano:
        left = max(most.nano - nano, 0) / NANO
        raise InvalidInput(
            f"run {asked.run} may be extended by ${most.nano / NANO:,.2f} in all, and "
            f"${nano / NANO:,.2f} are granted: ask for ${left:,.2f} at most, or raise "
            "extend_usd under [runs]"
        )
    return asked


def raised(limits: Sequence[Limit], given: Extension) -> Iterator[tuple[Limit, Limit]]:
    """The hard stops of a run, and each as an extension leaves it; new ones have the id 0.

    Concerned are limits over a lifetime that name the run, and those by ``EACH`` run, in whose
    place one comes that names it. What holds a run above it stays: a part's budget comes out of
    its whole.
    """
    tokens = given.tokens
    for unit, more in (("tokens", tokens), ("output_tokens", tokens), ("usd", given.nano)):
        for limit in limits:
            if not more or limit.unit != unit or not _stops(limit):
                continue
            named = _naming(limit, given.run)
            amount = min(limit.amount + more, MOST)
            if limit.where == named:
                yield limit, replace(limit, amount=amount)
            elif named and not any(
                _stops(other) and other.unit == unit and set(other.where) == set(named)
                for other in limits
            ):
                yield limit, replace(limit, amount=amount, where=named, id=0)


def stops_of(limits: Iterable[Limit], run: str) -> Iterator[Limit]:
    """The hard stops that name a run, or each run, of those that hold whoever calls."""
    for limit in limits:
        if _stops(limit) and _naming(limit, run):
            yield limit


def parent_of(run: str) -> str | None:
    """The run that a run is a part of."""
    above = runs_of(run)[:-1]
    return above[-1] if above else None


def _stops(limit: Limit) -> bool:
    return limit.window == "lifetime" and limit.action in ENFORCED


def _naming(limit: Limit, run: str) -> tuple[tuple[str, str], ...]:
    """The limit's names with the run's in its place; empty where it is no limit of this run."""
    names = dict(limit.where)
    if names.get("run") not in {run, EACH}:
        return ()
    return tuple(
        (dimension, run if dimension == "run" else name) for dimension, name in limit.where
    )
