"""What an attempt is accounted at, and the row it leaves in the history (design decision 11)."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Final

from budget_proxy.types import Call, CallRecord, Outcome, Plan, Usage, frozen

_MARGIN: Final = 1.2


@frozen
class Identity:
    """The pseudonyms that stand in the row for what must not be stored."""

    user: str | None = None
    response: str | None = None
    instance: str = ""


def is_exact(outcome: Outcome) -> bool:
    """Whether an attempt is accounted at what the provider reported, or at nothing."""
    known = outcome.usage is not None and outcome.usage.output_tokens is not None
    return outcome.exact and (known or outcome.finish_reason == "error")


def settled(plan: Plan, outcome: Outcome, reasoning_q95: int) -> Usage:
    """The usage an attempt is accounted at.

    Exact usage as it is. An attempt that failed before any answer: zero. An estimate at
    max(seen, min(reserve, 1.2 x estimate + q95 of the group's reasoning tokens)); where
    nothing was seen (a timeout), the estimate is the target.
    """
    usage = outcome.usage or Usage()
    if outcome.exact and usage.output_tokens is not None:
        return usage
    if is_exact(outcome):
        return Usage(input_tokens=0, output_tokens=0)
    seen = usage.output_tokens or 0
    estimate = seen or plan.allocation.target * plan.call.n
    bound = min(plan.allocation.reserve, round(_MARGIN * estimate) + reasoning_q95)
    return Usage(
        input_tokens=usage.input_tokens if usage.input_tokens is not None else plan.input_tokens,
        output_tokens=max(seen, bound),
        reasoning_tokens=usage.reasoning_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )


def record_of(
    plan: Plan,
    outcome: Outcome,
    usage: Usage,
    identity: Identity,
    *,
    truncated: bool,
    cut_by_us: bool,
) -> CallRecord:
    """The row of one attempt: what was written (``plan.patch``), and what came back."""
    call, given, wrote = plan.call, plan.allocation, plan.patch
    guidance = wrote.guidance
    return CallRecord(
        ts=call.now,
        api=call.api,
        model=call.model,
        call_id=call.id,
        attempt=plan.attempt,
        host=call.host,
        agent=plan.features.agent,
        session=plan.session.id,
        run=call.scope.run,
        task=call.scope.task,
        user=identity.user,
        key=call.scope.key,
        tags=call.scope.tags,
        **plan.characteristics.columns(),
        stream=call.stream,
        n=call.n,
        input_chars=call.input_chars if _tells_tokens(call) else 0,
        input_estimate=plan.input_tokens,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        exact=is_exact(outcome),
        finish_reason=outcome.finish_reason,
        truncated=truncated,
        cut_by_us=cut_by_us,
        ceiling=given.ceiling,
        status=outcome.status,
        seconds=outcome.seconds,
        **plan.forecast.columns(),
        target=given.target,
        recommended=given.recommended,
        reserve=given.reserve,
        cap=given.cap,
        thinking=wrote.thinking.kind if wrote.thinking else None,
        effort=wrote.effort,
        mode=given.mode,
        arm=given.arm,
        propensity=given.propensity,
        overridden=given.overridden,
        confidence=given.confidence,
        guidance=guidance.id if guidance else None,
        guidance_tokens=(guidance.tokens if guidance else 0) + sum(n.tokens for n in wrote.notes),
        tier=outcome.tier,
        rejected=outcome.rejected,
        response_id=identity.response,
        reason=given.reason,
        instance=identity.instance,
        pending=is_awaited(plan, outcome),
        signals=plan.features.signals,
    )


def is_awaited(plan: Plan, outcome: Outcome) -> bool:
    """Whether an answer is still being made although nobody waits, so that its usage is to come."""
    return outcome.pending and plan.call.background


def resettled(record: CallRecord, outcome: Outcome, *, truncated: bool) -> CallRecord:
    """The row in place of a pending one, now that the answer's end is known.

    Where that end tells no usage (a cancellation, say), the estimate stays. When the answer
    ended is not known, only when somebody asked; nor could our own cap have cut it, since an
    answer in the background gets none.
    """
    exact = is_exact(outcome)
    return replace(
        record,
        **_counts(outcome) if exact else {},
        exact=exact,
        finish_reason=outcome.finish_reason,
        truncated=truncated,
        seconds=None,
        tier=outcome.tier or record.tier,
        cost=None,
        prices=None,
        charged=None,
        pending=False,
    )


def _counts(outcome: Outcome) -> dict[str, Any]:
    """The columns of exact usage: that of an answer which never came is zero."""
    usage = outcome.usage
    if usage is None or usage.output_tokens is None:
        usage = Usage(input_tokens=0, output_tokens=0)
    return asdict(usage)


def _tells_tokens(call: Call) -> bool:
    """Whether a call's characters tell its input tokens: no images, no history elsewhere."""
    return not (call.images or call.previous_response or call.conversation)
