"""A plan's way past the limits: it reserves, waits for room, falls back, or is refused."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any

from budget_proxy.ledger.accounts import Account, Grant
from budget_proxy.ledger.claims import Charge, Claim, claim_of
from budget_proxy.ledger.ledger import Ledger, Shortage
from budget_proxy.ledger.limits import Limit
from budget_proxy.ledger.refusal import Refusal
from budget_proxy.types import Plan, Ticket, frozen

Cheaper = Callable[[Plan, Limit], Plan | None]
"""Plans a call anew by what a limit falls back to; ``None`` where that cannot be."""


@frozen
class Waiting:
    """A call waits for room in a limit: until the ticket is done, or a moment has passed."""

    ticket: Ticket


class Admission:
    """Admits plans to a ledger. ``patience``: seconds that a call waits for room at most."""

    def __init__(self, ledger: Ledger, charge: Charge, *, patience: float) -> None:
        self._ledger = ledger
        self._charge = charge
        self._patience = patience

    def admit(
        self, plan: Plan, *, user: str, most: int | None, cheaper: Cheaper
    ) -> Generator[Shortage | Waiting, Any, Plan | Refusal]:
        """The plan, once it is reserved for; a cheaper one; or the Refusal.

        ``user`` is the caller's pseudonym, ``most`` the model's own maximum of output tokens.
        A limit that degrades is asked once for something cheaper, and only then is waited.
        """
        tried: set[int] = set()
        while True:
            claim = claim_of(plan, user, most, self._charge, self._ledger.units, self._ledger.tempo)
            refusal = yield from self._reserve(claim, claim.now)
            if refusal is None:
                return plan if claim.priced else _flagged(plan)
            limit = refusal.limit
            fallback = None
            if limit.action == "degrade" and limit.id not in tried:
                tried.add(limit.id)
                fallback = cheaper(plan, limit)
            if fallback is None:
                break
            plan = fallback
        refused = yield from self._wait(claim, refusal)
        if refused is not None:
            return refused
        return plan if claim.priced else _flagged(plan)

    def _reserve(self, claim: Claim, now: float) -> Generator[Shortage, Any, Refusal | None]:
        found = self._ledger.reserve(claim, now=now)
        while isinstance(found, Shortage):
            granted: Mapping[Account, Grant] | None = yield found
            found = self._ledger.reserve(claim, granted or {}, now=now)
        return found

    def _wait(
        self, claim: Claim, refusal: Refusal
    ) -> Generator[Shortage | Waiting, Any, Refusal | None]:
        """Wait in line until the claim is reserved, or patience is over."""
        now, found = claim.now, refusal
        try:
            while found.passing and now - claim.now < self._patience:
                now = yield Waiting(self._ledger.queue(found.account, claim.key))
                again = yield from self._reserve(claim, now)
                if again is None:
                    return None
                found = again
        finally:
            self._ledger.leave(claim.key)
        return found


def _flagged(plan: Plan) -> Plan:
    """The plan, whose reason says that its price is a guess on the safe side."""
    why = (
        f"no price of {plan.call.model} is known: it counts at its provider's dearest "
        "(the setting [prices] tells one)"
    )
    given = replace(plan.allocation, reason=f"{plan.allocation.reason}; {why}")
    return replace(plan, allocation=given)
