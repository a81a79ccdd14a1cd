"""A month's bill beside the history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from budget_proxy.analytics.billing.asked import plain, reconciled
from budget_proxy.analytics.billing.reconcile import Reconciliation
from budget_proxy.assemble import Engine
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.question import Name, Question
from budget_proxy.proxy.health import shown

Month = Annotated[str, Field(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]


@dataclass(frozen=True, slots=True)
class Reconciled(Reconciliation):
    """The reconciliation of the history ``store``, and its ``verdict`` in one line."""

    store: str
    verdict: str


class AskedBilling(Question):
    """What ``/billing`` is asked."""

    month: Month | None = Field(None, description="Such as 2026-10; else that of the newest bill.")
    provider: Name | None = Field(None, description="Only this provider: openai, anthropic.")


def billing(engine: Engine, asked: AskedBilling) -> dict[str, Any]:
    """Ledger and bill by day and model, and why they differ, as `billing reconcile --json`."""
    found = reconciled(engine.store, engine.prices, asked.month, asked.provider)
    return plain(found, shown(engine.store.url))


ENDPOINTS = (Endpoint("GET", "/billing", AskedBilling, Reconciled, billing),)
