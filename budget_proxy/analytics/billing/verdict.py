"""A reconciliation in one line: how far apart both sides are, and what makes most of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from budget_proxy.analytics.billing.explanations import Explanation
from budget_proxy.analytics.billing.reconcile import Reconciliation
from budget_proxy.analytics.numbers import dollars, percent
from budget_proxy.store.billed import NANO

_SHOWN: Final = 4


def verdict(found: Reconciliation) -> str:
    """Such as: ledger $412.10, bill $430.55: 4.5 % more billed; $15.20 rows that ... (3 days)."""
    if not found.providers:
        return f"there is no bill of {found.first} to {found.last} to compare with"
    sides = f"ledger {money(found.ledger_nano)}, bill {money(found.bill_nano)}"
    return "; ".join((f"{sides}: {_apart(found)}", *_causes(found)))


def money(amount: int) -> str:
    """Nano-dollars as dollars."""
    return dollars(amount / NANO)


def _apart(found: Reconciliation) -> str:
    beyond = found.difference_nano
    if abs(beyond) < NANO // 200 and not _telling(found) and not found.unexplained_nano:
        return "they agree" + (" but for rounding" if beyond else "")
    if not found.ledger_nano:
        return "our rows have no cost of it" if beyond else "they agree in all"
    how = "more" if beyond > 0 else "less"
    if round(1000 * abs(beyond) / found.ledger_nano) == 0:
        return f"{money(abs(beyond))} {how} billed" if beyond else "the same in all, not by day"
    return f"{percent(abs(beyond) / found.ledger_nano, 1)} {how} billed"


def _causes(found: Reconciliation) -> Iterator[str]:
    telling = _telling(found)
    if telling:
        shown = [_told(one) for one in telling[:_SHOWN]]
        more = len(telling) - len(shown)
        yield ", ".join((*shown, *([f"and {more} more"] if more else [])))
    if found.unexplained_nano:
        yield f"{money(found.unexplained_nano)} unexplained"


def _telling(found: Reconciliation) -> list[Explanation]:
    return [one for one in found.explanations if one.cause != "rounding"]


def _told(one: Explanation) -> str:
    """Such as: $3.25 another price (gpt-5-mini, since 2026-10-14)."""
    model = f"{one.model}, " if one.model else ""
    return f"{money(one.amount_nano)} {one.what} ({model}{when(one)})"


def when(one: Explanation) -> str:
    """On which days."""
    if one.since is not None:
        return f"since {one.since}"
    return one.days[0] if len(one.days) == 1 else f"{len(one.days)} days"
