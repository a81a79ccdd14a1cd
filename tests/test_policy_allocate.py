from __future__ import annotations

from typing import Any

import pytest

from budget_proxy.policy.allocate import allocate, terms_of
from budget_proxy.policy.base import AgentPolicy, Policy
from budget_proxy.policy.evidence import Gate
from budget_proxy.scope import merge
from budget_proxy.types import Allocation, Call, Capabilities, Override
from tests.makers import call, forecast, session

OPEN = Gate(("reviewer", "review", "gpt-5.4"), 34, 1.0)
COUNTED = Capabilities(max_output=128_000, counts_cap=True, known=True)
# q50 .. q99: 1.5 x q99 = 1.5 x 2,000 = 3,000
LENGTHS = forecast(500, 800, 1000, 1200, 2000)


def _allocate(
    its_call: Call | None = None,
    capabilities: Capabilities = COUNTED,
    policy: Policy | None = None,
    gate: Gate = OPEN,
    arm: str = "treatment",
    **given: Any,
) -> Allocation:
    asked, rules = its_call or call(), policy or Policy()
    belongs = session(arm=arm)
    terms = terms_of(asked, rules, gate, belongs, "reviewer")
    facts: dict[str, Any] = {"agent": "reviewer", "thinking": None, "effort": None, **given}
    lengths = facts.pop("lengths", LENGTHS)
    return allocate(asked, lengths, capabilities, rules, gate, belongs, terms, **facts)


def test_the_four_numbers() -> None:
    """Target q60, recommended and reserve q95 of the forecast; cap 1.5 x q99 = 3,000.

    q60 lies .4 of the way from ln 500 to ln 800: 500 x 1.6^.4 = 603.4.
    """
    given = _allocate()
    assert (given.target, given.recommended, given.reserve, given.cap) == (603, 800, 1200, 3000)
    assert given.ours
    assert given.ceiling == 3000
    assert "q99 2000" in given.reason


def test_the_floor_holds_where_answers_are_short() -> None:
    """1.5 x 100 is below 1,024."""
    assert _allocate(lengths=forecast(10, 20, 30, 50, 100)).cap == 1024


def test_reasoning_models_have_a_floor_of_25000() -> None:
    """Reasoning that eats the cap leaves an empty answer, billed."""
    reasons = Capabilities(max_output=128_000, counts_cap=True, reasoning=True)
    assert _allocate(capabilities=reasons).cap == 25_000
    assert _allocate(call(effort="none"), capabilities=reasons).cap == 3000


@pytest.mark.parametrize(
    ("its_call", "capabilities"),
    [
        (call(stream=True), COUNTED),
        (call(schema=True), COUNTED),
        (call(forced_tool=True), COUNTED),
        (call(resendable=False), COUNTED),
        (call(cappable=False), COUNTED),
        (call(), Capabilities(max_output=128_000)),
        (call(ceiling=2500), COUNTED),
        (call(), Capabilities(max_output=2500, counts_cap=True)),
    ],
    ids=[
        "streamed", "schema", "forced tool", "side effects", "prediction", "not counted",
        "caller's ceiling is lower", "model's ceiling is lower",
    ],
)  # fmt: skip
def test_by_default_no_cap_is_written_where_it_buys_nothing(
    its_call: Call, capabilities: Capabilities
) -> None:
    """Caps = quota: only plain calls to providers that count max_tokens against quota."""
    given = _allocate(its_call, capabilities)
    assert given.cap is None
    assert not given.ours
    assert "no cap" in given.reason


def test_caps_always_covers_streams_and_providers_that_do_not_count() -> None:
    """The named option for those who want a hard cap everywhere it is safe."""
    policy = Policy(caps="always")
    assert _allocate(call(stream=True), Capabilities(), policy).cap == 3000
    assert _allocate(call(resendable=False), Capabilities(), policy).cap is None


def test_the_runaway_guard_is_four_times_as_wide_where_quota_would_write_nothing() -> None:
    """4 x 3,000 on a stream, 3,000 on a plain counted call."""
    policy = Policy(caps="runaway")
    assert _allocate(call(stream=True), policy=policy).cap == 12_000
    assert _allocate(policy=policy).cap == 3000
    assert _allocate(policy=Policy(caps="never")).cap is None


def test_a_truncated_group_gets_wider_budgets_at_once() -> None:
    """Widened twice: cap 1.5 x 2,000 x 2 = 6,000, reserve 1,200 x 2."""
    given = _allocate(gate=Gate(OPEN.group, 34, 2.0))
    assert (given.cap, given.reserve) == (6000, 2400)
    assert "widened 2 x" in given.reason


def test_the_floor_widens_too() -> None:
    """Where it binds it is what cut the answer: 2 x 1,024."""
    short = forecast(10, 20, 30, 50, 100)
    assert _allocate(lengths=short, gate=Gate(OPEN.group, 34, 2.0)).cap == 2048


@pytest.mark.parametrize(
    ("policy", "gate", "arm", "says"),
    [
        (Policy(mode="observe"), OPEN, "treatment", "mode is observe"),
        (Policy(), Gate(None, 7, 1.0), "treatment", "7 of 20 outcomes"),
        (Policy(), OPEN, "holdout", "holdout"),
        (Policy(mode="guide"), OPEN, "treatment", "guide: 34 outcomes"),
        (Policy(agents={"reviewer": AgentPolicy(mode="observe")}), OPEN, "treatment", "observe"),
    ],
)
def test_nothing_is_capped_without_mode_evidence_and_treatment(
    policy: Policy, gate: Gate, arm: str, says: str
) -> None:
    """Each time the reason says why."""
    given = _allocate(policy=policy, gate=gate, arm=arm)
    assert given.cap is None
    assert says in given.reason


@pytest.mark.parametrize("arm", ["treatment", "holdout"])
def test_the_callers_own_cap_always_applies_and_is_never_ours(arm: str) -> None:
    """Without evidence, on streams, in the holdout; a resend never undoes it."""
    asked = call(override=Override(cap=300), stream=True)
    given = _allocate(asked, Capabilities(), gate=Gate(None, 0, 1.0), arm=arm)
    assert given.cap == 300
    assert not given.ours
    assert given.ceiling == 300
    assert given.overridden


def test_the_lowest_of_the_callers_caps_wins() -> None:
    """A cap never raises what the body says."""
    assert _allocate(call(override=Override(cap=300), ceiling=200)).cap == 200


def test_observe_in_the_same_override_beats_the_cap() -> None:
    """`mode: observe` beats the rest of it."""
    assert _allocate(call(override=Override(cap=300, mode="observe"))).cap is None


def test_an_outer_observe_leaves_the_callers_cap_standing() -> None:
    """A client wrapped to observe, and one call with a cap: only the cap is written."""
    inner, outer = Override(cap=300), Override(mode="observe")
    given = _allocate(call(override=merge(inner, outer)))
    assert (given.cap, given.mode) == (300, "observe")
    assert _allocate(call(override=merge(Override(mode="observe"), inner))).cap is None


@pytest.mark.parametrize(
    ("override", "leaves"),
    [
        (Override(cap=300), True),
        (Override(effort="low"), True),
        (Override(guidance=False), True),
        (Override(mode="observe"), True),
        (Override(off=True), True),
        (Override(effort="auto"), False),
        (Override(thinking="auto"), False),
        (Override(mode="enforce"), False),
    ],
)
def test_what_takes_the_arms_place_leaves_the_analysis(override: Override, *, leaves: bool) -> None:
    """A steer that was handed over is the arm's to give."""
    assert _allocate(call(override=override)).overridden is leaves


def test_a_signed_body_is_left_alone() -> None:
    """Changing it would break the signature."""
    given = _allocate(call(signed=True, override=Override(cap=300)))
    assert given.cap is None
    assert given.mode == "observe"


def test_without_history_a_reasoning_model_reserves_25000_within_its_ceiling() -> None:
    """Min(caller's cap or the model's ceiling, the prior's q95), at least 25,000."""
    shut = Gate(None, 0, 1.0)
    reasons = Capabilities(max_output=128_000, reasoning=True)
    assert _allocate(capabilities=reasons, gate=shut).reserve == 25_000
    assert _allocate(call(ceiling=4096), reasons, gate=shut).reserve == 4096
    assert _allocate(gate=shut).reserve == 1200


def test_every_choice_is_reserved_for() -> None:
    """N multiplies the reserve and nothing else."""
    given = _allocate(call(n=3))
    assert given.reserve == 3600
    assert given.recommended == 800
