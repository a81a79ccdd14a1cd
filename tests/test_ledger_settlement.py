from __future__ import annotations

from budget_proxy.ledger.settlement import Identity, record_of, settled
from budget_proxy.types import CallRecord, Guidance, Outcome, Patch, Plan, Scope, Usage
from tests.makers import allocation, call, plan, record


def _row(its_plan: Plan, outcome: Outcome) -> CallRecord:
    usage = settled(its_plan, outcome, 0)
    return record_of(its_plan, outcome, usage, Identity(), truncated=False, cut_by_us=False)


def test_exact_usage_is_accounted_as_it_is() -> None:
    """No margin on what the provider reported."""
    usage = Usage(input_tokens=5, output_tokens=70, reasoning_tokens=9)
    assert settled(plan(), Outcome(usage=usage), 1000) == usage


def test_an_error_costs_nothing() -> None:
    """A refused or failed attempt: zero."""
    usage = settled(plan(), Outcome(finish_reason="error", status=500), 1000)
    assert (usage.input_tokens, usage.output_tokens) == (0, 0)


def test_an_estimate_gets_a_margin_within_the_reserve() -> None:
    """Seen 100: 1.2 x 100 + 50 = 170 <= reserve 400."""
    seen = Outcome(usage=Usage(output_tokens=100), exact=False, finish_reason="cancelled")
    usage = settled(plan(), seen, 50)
    assert usage.output_tokens == 170
    assert usage.input_tokens == 12


def test_an_estimate_never_passes_the_reserve_nor_falls_below_what_was_seen() -> None:
    """1.2 x 390 = 468 > 400; seen 900 stays 900."""
    cut = Outcome(usage=Usage(output_tokens=390), exact=False, finish_reason="cancelled")
    assert settled(plan(), cut, 0).output_tokens == 400
    long = Outcome(usage=Usage(output_tokens=900), exact=False, finish_reason="cancelled")
    assert settled(plan(), long, 0).output_tokens == 900


def test_a_timeout_is_estimated_at_the_target() -> None:
    """Nothing was seen: 1.2 x 120 + 30 = 174."""
    timeout = Outcome(finish_reason="error", exact=False, status=0)
    assert settled(plan(), timeout, 30).output_tokens == 174


def test_the_row_tells_what_was_written_and_not_what_was_only_computed() -> None:
    """Effort is in the row where the body got it."""
    shown = plan(allocation=allocation(effort="low"))
    written = plan(allocation=allocation(effort="low"), patch=Patch(effort="low"))
    rows = [_row(p, Outcome(usage=Usage(1, 2))) for p in (shown, written)]
    assert [row.effort for row in rows] == [None, "low"]


def test_usage_that_nobody_reported_is_an_estimate() -> None:
    """Whatever the caller of settle() says: the row is not exact, and teaches nothing."""
    outcome = Outcome(finish_reason="stop")
    row = _row(plan(), outcome)
    assert not row.exact
    assert not row.has_length
    assert _row(plan(), Outcome(finish_reason="error")).exact


def test_characters_are_kept_only_where_they_tell_the_tokens() -> None:
    """Images and a history at the provider would spoil the learned ratio."""
    outcome = Outcome(usage=Usage(1, 2))
    assert _row(plan(call=call(input_chars=50)), outcome).input_chars == 50
    for odd in ({"images": 1}, {"previous_response": "r"}, {"conversation": "c"}):
        assert _row(plan(call=call(input_chars=50, **odd)), outcome).input_chars == 0


def test_the_row_holds_pseudonyms_and_the_guidances_cost_but_no_text() -> None:
    """No prompt text, no user id."""
    asked = call(scope=Scope(user="alice", task="t-1", tags=("a", "b")))
    noted = Patch(guidance=Guidance("g1", "Aim for 128 tokens.", tokens=6))
    row = record_of(
        plan(call=asked, patch=noted),
        Outcome(),
        Usage(1, 2),
        Identity(user="pseudonym", instance="i"),
        truncated=True,
        cut_by_us=True,
    )
    assert (row.user, row.task, row.tags) == ("pseudonym", "t-1", ("a", "b"))
    assert (row.guidance, row.guidance_tokens) == ("g1", 6)
    assert "hello" not in repr(row)
    assert "alice" not in repr(row)
    assert row.cut_by_us


def test_only_answers_with_known_tokens_tell_a_length() -> None:
    """Errors, cancellations, absent and estimated usage teach nothing."""
    assert record().has_length
    assert not record(finish_reason="error", output_tokens=0).has_length
    assert not record(finish_reason="cancelled").has_length
    assert not record(output_tokens=None).has_length
    assert not record(exact=False).has_length
