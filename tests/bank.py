"""A store's leases, as simple as can be."""

from __future__ import annotations

from collections.abc import Mapping

from budget_proxy.ledger.accounts import Account, Grant
from budget_proxy.ledger.ledger import Ledger
from budget_proxy.ledger.limits import Limit


class Bank:
    """A store that leases of accounts until their limit's amount is lent or used."""

    def __init__(self, ledger: Ledger, *limits: Limit) -> None:
        self.ledger = ledger
        self.limits = {limit.id: limit for limit in limits}
        self.used: dict[Account, int] = {}
        self.lent: dict[Account, int] = {}
        self.asked = 0
        ledger.adopt(limits)

    def lease(self, wanted: Mapping[Account, int]) -> dict[Account, Grant]:
        """All that is wanted of an account, or nothing."""
        self.asked += 1
        grants = {}
        for account, amount in wanted.items():
            used, lent = self.used.get(account, 0), self.lent.get(account, 0)
            left = self.limits[account.limit].amount - used - max(lent, 0)
            given = amount if max(lent + amount, 0) - max(lent, 0) <= left else 0
            self.lent[account] = lent + given
            grants[account] = Grant(given, used, self.lent[account])
        self.ledger.grant(grants)
        return grants

    def write(self, account: Account, amount: int) -> None:
        """A row that counts so much was written."""
        self.used[account] = self.used.get(account, 0) + amount
        self.lent[account] = self.lent.get(account, 0) - amount

    def take_back(self, amounts: Mapping[Account, int]) -> None:
        """Amounts that a process does not need."""
        for account, amount in amounts.items():
            self.lent[account] -= amount
