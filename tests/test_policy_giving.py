from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from budget_proxy.policy.allocate import Terms
from budget_proxy.policy.base import AgentPolicy, Policy
from budget_proxy.policy.giving import give, patch_for
from budget_proxy.types import (
    Call,
    Guidance,
    GuidanceForm,
    Override,
    Patch,
    Session,
    Thinking,
)
from tests.makers import call, session

ACTING = Terms("enforce", writable=True, acting=True, reason="")
WAITING = Terms("enforce", writable=True, acting=False, reason="")
OBSERVING = Terms("observe", writable=False, acting=False, reason="")
HELD_OUT = Terms("enforce", writable=False, acting=False, reason="")
NOTE = Guidance("g1", "Aim for 128 tokens.", tokens=6)
THINKING = Thinking("enabled", 2048)
AUTO = Policy(thinking="auto", effort="auto")


def _compose(form: GuidanceForm) -> Guidance | None:
    return None if form == "off" else replace(NOTE, id=f"g-{form}")


def _give(
    its_call: Call,
    terms: Terms = ACTING,
    policy: Policy | None = None,
    given: Session | None = None,
) -> Session:
    return give(
        given or session(), its_call, terms, policy or Policy(), "reviewer",
        compose=_compose, thinking=THINKING, effort="low",
    )  # fmt: skip


def _patch(
    given: Session, its_call: Call, terms: Terms = ACTING, policy: Policy = AUTO, **facts: Any
) -> Patch:
    settings: dict[str, Any] = {"cap": None, "model": None, **facts}
    return patch_for(given, its_call, terms, policy, "reviewer", **settings)


def test_guidance_starts_on_a_call_without_assistant_turns() -> None:
    """And on no other, so that no cached prefix of a running conversation changes."""
    assert _give(call()).guidance is not None
    assert _give(call(starts=False)).guidance is None


@pytest.mark.parametrize("terms", [WAITING, OBSERVING, HELD_OUT])
def test_guidance_does_not_start_without_evidence_mode_and_treatment(terms: Terms) -> None:
    """The first day is safe."""
    assert _give(call(), terms).guidance is None


def test_a_session_keeps_the_note_it_has() -> None:
    """Byte for byte, whatever the forecast says by now."""
    carrying = session(guidance=NOTE)
    assert _give(call(), given=carrying) is carrying
    assert _patch(carrying, call(starts=False)).guidance == NOTE


def test_a_carried_note_is_written_again_even_if_evidence_is_gone() -> None:
    """After a restart with a shorter window, say."""
    assert _patch(session(guidance=NOTE), call(starts=False), WAITING).guidance == NOTE


@pytest.mark.parametrize(
    ("override", "terms"),
    [(Override(guidance=False), ACTING), (Override(off=True), ACTING), (Override(), OBSERVING)],
    ids=["guidance off", "all off", "observe"],
)
def test_the_off_switches_leave_the_note_out(override: Override, terms: Terms) -> None:
    """By call, by everything, by mode."""
    assert _patch(session(guidance=NOTE), call(override=override), terms).guidance is None


def test_the_form_comes_from_the_agents_policy_first() -> None:
    """And a call that asks for guidance where it is off gets the compact form."""
    agents = {"reviewer": AgentPolicy(guidance="off")}
    policy = Policy(guidance="detailed", agents=agents)
    assert _give(call(), policy=policy).guidance is None
    asked = _give(call(override=Override(guidance=True)), policy=policy)
    assert asked.guidance == replace(NOTE, id="g-compact")
    assert _give(call(), policy=Policy(guidance="detailed")).guidance == replace(
        NOTE, id="g-detailed"
    )


def test_thinking_and_effort_are_given_only_where_handed_over() -> None:
    """By setting, agent, or call; then fixed for the session."""
    untouched = _give(call())
    assert (untouched.thinking, untouched.effort, untouched.decided) == (None, None, False)
    by_policy = _give(call(), policy=AUTO)
    assert (by_policy.thinking, by_policy.effort, by_policy.decided) == (THINKING, "low", True)
    by_call = _give(call(override=Override(thinking="auto")))
    assert (by_call.thinking, by_call.effort) == (THINKING, None)


def test_a_steer_once_decided_does_not_change() -> None:
    """Changing effort from call to call breaks the provider's cache."""
    decided = session(decided=True, effort="high", guidance=NOTE)
    assert _give(call(), policy=AUTO, given=decided) is decided


def test_what_the_caller_set_in_the_body_is_left_alone() -> None:
    """An explicit effort or thinking setting is a choice."""
    given = session(decided=True, thinking=THINKING, effort="low")
    own = _patch(given, call(thinking="enabled", effort="high"))
    assert (own.thinking, own.effort) == (None, None)
    free = _patch(given, call())
    assert (free.thinking, free.effort) == (THINKING, "low")


def test_a_session_steers_only_the_calls_that_hand_over() -> None:
    """Another client or agent of the same session keeps its own defaults."""
    given = session(decided=True, thinking=THINKING, effort="low")
    keeps = _patch(given, call(), policy=Policy())
    assert (keeps.thinking, keeps.effort) == (None, None)


def test_guidance_off_leaves_out_the_note_that_a_session_carries() -> None:
    """By agent or for all; a call's own word goes before both."""
    carrying = session(guidance=NOTE)
    off = Policy(agents={"reviewer": AgentPolicy(guidance="off")})
    assert _patch(carrying, call(), policy=off).guidance is None
    assert _patch(carrying, call(), policy=Policy(guidance="off")).guidance is None
    asked = call(override=Override(guidance=True))
    assert _patch(carrying, asked, policy=off).guidance == NOTE


def test_a_note_asked_for_in_the_holdout_stays_for_the_session() -> None:
    """What a session carries does not come and go."""
    assert _patch(session(guidance=NOTE), call(starts=False), HELD_OUT).guidance == NOTE


def test_a_call_that_leaves_the_model_to_the_router_hands_the_steer_over_too() -> None:
    """It cannot set what fits a model it does not know."""
    by_router = give(
        session(), call(), ACTING, Policy(), "reviewer",
        compose=_compose, thinking=THINKING, effort="low", routed=True,
    )  # fmt: skip
    assert (by_router.thinking, by_router.effort) == (THINKING, "low")
    assert _patch(by_router, call(), policy=Policy(), routed=True).effort == "low"


def test_an_effort_named_by_the_override_is_the_callers_and_holds_in_the_holdout() -> None:
    """And never gives way to the session's: whether the model has the level, wire knows."""
    asked = call(override=Override(effort="high"))
    given = session(decided=True, effort="low")
    assert _patch(given, asked, HELD_OUT).effort == "high"
    assert _patch(given, asked, OBSERVING).effort is None
    assert _patch(given, call(override=Override(effort="max"))).effort == "max"


def test_metering_is_asked_for_on_streams_in_every_mode_and_arm() -> None:
    """Unless the caller asked already, switched it off, or signed the body."""
    for terms in (ACTING, OBSERVING, HELD_OUT):
        assert _patch(session(), call(stream=True), terms).include_usage
    assert not _patch(session(), call(stream=False)).include_usage
    assert not _patch(session(), call(stream=True, usage_asked=True)).include_usage
    assert not _patch(session(), call(stream=True, signed=True)).include_usage
    silent = Policy(include_usage=False)
    assert not _patch(session(), call(stream=True), policy=silent).include_usage


def test_observe_writes_nothing_but_the_metering() -> None:
    """Whatever the session carries."""
    carrying = session(guidance=NOTE, decided=True, thinking=THINKING, effort="low")
    assert _patch(carrying, call(stream=True), OBSERVING) == Patch(include_usage=True)
