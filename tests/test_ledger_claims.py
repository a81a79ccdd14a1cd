"""What a call claims: by prediction, in the worst case, and in money."""

from __future__ import annotations

import pytest

from budget_proxy.ledger.claims import MOST_OUTPUT, Claim, claim_of
from budget_proxy.ledger.limits import UNITS, Unit
from budget_proxy.ledger.tempo import Tempo
from budget_proxy.types import Plan, Scope, Usage
from budget_proxy.wire.prices import LISTED
from tests.makers import NOW, allocation, call, plan

ALL: frozenset[Unit] = frozenset(UNITS)


def claimed(told: Plan, most: int | None = 16_000) -> Claim:
    """The claim of a plan in every unit, by real prices."""
    return claim_of(told, "u", most, LISTED.charge, ALL, Tempo())


def test_a_call_claims_its_reserve_and_at_worst_its_cap() -> None:
    """Input as estimated; the reserve is for all choices, and so is the worst case."""
    found = claimed(plan(call=call(n=3), allocation=allocation(reserve=900, ceiling=500)))
    assert (found.shares["output_tokens"].reserve, found.shares["output_tokens"].worst) == (
        900,
        1500,
    )
    assert (found.shares["tokens"].reserve, found.shares["tokens"].worst) == (912, 1512)
    assert found.shares["tokens"].mean == pytest.approx(found.shares["output_tokens"].mean + 12)
    assert found.shares["tokens"].variance == found.shares["output_tokens"].variance


@pytest.mark.parametrize(
    ("ceiling", "most", "worst"),
    [
        (None, 16_000, 16_000),
        (None, None, MOST_OUTPUT),
        (500, 16_000, 500),
        (90_000, 16_000, 16_000),
    ],
)
def test_without_a_cap_the_models_own_maximum_is_the_worst(
    ceiling: int | None, most: int | None, worst: int
) -> None:
    """An unknown model may give much."""
    found = claimed(plan(allocation=allocation(ceiling=ceiling)), most)
    assert found.shares["output_tokens"].worst == worst


def test_money_is_priced_input_and_output_apart() -> None:
    """gpt-5-mini: $0.25 and $2 a million tokens, in nano-dollars."""
    told = plan(call=call(model="gpt-5-mini"), allocation=allocation(reserve=400, ceiling=1000))
    share = claimed(told).shares["usd"]
    assert share.reserve == 12 * 250 + 400 * 2_000
    assert share.worst == 12 * 250 + 1000 * 2_000
    tokens = claimed(told).shares["output_tokens"]
    assert share.mean == pytest.approx(12 * 250 + 2_000 * tokens.mean)


def test_a_cache_that_may_be_written_is_in_the_worst_case() -> None:
    """claude-sonnet-5-5: written input costs $2.50 a million in place of $2."""
    told = plan(
        call=call(api="anthropic.messages", model="claude-sonnet-5-5", host="api.anthropic.com"),
        input_tokens=10_000,
        allocation=allocation(reserve=400, ceiling=400),
    )
    share = claimed(told).shares["usd"]
    assert share.worst - share.reserve == 10_000 * 500


@pytest.mark.parametrize(("tier", "dearer"), [("priority", True), ("flex", False), (None, False)])
def test_a_dearer_tier_that_is_asked_for_is_claimed(tier: str | None, dearer: bool) -> None:
    """At what an answer in that tier costs; a cheaper one may be answered by the plain one."""
    facts = {"model": "gpt-5.5", "host": "api.openai.com"}
    given = allocation(reserve=400, ceiling=1000)
    share = claimed(plan(call=call(**facts, tier=tier), allocation=given)).shares["usd"]
    plain = claimed(plan(call=call(**facts), allocation=given)).shares["usd"]
    for name in ("reserve", "worst", "mean"):
        assert (getattr(share, name) > getattr(plain, name)) is dearer, name
    usage = Usage(12, 1000)
    cost, _ = LISTED.charge("openai.chat", "gpt-5.5", "api.openai.com", usage, tier, NOW)
    assert share.worst >= cost


def test_an_unknown_price_claims_the_dearest_and_says_so() -> None:
    """A model that nobody knows is not free."""
    found = claimed(plan(call=call(model="nobody-knows-it")))
    nano, known = LISTED.charge(
        "openai.chat", "nobody-knows-it", "", Usage(12, 400), None, found.now
    )
    assert (found.shares["usd"].reserve, found.priced, known) == (nano, False, False)
    assert claimed(plan(call=call(model="gpt-5-mini"))).priced


def test_what_is_held_is_as_wide_as_the_reserve() -> None:
    """Where a reserve was raised for want of history, so is what the call adds to a sum."""
    plain = claimed(plan(allocation=allocation(reserve=400, ceiling=None)))
    raised = claimed(plan(allocation=allocation(reserve=4000, ceiling=None)))
    assert raised.shares["output_tokens"].mean == pytest.approx(
        10 * plain.shares["output_tokens"].mean
    )


def test_whose_it_is() -> None:
    """Names of the call's scope; the user by pseudonym; a run with those above it."""
    scope = Scope(key="bk_1", user="ann", task="t", tags=("red",), run="ticket/fix")
    whose = claimed(plan(call=call(scope=scope))).whose
    assert (whose.key, whose.user, whose.agent, whose.task) == ("bk_1", "u", "reviewer", "t")
    assert (whose.tags, whose.runs) == (("red",), ("ticket", "ticket/fix"))
