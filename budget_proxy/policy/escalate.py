"""What a truncated or refused attempt leads to: nothing, or one more attempt."""

from __future__ import annotations

from typing import Final

from budget_proxy.types import NO_ANSWER, Outcome, Plan

_SHARE_OF_TIMEOUT: Final = 0.40
_MOST_ATTEMPTS: Final = 3
_SLACK: Final = 16
_SHORT: Final = 0.02
"""Share of a cap by which hosts may end before it, and say that it was reached."""


def truncated(plan: Plan, outcome: Outcome) -> bool:
    """Whether the answer was cut.

    Some servers report a cut answer as finished, so output that reaches the cap in force
    counts as cut, whatever the status says (per choice, where several were asked). Output well
    beyond it was counted otherwise (a compaction, say) and is no sign.
    """
    return was_cut(outcome, plan.allocation.ceiling, plan.call.n)


def was_cut(outcome: Outcome, ceiling: int | None, n: int) -> bool:
    """The same, of an answer whose plan is no longer there: by the cap that was in force."""
    if outcome.finish_reason in NO_ANSWER:
        return False
    return outcome.finish_reason == "length" or _at_cap(outcome, ceiling, n)


def cut_by_us(plan: Plan, outcome: Outcome) -> bool:
    """Whether it was our cap that cut it, and not the context window's end.

    Of several choices one alone may have been cut, so there the status is believed. An answer that
    is said to be cut a little before the cap was cut by it.
    """
    ceiling = plan.allocation.ceiling
    if not plan.allocation.ours or not truncated(plan, outcome):
        return False
    believed = plan.call.n > 1 or not outcome.exact
    short = max(_SLACK, round(_SHORT * (ceiling or 0)))
    return believed or _at_cap(outcome, ceiling, plan.call.n, short)


def _at_cap(outcome: Outcome, ceiling: int | None, n: int, short: int = 0) -> bool:
    """Whether output reaches the cap in force, or is ``short`` tokens below it at most."""
    used = outcome.usage.output_tokens if outcome.usage else None
    if ceiling is None or used is None:
        return False
    most = ceiling * n
    return most - short <= used <= most + _SLACK


def may_resend(plan: Plan, outcome: Outcome) -> bool:
    """Whether an answer cut by our own cap is asked for again without that cap.

    Not where it already reached the client (streams), where sending twice would repeat side
    effects, or where more than 40 % of the client's timeout has passed.
    """
    call = plan.call
    if call.stream or not call.resendable or plan.attempt >= _MOST_ATTEMPTS:
        return False
    if not cut_by_us(plan, outcome):
        return False
    spent = outcome.seconds or 0.0
    return call.timeout is None or spent <= _SHARE_OF_TIMEOUT * call.timeout


def may_retry(plan: Plan, outcome: Outcome) -> bool:
    """Whether a refusal that names a parameter of ours is tried again without it."""
    return outcome.rejected is not None and plan.attempt < _MOST_ATTEMPTS
