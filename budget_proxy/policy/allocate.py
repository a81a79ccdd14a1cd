"""From a forecast to an allocation: the four numbers, whether they are written, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from budget_proxy.policy.base import Policy
from budget_proxy.policy.evidence import Gate
from budget_proxy.types import (
    Allocation,
    Call,
    Capabilities,
    CapPolicy,
    Forecast,
    Mode,
    Patch,
    Session,
    Thinking,
    frozen,
)

_HEADROOM: Final = 1.5
_RUNAWAY: Final = 4.0
_TARGET: Final = 0.60
_RESERVE: Final = 0.95
_UNKNOWN_REASONING_RESERVE: Final = 25_000


@frozen
class Terms:
    """What may be done to one call, and the reason.

    ``writable`` says that mode and arm allow it (so that a session keeps what it was given);
    ``acting`` that there is evidence for something new, too.
    """

    mode: Mode
    writable: bool
    acting: bool
    reason: str


def terms_of(call: Call, policy: Policy, gate: Gate, session: Session, agent: str) -> Terms:
    """Mode, arm and evidence gate (design decisions 8 and 14), with the reason."""
    mode = call.override.mode or policy.of(agent).mode or policy.mode
    if call.signed:
        return _observed("observe", "a signed body is not changed")
    if call.override.off:
        return _observed("observe", "switched off for this call")
    if mode == "observe":
        return _observed(mode, "mode is observe")
    if session.arm == "holdout":
        return _observed(mode, "this session is in the holdout")
    if not gate.open:
        progress = f"{gate.support} of {policy.evidence} outcomes of this agent and model so far"
        return Terms(mode, writable=True, acting=False, reason=f"observed: {progress}")
    group = " + ".join(gate.group or ())
    reason = f"{mode}: {gate.support} outcomes of {group}"
    return Terms(mode, writable=True, acting=True, reason=reason)


def _observed(mode: Mode, why: str) -> Terms:
    return Terms(mode, writable=False, acting=False, reason=f"observed: {why}")


def allocate(
    call: Call,
    forecast: Forecast,
    capabilities: Capabilities,
    policy: Policy,
    gate: Gate,
    session: Session,
    terms: Terms,
    *,
    agent: str,
    thinking: Thinking | None,
    effort: str | None,
) -> Allocation:
    """The allocation of one call (design decisions 5 and 6), all numbers in tokens.

    ``thinking`` and ``effort`` are what the policy would set; they are always shown, and
    written (``steered``) by what the session was given.
    """
    own = _least(call.ceiling, capabilities.max_output)
    cap, ours, why = _cap(call, forecast, capabilities, policy, gate, terms, agent, own)
    ceiling = _least(cap, call.ceiling)
    return Allocation(
        target=round(forecast.quantile(_TARGET)),
        recommended=forecast.recommended,
        reserve=_reserve(call, forecast, capabilities, gate, _least(cap, own)),
        cap=cap,
        mode=terms.mode,
        arm=session.arm,
        reason=f"{terms.reason}; {why}",
        confidence=forecast.confidence,
        thinking=thinking,
        effort=effort,
        ceiling=ceiling,
        ours=ours,
        propensity=session.propensity,
        overridden=_overridden(call),
    )


def as_written(allocation: Allocation, call: Call, wished: Patch, written: Patch) -> Allocation:
    """The allocation as the body really got it: what could not be written is told."""
    lost = [
        name
        for name in ("cap", "thinking", "effort", "guidance")
        if getattr(wished, name) is not None and getattr(written, name) is None
    ]
    reason = allocation.reason
    if lost:
        reason = f"{reason}; not written, since this body cannot carry it: {', '.join(lost)}"
    return replace(
        allocation,
        cap=written.cap,
        ours=allocation.ours and written.cap is not None,
        ceiling=_least(written.cap, call.ceiling),
        steered=written.thinking is not None or written.effort is not None,
        model=written.model,
        reason=reason,
    )


def _cap(
    call: Call,
    forecast: Forecast,
    capabilities: Capabilities,
    policy: Policy,
    gate: Gate,
    terms: Terms,
    agent: str,
    own: int | None,
) -> tuple[int | None, bool, str]:
    """The cap to write, whether it is ours (and not the caller's), and why."""
    asked = call.override.cap
    silenced = call.override.mode == "observe" or call.override.off
    if asked is not None and (call.override.cap_stands or not silenced):
        if call.signed or not call.cappable:
            return None, False, "cap asked for, but this body cannot carry one"
        return min(asked, own or asked), False, f"cap {asked}: the caller's own"
    if not terms.acting or terms.mode != "enforce":
        return None, False, "no cap"
    caps = policy.of(agent).caps or policy.caps
    factor, why = _factor(call, capabilities, caps)
    if factor is None:
        return None, False, why
    floor = policy.reasoning_floor if _reasons(call, capabilities) else policy.floor
    high = forecast.quantile(0.99) * gate.widening
    cap = round(factor * max(_HEADROOM * high, floor * gate.widening))
    if own is not None and cap >= own:
        return None, False, f"no cap: {cap} would not be below the ceiling {own}"
    wider = f", widened {gate.widening:.2g} x after a truncation" if gate.widening > 1 else ""
    return cap, True, f"cap {cap}: {why} at q99 {high:.0f}, floor {floor}{wider}"


def _factor(call: Call, capabilities: Capabilities, caps: CapPolicy) -> tuple[float | None, str]:
    """What the plain cap is multiplied by, or ``None`` where none is written, and why."""
    plain = not (call.stream or call.forced_tool or call.schema)
    barred = _barred(call, caps)
    if barred is not None:
        return None, f"no cap: {barred}"
    if caps == "always" or (plain and capabilities.counts_cap):
        return 1.0, f"caps = {caps}"
    if caps == "runaway":
        return _RUNAWAY, "runaway guard"
    if not plain:
        return None, "no cap: streams and forced formats keep the caller's"
    return None, "no cap: this provider does not count it against quota"


def _barred(call: Call, caps: CapPolicy) -> str | None:
    if caps == "never":
        return "caps = never"
    if not call.cappable:
        return "this body cannot carry one"
    if not call.resendable:
        return "sending again could repeat side effects"
    return None


def _reserve(
    call: Call, forecast: Forecast, capabilities: Capabilities, gate: Gate, limit: int | None
) -> int:
    """q95 for all choices; without history at least 25,000 a choice on reasoning models."""
    each = round(forecast.quantile(_RESERVE) * gate.widening)
    if not gate.open and _reasons(call, capabilities):
        each = max(each, _UNKNOWN_REASONING_RESERVE)
    return call.n * (each if limit is None else min(each, limit))


def _reasons(call: Call, capabilities: Capabilities) -> bool:
    """Whether hidden reasoning may eat into a cap: the model can, and it is not switched off."""
    return capabilities.reasoning and (call.effort or capabilities.default_effort) != "none"


def _overridden(call: Call) -> bool:
    """Whether the caller's word took the place of the arm's; a steer handed over does not."""
    asked = call.override
    own_effort = asked.effort not in {None, "auto"}
    own_words = asked.cap is not None or asked.guidance is not None or own_effort
    return own_words or asked.off or asked.mode == "observe"


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)
