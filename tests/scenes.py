"""Histories as suggestions see them: sums and newest rows of a few calls, real prices."""

from __future__ import annotations

from functools import partial
from typing import Any

from budget_proxy.analytics.suggestions.base import Scene
from budget_proxy.analytics.suggestions.rows import Rows
from budget_proxy.policy.base import Policy
from budget_proxy.store.measures import sums_of
from budget_proxy.store.memory import MemoryStore
from budget_proxy.types import CallRecord
from budget_proxy.wire.models import capabilities
from budget_proxy.wire.prices import LISTED
from budget_proxy.wire.rates import Rates
from tests.makers import NOW, record


def scene(*records: CallRecord, days: float = 30.0, strategy: str = "auto", **policy: Any) -> Scene:
    """These rows over so many days, under this policy."""
    store = MemoryStore()
    store.append(records)
    return Scene(
        sums=sums_of(records),
        work=sums_of(records),
        days=days,
        rows=Rows(partial(store.newest, start=0.0)),
        policy=Policy(**policy),
        strategy=strategy,
        able=capabilities,
        rates=_rates,
        since=lambda ts: store.sums(start=ts, by=("agent", "model")),
        end=max((row.ts for row in records), default=NOW),
    )


def calls(count: int, **given: Any) -> list[CallRecord]:
    """So many answers of ``coder``, each of its own session, priced where that is known.

    What is given may be a function of the call's number.
    """
    facts: dict[str, Any] = {
        "ts": lambda i: NOW + i, "call_id": lambda i: f"{given.get('arm', 'c')}{i}",
        "agent": "coder", "task_type": "bug-fix", "mode": "enforce",
        "session": lambda i: f"{given.get('arm', 's')}{i}", **given,
    }  # fmt: skip
    rows = [
        {name: value(i) if callable(value) else value for name, value in facts.items()}
        for i in range(count)
    ]
    return [LISTED.priced(record(**row)) for row in rows]


def _rates(row: CallRecord, model: str) -> Rates | None:
    return LISTED.rates(row.api, model, row.host, row.tier, NOW)
