"""How far limits are used, told to the watch: what is nearly used up becomes an alert.

One alert an account: raised as it is neared, escalated at 95 %, over when it is used less again,
as it is when the next window begins, or when the limit is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final

from budget_proxy.analytics.cases import NEARING, Notice
from budget_proxy.analytics.causes import LIMIT, REFUSES
from budget_proxy.analytics.following import Follower
from budget_proxy.ledger.accounts import Account
from budget_proxy.ledger.limits import EACH, NANO, Limit
from budget_proxy.store.alerts import Alert
from budget_proxy.store.base import Store
from budget_proxy.types import frozen

_REFUSING: Final = 3_600.0
"""Seconds for which what another process told of refusals is left as it is."""

Refusing = Callable[[float], Collection[Account]]
"""The accounts for which a call was refused of late, by this process."""


@frozen
class Gauge:
    """One account: its ``name``, and how much is ``used`` of ``size`` (tokens or US dollars).

    ``refuses``: a call was refused for it; ``action`` is its limit's.
    """

    name: str
    used: float
    size: float
    action: str
    refuses: bool = False

    @property
    def is_told(self) -> bool:
        """Whether there is something to tell."""
        return self.refuses or self.used >= NEARING * self.size


class Gauges:
    """Tells a follower of a history of its limits, and of each state once."""

    def __init__(self, store: Store, follower: Follower, refusing: Refusing) -> None:
        self._store = store
        self._follower = follower
        self._refusing = refusing
        self._told: dict[str, Gauge] = {}

    def look(self, now: float) -> list[Notice]:
        """Look once. Raises StoreError."""
        limits = {limit.id: limit for limit in self._store.limits()}
        open_ = {
            str(alert.figures.get("limit")): alert
            for alert in self._store.alerts()
            if alert.cause == LIMIT
        }
        if not limits and not open_:
            return []
        found = {gauge.name: gauge for gauge in self._read(limits, now)}
        notices: list[Notice] = []
        for name in [one for one in open_ if one not in found]:
            size = float(open_[name].figures.get("size", 0) or 1)
            found[name] = Gauge(name, 0.0, size, "")
        for name, gauge in found.items():
            if self._is_anothers(open_.get(name), gauge, now):
                continue
            if (gauge.is_told or name in open_) and self._told.get(name) != gauge:
                said = REFUSES if gauge.refuses else gauge.action
                notices += self._follower.limit(name, gauge.used, gauge.size, now, now, said=said)
                self._told[name] = gauge
        self._told = {name: gauge for name, gauge in self._told.items() if name in found}
        return notices

    def _is_anothers(self, alert: Alert | None, gauge: Gauge, now: float) -> bool:
        """Whether another process has just told that it refuses calls, which this one does not."""
        return (
            alert is not None
            and not gauge.refuses
            and alert.figures.get("said") == REFUSES
            and gauge.name not in self._told
            and alert.updated > now - _REFUSING
        )

    def _read(self, limits: dict[int, Limit], now: float) -> Iterator[Gauge]:
        refusing = set(self._refusing(now))
        for balance in self._store.balances(now):
            limit = limits.get(balance.account.limit)
            if limit is not None and limit.window != "flight":
                unit = NANO if limit.unit == "usd" else 1
                yield Gauge(
                    name_of(limit, balance.account.part),
                    balance.used / unit,
                    limit.amount / unit,
                    limit.action,
                    balance.account in refusing,
                )


def name_of(limit: Limit, part: str) -> str:
    """What an account goes by in alerts, whatever its limit's amount.

    Such as ``3 (agent coder, tokens, day)``.
    """
    whom = [
        f"{dimension} {(part or 'unnamed') if name == EACH else name}"
        for dimension, name in limit.where
    ]
    said = ", ".join([*([limit.name] if limit.name else []), *(whom or ["all calls"])])
    return f"{limit.id} ({said}, {limit.unit}, {limit.window})"
