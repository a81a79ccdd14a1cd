from __future__ import annotations

import pytest

from budget_proxy.policy.escalate import cut_by_us, may_resend, may_retry, truncated
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


def test_output_well_beyond_the_cap_was_counted_otherwise() -> None:
    """A server-side compaction adds tokens that no cap bounds."""
    assert truncated(plan(), Outcome(usage=Usage(output_tokens=166)))
    assert not truncated(plan(), Outcome(usage=Usage(output_tokens=167)))


def test_an_answer_that_ends_for_length_below_our_cap_met_the_end_of_the_window() -> None:
    """It is cut, but not by us: nothing is sent again and nothing widened."""
    early = Outcome(usage=Usage(output_tokens=30), finish_reason="length", seconds=1.0)
    assert truncated(plan(), early)
    assert not cut_by_us(plan(), early)
    assert not may_resend(plan(), early)


@pytest.mark.parametrize(("used", "ours"), [(150, True), (146, True), (134, True), (133, False)])
def test_an_answer_said_to_be_cut_a_little_before_our_cap_was_cut_by_it(
    used: int, *, ours: bool
) -> None:
    """Some hosts stop a few tokens early: up to 16, or 2 % of the cap, are no end of the window."""
    early = Outcome(usage=Usage(output_tokens=used), finish_reason="length", seconds=1.0)
    assert (cut_by_us(plan(), early), may_resend(plan(), early)) == (ours, ours)


def test_of_several_choices_one_alone_may_have_been_cut() -> None:
    """Its share of the tokens is not told, so the status is believed."""
    one = Outcome(usage=Usage(output_tokens=200), finish_reason="length", seconds=1.0)
    assert cut_by_us(plan(call=call(n=2)), one)


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
