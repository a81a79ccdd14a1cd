"""A call that a limit refuses, in words that say what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil, inf
from typing import Final
from zoneinfo import ZoneInfo

from budget_proxy.ledger.accounts import Account
from budget_proxy.ledger.limits import EACH, NANO, Limit, Unit
from budget_proxy.types import frozen

_SPANS: Final = {"flight": "at once", "lifetime": "in all", "hour": "an hour"}
_WORDS: Final = {"tokens": "tokens", "output_tokens": "output tokens"}


@frozen
class Refusal:
    """Which limit refuses, and how it stands.

    ``asked`` is what the call would have held; ``used`` and ``held`` are the account's, in the
    limit's unit, ``None`` where the store was not asked; ``ends`` is when its window does
    (Unix seconds, inf for never). ``run`` is the run that it holds, with its calls and tokens so
    far. ``priced`` is false where ``asked`` is money and the price a guess on the safe side;
    ``unread`` says that the store could not be asked.
    """

    limit: Limit
    account: Account
    asked: int
    used: int | None
    held: int | None
    ends: float
    now: float
    run: tuple[str, int, int] | None = None
    priced: bool = True
    unread: bool = False

    @property
    def retry_after(self) -> int | None:
        """Seconds until the window ends; ``None`` where waiting for that is of no use."""
        if self.unread or self.ends == inf or self.limit.amount < self.asked:
            return None
        return max(ceil(self.ends - self.now), 1)

    @property
    def passing(self) -> bool:
        """Whether there may be room as soon as calls under way settle."""
        return self.limit.amount >= self.asked and (self.held is None or self.held > 0)

    @property
    def message(self) -> str:
        """What the caller is told: the limit, how it stands, when it begins anew."""
        limit = self.limit
        if limit.amount == 0:
            return f"{named(limit, self.account.part)} is 0: no call is allowed"
        if self.unread:
            return (
                f"{named(limit, self.account.part)} could not be looked at, and lets nothing more "
                "through until it can: the log of whoever runs this says why"
            )
        stands = "; other calls wait for room in it"
        if self.used is not None and self.held is not None:
            stands = (
                f"; {amount_text(limit.unit, self.used)} are used and "
                f"{amount_text(limit.unit, max(self.held, 0))} held by calls under way"
            )
        guess = "" if self.priced else ", as no price of its model is known"
        asked = f"this call may need {amount_text(limit.unit, self.asked)}{guess}"
        so_far = "" if self.run is None else f"; {_so_far(*self.run)}"
        if self.asked > limit.amount:
            return (
                f"{named(limit, self.account.part)} is too low for this call: {asked}; "
                f"a lower cap on its output makes that less{so_far}"
            )
        anew = f"; it begins anew at {_moment(self.ends, limit.zone)}" if self.ends < inf else ""
        return f"{named(limit, self.account.part)} is reached{stands}; {asked}{anew}{so_far}"

    def of_run(self, numbers: Mapping[str, tuple[int, int]]) -> Refusal:
        """The same with the numbers of the run that it is about, where it is about one of these."""
        name = dict(self.limit.where).get("run")
        run = self.account.part if name == EACH else name
        if run is None or run not in numbers:
            return self
        return replace(self, run=(run, *numbers[run]))


@frozen
class Halted:
    """A call of a run that goes in circles or has run away, where the settings stop those."""

    run: str
    kind: str
    turns: int
    tokens: int

    @property
    def retry_after(self) -> int | None:
        """``None``: waiting is of no use."""
        return None

    @property
    def message(self) -> str:
        """What the caller is told, and what would let the run go on."""
        what = "goes in circles" if self.kind == "loop" else "has gone beyond what runs usually use"
        return (
            f"this run {what} and is stopped; {_so_far(self.run, self.turns, self.tokens)}; to let "
            f"it go on, extend it with a reason: budget-proxy runs extend {self.run} --tokens N "
            "--reason TEXT"
        )


Refused = Refusal | Halted
"""Why a call is not made."""


def _so_far(run: str, turns: int, tokens: int) -> str:
    return f"run {run} has made {turns:,} calls and used {tokens:,} tokens"


def named(limit: Limit, part: str = "") -> str:
    """A limit in words: ``limit 3 (agent coder: 100,000 tokens a day)``."""
    whom = ", ".join(
        f"{dimension} {part or 'unnamed'}" if name == EACH else f"{dimension} {name}"
        for dimension, name in limit.where
    )
    whom = whom or "all calls"
    span = _SPANS.get(limit.window, f"a {limit.window}")
    title = f"limit {limit.id}" + (f" {limit.name!r}" if limit.name else "")
    return f"{title} ({whom}: {amount_text(limit.unit, limit.amount)} {span})"


def amount_text(unit: Unit, amount: int) -> str:
    """An amount with its unit: ``1,200 tokens``, ``$0.25``."""
    if unit != "usd":
        return f"{amount:,} {_WORDS[unit]}"
    dollars, rest = divmod(amount, NANO)
    cents = f"{rest:09}".rstrip("0").ljust(2, "0")
    return f"${dollars:,}.{cents}"


def _moment(ts: float, zone: str) -> str:
    place = UTC if zone == "UTC" else ZoneInfo(zone)
    return f"{datetime.fromtimestamp(ts, place):%Y-%m-%d %H:%M} ({zone})"
