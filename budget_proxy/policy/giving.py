"""What a session is given, once: guidance, thinking, effort, model (design decisions 4 and 10).

A steer that changed from call to call would break the provider's prompt cache, so it is
chosen on a call without assistant turns and kept. What the caller set stays the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from budget_proxy.policy.allocate import Terms
from budget_proxy.policy.base import Policy
from budget_proxy.types import (
    Call,
    Capabilities,
    Guidance,
    GuidanceForm,
    Patch,
    Session,
    Thinking,
)

Compose = Callable[[GuidanceForm], Guidance | None]


def give(
    session: Session,
    call: Call,
    terms: Terms,
    policy: Policy,
    agent: str,
    *,
    compose: Compose,
    thinking: Thinking | None,
    effort: str | None,
) -> Session:
    """The session with what it is given by this call, if anything; else the same object."""
    if not call.starts:
        return session
    if session.guidance is None and _guided(call, terms):
        form = policy.of(agent).guidance or policy.guidance
        if form == "off" and call.override.guidance:
            form = "compact"
        note = compose(form)
        if note is not None:
            session = replace(session, guidance=note)
    if not session.decided and terms.acting:
        hands_thinking, hands_effort = _handed_over(call, policy, agent)
        if hands_thinking or hands_effort:
            session = replace(
                session,
                decided=True,
                thinking=thinking if hands_thinking else None,
                effort=effort if hands_effort or (hands_thinking and thinking is None) else None,
            )
    return session


def patch_for(
    session: Session,
    call: Call,
    terms: Terms,
    *,
    cap: int | None,
    include_usage: bool,
    capabilities: Capabilities,
    model: str | None,
) -> Patch:
    """What is written into this call's body, of what the session was given and the cap."""
    asked = call.override
    untouched = call.signed or asked.off
    quiet = untouched or terms.mode == "observe"
    own_effort = asked.effort if asked.effort not in {None, "auto"} and not quiet else None
    steers = terms.writable
    leaves_thinking = call.thinking is not None or not steers
    leaves_effort = call.effort is not None or not steers
    effort = own_effort if own_effort in capabilities.efforts else None
    if effort is None and not leaves_effort:
        effort = session.effort
    shown = session.guidance is not None and asked.guidance is not False and not quiet
    return Patch(
        cap=cap,
        thinking=None if leaves_thinking else session.thinking,
        effort=effort,
        guidance=session.guidance if shown and (steers or asked.guidance) else None,
        include_usage=include_usage and call.stream and not call.usage_asked and not untouched,
        model=model,
    )


def _guided(call: Call, terms: Terms) -> bool:
    asked = call.override.guidance
    if asked is False or terms.mode == "observe":
        return False
    return terms.acting or asked is True


def _handed_over(call: Call, policy: Policy, agent: str) -> tuple[bool, bool]:
    asked, own = call.override, policy.of(agent)
    thinking = asked.thinking or own.thinking or policy.thinking
    effort = asked.effort or own.effort or policy.effort
    return thinking == "auto" and call.thinking is None, effort == "auto" and call.effort is None
