"""What a truncated or refused attempt leads to: nothing, or one more attempt."""

from __future__ import annotations

from typing import Final

from budget_proxy.types import Outcome, Plan

_SHARE_OF_TIMEOUT: Final = 0.40
_MOST_ATTEMPTS: Final = 3


def truncated(plan: Plan, outcome: Outcome) -> bool:
    """Whether the answer was cut by a cap.

    Some servers report a cut answer as finished, so output that reaches the cap in force
    counts as cut, whatever the status says (per choice, where several were asked).
    """
    if outcome.finish_reason in {"error", "cancelled"}:
        return False
    if outcome.finish_reason == "length":
        return True
    ceiling = plan.allocation.ceiling
    used = outcome.usage.output_tokens if outcome.usage else None
    return ceiling is not None and used is not None and used >= ceiling * plan.call.n


def may_resend(plan: Plan, outcome: Outcome) -> bool:
    """Whether an answer cut by our own cap is asked for again without that cap.

    Not where it already reached the client (streams), where sending twice would repeat side
    effects, or where more than 40 % of the client's timeout has passed.
    """
    call = plan.call
    if not plan.allocation.ours or call.stream or not call.resendable:
        return False
    if plan.attempt >= _MOST_ATTEMPTS or not truncated(plan, outcome):
        return False
    spent = outcome.seconds or 0.0
    return call.timeout is None or spent <= _SHARE_OF_TIMEOUT * call.timeout


def may_retry(plan: Plan, outcome: Outcome) -> bool:
    """Whether a 400 that names a parameter of ours is tried again without it."""
    return outcome.rejected is not None and plan.attempt < _MOST_ATTEMPTS
