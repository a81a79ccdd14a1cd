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
    routed: bool = False,
) -> Session:
    """The session with what it is given by this call, if anything; else the same object.

    A call that leaves the model to the router (``routed``) hands thinking and effort over too.
    """
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
        hands_thinking, hands_effort = _handed_over(call, policy, agent, routed=routed)
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
    policy: Policy,
    agent: str,
    *,
    cap: int | None,
    model: str | None,
    routed: bool = False,
) -> Patch:
    """What is to be written into this call's body, of what the session was given and the cap."""
    asked = call.override
    untouched = call.signed or asked.off
    quiet = untouched or terms.mode == "observe"
    hands_thinking, hands_effort = _handed_over(call, policy, agent, routed=routed)
    effort = None
    if asked.effort not in {None, "auto"}:
        effort = None if quiet else asked.effort
    elif terms.writable and call.effort is None and (hands_effort or hands_thinking):
        effort = session.effort
    thinking = session.thinking if terms.writable and hands_thinking else None
    return Patch(
        cap=cap,
        thinking=thinking,
        effort=effort,
        guidance=None if quiet or not is_wanted(call, policy, agent) else session.guidance,
        include_usage=policy.include_usage and call.stream and not (call.usage_asked or untouched),
        model=model,
    )


def as_given(
    given: Session, before: Session, wished: Patch, written: Patch, model: str | None
) -> Session:
    """What a session was really given: what its first body could not carry it does not have.

    A note that it was told before stays, also while its message is away.
    """
    if before.guidance is None and written.guidance is None and given.guidance is not None:
        given = replace(given, guidance=None)
    if len(written.notes) < len(wished.notes):
        real = {*before.notes, *written.notes}
        given = replace(given, notes=tuple(note for note in given.notes if note in real))
    if model not in {None, given.model}:
        given = replace(given, model=model)
    return given


def is_wanted(call: Call, policy: Policy, agent: str) -> bool:
    """Whether a note may stand in this call: the call's own word first, then agent, then all."""
    asked = call.override.guidance
    if asked is not None:
        return asked
    return (policy.of(agent).guidance or policy.guidance) != "off"


def _guided(call: Call, terms: Terms) -> bool:
    asked = call.override.guidance
    if asked is False or terms.mode == "observe":
        return False
    return terms.acting or asked is True


def _handed_over(call: Call, policy: Policy, agent: str, *, routed: bool) -> tuple[bool, bool]:
    asked, own = call.override, policy.of(agent)
    thinking = asked.thinking or own.thinking or policy.thinking
    effort = asked.effort or own.effort or policy.effort
    return (
        (routed or thinking == "auto") and call.thinking is None,
        (routed or effort == "auto") and call.effort is None,
    )
