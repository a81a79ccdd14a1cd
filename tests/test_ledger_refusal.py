"""Refusals in words."""

from __future__ import annotations

from math import inf

import pytest

from budget_proxy.ledger.accounts import Account
from budget_proxy.ledger.limits import EACH, NANO, Limit
from budget_proxy.ledger.refusal import Refusal, amount_text, named

NOON = 1_790_000_000.0


def refusal(limit: Limit, **given: object) -> Refusal:
    """A refusal at noon of a call that asks for 500 of a limit that ends in an hour."""
    facts: dict[str, object] = {
        "limit": limit, "account": Account(limit.id, "", 0.0), "asked": 500, "used": 9_800,
        "held": 100, "ends": NOON + 3600, "now": NOON, **given,
    }  # fmt: skip
    return Refusal(**facts)  # type: ignore[arg-type]


DAILY = Limit("tokens", 10_000, "day", (("agent", "coder"),), name="night work", id=3)


def test_a_refusal_says_which_limit_how_it_stands_and_when_it_begins_anew() -> None:
    """Enough to know whom to ask."""
    assert refusal(DAILY).message == (
        "limit 3 'night work' (agent coder: 10,000 tokens a day) is reached; 9,800 tokens are "
        "used and 100 tokens held by calls under way; this call may need 500 tokens; it begins "
        "anew at 2026-09-21 15:13 (UTC)"
    )
    assert refusal(DAILY).retry_after == 3600


def test_a_call_that_is_larger_than_the_whole_limit_is_told_so() -> None:
    """Waiting for the next window would not help it; a lower cap may, or a known price."""
    assert refusal(DAILY, asked=10_001).message == (
        "limit 3 'night work' (agent coder: 10,000 tokens a day) is too low for this call: this "
        "call may need 10,001 tokens; a lower cap on its output makes that less"
    )
    monthly = Limit("usd", NANO // 4, "month", id=1)
    assert refusal(monthly, asked=15 * NANO, priced=False).message == (
        "limit 1 (all calls: $0.25 a month) is too low for this call: this call may need "
        "$15.00, as no price of its model is known; a lower cap on its output makes that less"
    )


def test_waiting_helps_only_where_there_may_be_room() -> None:
    """Not for ever, not for a call that is larger than the limit, not where nothing is held."""
    assert refusal(DAILY, ends=inf).retry_after is None
    assert refusal(DAILY, asked=10_001).retry_after is None
    assert (refusal(DAILY).passing, refusal(DAILY, held=0).passing) == (True, False)
    assert not refusal(DAILY, asked=10_001).passing
    assert refusal(DAILY, held=None, used=None).passing


@pytest.mark.parametrize(
    ("limit", "part", "words"),
    [
        (Limit("usd", NANO // 10, "month", id=1), "", "limit 1 (all calls: $0.10 a month)"),
        (Limit("usd", 1, "hour", id=1), "", "limit 1 (all calls: $0.000000001 an hour)"),
        (
            Limit("output_tokens", 20_000, "flight", (("user", EACH),), id=2),
            "5f",
            "limit 2 (user 5f: 20,000 output tokens at once)",
        ),
        (
            Limit("tokens", 1, "lifetime", (("tag", EACH), ("model", "m")), id=2),
            "",
            "limit 2 (tag unnamed, model m: 1 tokens in all)",
        ),
    ],
)
def test_limits_have_names(limit: Limit, part: str, words: str) -> None:
    """By whom, how much, and how long."""
    assert named(limit, part) == words


def test_money_is_exact() -> None:
    """Cents where it is cents, else down to the nano-dollar."""
    assert amount_text("usd", 1_250 * NANO) == "$1,250.00"
    assert amount_text("usd", 1_234_567) == "$0.001234567"
