from __future__ import annotations

import pytest

from budget_proxy.policy.escalate import may_resend, may_retry, truncated
from budget_proxy.types import Outcome, Usage
from tests.makers import allocation, call, plan

CUT = Outcome(usage=Usage(output_tokens=150), finish_reason="length", seconds=1.0)


def test_an_answer_cut_by_our_cap_is_sent_again() -> None:
    """The closed loop on truncation."""
    assert may_resend(plan(), CUT)


def test_output_that_reaches_the_cap_counts_as_cut_whatever_the_status() -> None:
    """llama.cpp's responses report a cut answer as finished."""
    finished = Outcome(usage=Usage(output_tokens=150), finish_reason="stop")
    assert truncated(plan(), finished)
    assert not truncated(plan(), Outcome(usage=Usage(output_tokens=149), finish_reason="stop"))


def test_with_several_choices_the_cap_is_each_ones() -> None:
    """150 tokens of two choices are 75 each."""
    two = plan(call=call(n=2))
    assert not truncated(two, Outcome(usage=Usage(output_tokens=150)))
    assert truncated(two, Outcome(usage=Usage(output_tokens=300)))


def test_an_answer_without_usage_or_cap_is_not_cut() -> None:
    """Absent usage is unknown, not zero and not the cap."""
    assert not truncated(plan(), Outcome(usage=None))
    assert not truncated(
        plan(allocation=allocation(cap=None, ceiling=None)),
        CUT.__class__(usage=Usage(output_tokens=9999)),
    )


@pytest.mark.parametrize(
    "given",
    [
        {"call": call(stream=True)},
        {"call": call(resendable=False)},
        {"allocation": allocation(ours=False)},
        {"attempt": 3},
        {"call": call(timeout=2.4)},
    ],
    ids=["streamed", "side effects", "caller's cap", "third attempt", "over 40 % of timeout"],
)
def test_it_is_not_sent_again_where_that_could_do_harm(given: dict[str, object]) -> None:
    """1.0 s is 41.7 % of 2.4 s."""
    assert not may_resend(plan(**given), CUT)


def test_40_percent_of_the_timeout_is_still_in_time() -> None:
    """1.0 s of 2.5 s."""
    assert may_resend(plan(call=call(timeout=2.5)), CUT)


def test_only_a_refused_parameter_of_ours_is_tried_again() -> None:
    """Other 400s are the caller's business."""
    assert may_retry(plan(), Outcome(finish_reason="error", status=400, rejected="max_tokens"))
    assert not may_retry(plan(), Outcome(finish_reason="error", status=400))
