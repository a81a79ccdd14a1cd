"""A call that a limit refuses, in words that say what to do."""

from __future__ import annotations

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
    (Unix seconds, inf for never).
    """

    limit: Limit
    account: Account
    asked: int
    used: int | None
    held: int | None
    ends: float
    now: float

    @property
    def retry_after(self) -> int | None:
        """Seconds until the window ends; ``None`` where waiting for that is of no use."""
        if self.ends == inf or self.limit.amount < self.asked:
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
        stands = "; its account could not be looked at"
        if self.used is not None and self.held is not None:
            stands = (
                f"; {amount_text(limit.unit, self.used)} are used and "
                f"{amount_text(limit.unit, max(self.held, 0))} held by calls under way"
            )
        asked = f"; this call may need {amount_text(limit.unit, self.asked)}"
        anew = f"; it begins anew at {_moment(self.ends, limit.zone)}" if self.ends < inf else ""
        return f"{named(limit, self.account.part)} is reached{stands}{asked}{anew}"


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
