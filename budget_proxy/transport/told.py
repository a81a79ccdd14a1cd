"""What was decided, as headers of the answer (design decision 17)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from budget_proxy.assemble import Engine
from budget_proxy.run_types import RunOutlook
from budget_proxy.scope import HEADER_PREFIX
from budget_proxy.transport.guard import fail_open
from budget_proxy.types import Plan

_PRINTABLE: Final = range(0x20, 0x7F)


def our_headers(engine: Engine, plan: Plan) -> list[tuple[str, str]]:
    """What was decided of a call, and how its run stands now."""
    given = plan.allocation
    facts: dict[str, object] = {
        "call-id": plan.call.id,
        "mode": given.mode,
        "arm": given.arm,
        "target": given.target,
        "recommended": given.recommended,
        "reserve": given.reserve,
        "cap": given.cap,
        "attempt": plan.attempt,
        "strategy": plan.forecast.strategy,
        "reason": given.reason,
    }
    if plan.run is not None:
        with fail_open(engine, "plan"):
            facts |= dict(_of_run(engine.runs.stands(plan.run)))
    return [
        (HEADER_PREFIX + name, _header_safe(str(value)))
        for name, value in facts.items()
        if value is not None
    ]


def _of_run(outlook: RunOutlook) -> Iterator[tuple[str, str]]:
    left = []
    if outlook.left is not None:
        left.append(f"tokens={outlook.left}")
    if outlook.left_usd is not None:
        left.append(f"usd={outlook.left_usd:.6f}")
    if left:
        yield "run-left", "; ".join(left)
    low, middle, high = (round(tokens) for tokens in outlook.tokens)
    yield "run-forecast", f"p10={low}; p50={middle}; p90={high}"
    if outlook.alarms:
        yield "run-alert", ", ".join(outlook.alarms)


def _header_safe(text: str) -> str:
    """Agent names may hold anything; a header may not."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if ord(c) in _PRINTABLE else "?" for c in text)
