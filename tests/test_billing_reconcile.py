"""Reconciliation by small cases worked out by hand, and what always holds."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.analytics.billing.cells import day_of, day_start
from budget_proxy.analytics.billing.explanations import Explanation
from budget_proxy.analytics.billing.prices import Listed
from budget_proxy.analytics.billing.reconcile import Reconciliation, reconcile
from budget_proxy.analytics.billing.verdict import verdict
from budget_proxy.store.billed import Billed, Spent

DAY_1: Final = "2026-10-01"
PRICES: Final[Listed] = {
    "input": Fraction(1_000), "cache_read": Fraction(100), "cache_write": Fraction(1_250),
    "output": Fraction(5_000),
}  # fmt: skip
"""Nano-dollars a token: $1 a million of fresh input, and so on."""


def listed(one: Spent) -> Listed | None:
    """Every model has the same prices, but for one that is not known."""
    return None if one.model == "nova" else PRICES


def spent(day: str = DAY_1, *, hour: int = 12, **given: Any) -> Spent:
    """One attempt to model "m" at some hour: 1,000 fresh input tokens, 100 of output; $0.0015."""
    facts: dict[str, Any] = {
        "api": "openai.chat", "host": "api.openai.com", "model": "m", "tier": "",
        "prices": "", "exact": True, "priced": True, "failed": False, "repeated": False,
        "late": False, "attempts": 1, "fresh": 1_000, "cached": 0, "written": 0, "output": 100,
        **given,
    }  # fmt: skip
    cost = (
        facts["fresh"] * 1_000 + facts["cached"] * 100 + facts["written"] * 1_250
        + facts["output"] * 5_000
    )  # fmt: skip
    facts.setdefault("amount", cost if facts["priced"] else 0)
    return Spent(start=day_start(day) + 3_600 * hour, **facts)


def cost(kind: Any, amount: int | None, day: str = DAY_1, **given: Any) -> Billed:
    """A line of OpenAI's costs."""
    return Billed("openai", "cost", day, **{"model": "m", "kind": kind, "amount": amount, **given})


def usage(kind: Any, tokens: int, day: str = DAY_1, **given: Any) -> Billed:
    """A line of OpenAI's usage."""
    return Billed("openai", "usage", day, **{"model": "m", "kind": kind, "tokens": tokens, **given})


def bill(
    fresh: int = 1_000, output: int = 100, requests: int | None = 1, **given: Any
) -> list[Billed]:
    """Costs and usage of such tokens at the usual prices."""
    return [
        cost("input", fresh * 1_000, **given), cost("output", output * 5_000, **given),
        usage("input", fresh, **given), usage("output", output, requests=requests, **given),
    ]  # fmt: skip


def compared(rows: Sequence[Spent], lines: Sequence[Billed]) -> Reconciliation:
    """The comparison of October, which adds up."""
    found = reconcile(rows, lines, "2026-10-01", "2026-10-31", prices=listed)
    holds(found, rows, lines)
    return found


def holds(found: Reconciliation, rows: Sequence[Spent], lines: Sequence[Billed]) -> None:
    """What must hold of every comparison, counted here from its beginnings."""
    amounts = [one for one in lines if one.amount is not None]
    days = {(one.provider, one.day) for one in amounts}
    ours = sum(one.amount for one in rows if ("openai", day_of(one.start)) in days)
    assert found.ledger_nano == ours
    assert found.bill_nano == sum(one.amount or 0 for one in amounts)
    assert found.difference_nano == found.bill_nano - found.ledger_nano
    assert found.explained_nano + found.unexplained_nano == found.difference_nano
    assert sum(one.amount_nano for one in found.explanations) == found.explained_nano
    for line in found.lines:
        assert line.difference_nano == line.bill_nano - line.ledger_nano
        assert line.explained_nano + line.unexplained_nano == line.difference_nano
    for name in ("ledger", "bill", "difference", "explained", "unexplained"):
        whole = sum(getattr(line, f"{name}_nano") for line in found.lines)
        assert whole == getattr(found, f"{name}_nano"), name


def only(found: Reconciliation) -> Explanation:
    """The one explanation."""
    (one,) = found.explanations
    return one


def test_equal_sides_need_no_explanation() -> None:
    """To the nano-dollar."""
    found = compared([spent()], bill())
    assert (found.difference_nano, found.explanations) == (0, ())
    assert verdict(found) == "ledger $0.0015, bill $0.0015: they agree"


def test_missing_rows_are_counted_and_worth_what_the_bill_says() -> None:
    """Twice the tokens and the requests."""
    one = only(compared([spent()], bill(2_000, 200, 2)))
    assert (one.cause, one.tokens, one.requests) == ("missing-rows", 1_100, 1)
    assert one.amount_nano == 1_500_000
    assert one.evidence == "the bill has 1.1k tokens and 1 requests beyond our rows"


def test_rows_that_the_bill_does_not_have() -> None:
    """Ours are two, the bill has one."""
    one = only(compared([spent(), spent(hour=13)], bill()))
    assert (one.cause, one.requests, one.amount_nano) == ("unbilled-rows", -1, -1_500_000)


def test_failed_calls_that_were_estimated_but_not_billed() -> None:
    """A timeout's estimate stands in our rows alone."""
    rows = [spent(), spent(hour=13, failed=True, exact=False)]
    one = only(compared(rows, bill()))
    assert (one.cause, one.amount_nano) == ("unbilled-rows", -1_500_000)
    assert "they brought no answer" in one.evidence


def test_a_model_that_no_row_has_is_said_to_be_new() -> None:
    """All of it is missing."""
    found = compared([spent()], [*bill(), *bill(model="other")])
    one = only(found)
    assert (one.cause, one.model) == ("missing-rows", "other")
    assert "none of our rows has this model" in one.evidence


def test_estimates_where_rows_are_missing_too_say_both() -> None:
    """More requests and more tokens, of which an estimate has its share: not known how much."""
    rows = [spent(), spent(hour=13, exact=False, output=400)]
    found = compared(rows, bill(3_000, 200, 3))
    by_cause = {one.cause: one for one in found.explanations}
    assert set(by_cause) == {"missing-rows", "estimated-usage"}
    assert by_cause["estimated-usage"].other == "missing-rows"


def test_tokens_equal_and_cost_not_is_the_price() -> None:
    """Old and new price by kind; of one day alone that is said."""
    lines = bill()
    lines[1] = cost("output", 100 * 6_000)
    one = only(compared([spent()], lines))
    assert (one.cause, one.amount_nano) == ("price", 100_000)
    assert one.evidence == (
        "output $5.00 a million in our rows, $6.00 a million on the bill; seen on one day only"
    )


def test_rows_that_an_older_table_priced_say_so() -> None:
    """The bill is as our table is now, and our rows are not: old and new price, and why."""
    older = spent(amount=1_200_000)
    found = compared([older], bill())
    assert {one.cause for one in found.explanations} == {"price"}
    assert found.explained_nano == 300_000
    assert "our rows were not priced by our table as it is now" in only(found).evidence
    assert "output $4.00 a million in our rows, $5.00 a million on the bill" in only(found).evidence


def test_half_the_price_may_be_a_batch() -> None:
    """The bill does not name tiers: the figures fit a discount."""
    lines = bill()
    lines[0], lines[1] = cost("input", 500_000), cost("output", 250_000)
    one = only(compared([spent()], lines))
    assert one.cause == "price"
    assert "half the price, as for batches or flex" in one.evidence


def test_another_tier_on_the_bill_is_named() -> None:
    """Half of the tokens were billed as a batch, at half the price."""
    lines = [
        *bill(),
        *[cost(k, a, tier="batch") for k, a in (("input", 500_000), ("output", 250_000))],
        *[usage(k, n, tier="batch") for k, n in (("input", 1_000), ("output", 100))],
    ]
    found = compared([spent(), spent(hour=13)], lines)
    assert {one.cause for one in found.explanations} == {"tier"}
    assert sum(one.amount_nano for one in found.explanations) == -750_000
    assert "billed as fresh input (batch)" in found.explanations[0].evidence


def test_cache_writes_for_an_hour_are_dearer() -> None:
    """Our rows do not tell them from short ones; the bill does."""
    rows = [spent(fresh=0, written=1_000)]
    lines = [
        cost("cache_write_1h", 2_000_000), cost("output", 500_000), usage("cache_write", 0),
        usage("cache_write_1h", 1_000), usage("output", 100, requests=1),
    ]  # fmt: skip
    one = only(compared(rows, lines))
    assert (one.cause, one.amount_nano) == ("cache", 750_000)
    assert "cache writes for an hour" in one.evidence


def test_calls_without_a_price_are_worth_what_was_billed() -> None:
    """Unknown, and never taken for 0: the bill tells it."""
    rows = [spent(model="nova", priced=False)]
    found = compared(rows, bill(model="nova-2026-01-01"))
    assert verdict(found).startswith("ledger $0.00, bill $0.0015: our rows have no cost of it; ")
    one = only(found)
    assert (one.cause, one.model, one.amount_nano) == ("unknown-price", "nova", 1_500_000)


def test_items_that_are_no_tokens_stand_alone() -> None:
    """Searches and the like, by their name."""
    search = cost("other", 10_000_000, model="", item="web search tool calls")
    one = only(compared([spent()], [*bill(), search]))
    assert (one.cause, one.amount_nano, one.evidence) == (
        "other-items", 10_000_000, "web search tool calls",
    )  # fmt: skip


def test_amounts_in_cents_are_rounding() -> None:
    """An export in whole cents is off by half a cent a line at most."""
    rows = [spent(attempts=10, fresh=13_300, output=1_540)]
    lines = [
        cost("input", 10_000_000), cost("output", 10_000_000), usage("input", 13_300),
        usage("output", 1_540, requests=10),
    ]  # fmt: skip
    found = compared(rows, lines)
    assert {one.cause for one in found.explanations} == {"rounding"}
    assert "they agree but for rounding" in verdict(found)


def test_amounts_without_tokens_are_not_explained_but_said_to_be_so() -> None:
    """Rows or prices: both are possible, and what would tell is named."""
    found = compared([spent()], [cost("input", 1_500_000), cost("output", 500_000)])
    assert found.explanations == ()
    assert found.unexplained_nano == 500_000
    assert any("rows and prices cannot be told apart" in note for note in found.notes)
    assert "$0.00050 unexplained" in verdict(found)


def test_a_day_in_one_amount_is_compared_as_a_whole() -> None:
    """Costs that tell no models: all models together, against the day."""
    rows = [spent(), spent(model="o")]
    found = compared(rows, [cost("all", 3_500_000, model="")])
    assert [(one.model, one.ledger_nano, one.bill_nano) for one in found.lines] == [
        ("", 3_000_000, 3_500_000)
    ]
    assert found.unexplained_nano == 500_000
    assert any("tells no models" in note for note in found.notes)


def test_a_credit_counts_on_a_day_in_one_amount() -> None:
    """It is less than nothing, and taken off what was billed."""
    credit = cost("other", -1_000_000, model="", item="credit")
    found = compared([spent()], [cost("all", 2_500_000, model=""), credit])
    assert (found.bill_nano, found.unexplained_nano) == (1_500_000, 1_000_000)
    assert (only(found).cause, only(found).amount_nano) == ("other-items", -1_000_000)


def test_calls_that_are_filed_on_a_day_in_one_amount_add_up() -> None:
    """That day is one place, so what is moved there is told of the day, not of a model."""
    rows = [spent(), spent("2026-10-02", hour=0)]
    lines = [
        cost("all", 3_100_000, model=""), usage("input", 2_000), usage("output", 200, requests=2),
        usage("input", 7, model="nova"), cost("all", 0, "2026-10-02", model=""),
        usage("all", 0, "2026-10-02", model=""),
    ]  # fmt: skip
    found = compared(rows, lines)
    assert [(one.day, one.model, one.explained_nano) for one in found.lines] == [
        ("2026-10-01", "", 1_500_000), ("2026-10-02", "m", -1_500_000),
    ]  # fmt: skip
    assert (only(found).cause, only(found).amount_nano) == ("day-boundary", 0)
    assert found.unexplained_nano == 100_000


def test_a_day_in_one_amount_with_its_usage_names_missing_rows() -> None:
    """The usage tells models and tokens, our table their price; only the rest is unexplained."""
    lines = [
        cost("all", 3_250_000, model=""), usage("input", 2_000),
        usage("output", 200, requests=2),
    ]  # fmt: skip
    found = compared([spent()], lines)
    assert [(one.cause, one.model, one.amount_nano) for one in found.explanations] == [
        ("missing-rows", "m", 1_500_000)
    ]
    assert found.unexplained_nano == 250_000


def test_days_and_providers_without_a_bill_are_told_and_not_compared() -> None:
    """Each with its attempts and what they cost by our prices."""
    rows = [
        spent(), spent("2026-10-02"), spent(host="127.0.0.1", model="llama"),
        spent(api="anthropic.messages", host="api.anthropic.com"),
    ]  # fmt: skip
    found = compared_outside(rows, bill())
    assert [(one.why, one.provider, one.attempts) for one in found.outside] == [
        ("days without a bill", "openai", 1), ("no bill of this provider", "anthropic", 1),
        ("nobody is known to bill for them", "", 1),
    ]  # fmt: skip
    assert found.difference_nano == 0


def compared_outside(rows: Sequence[Spent], lines: Sequence[Billed]) -> Reconciliation:
    """A comparison with rows that others bill."""
    return reconcile(rows, lines, "2026-10-01", "2026-10-31", prices=listed)


def test_an_empty_day_of_the_bill_is_compared() -> None:
    """Nothing was billed on a day on which we have rows."""
    empty = [cost("all", 0, "2026-10-02", model=""), usage("all", 0, "2026-10-02", model="")]
    found = compared([spent(), spent("2026-10-02")], [*bill(), *empty])
    one = only(found)
    assert (one.cause, one.days, one.amount_nano) == ("unbilled-rows", ("2026-10-02",), -1_500_000)


def test_costs_tell_the_tokens_of_a_model_that_the_usage_does_not_have() -> None:
    """As in a table that has a cost for one model alone: its tokens are not taken for none."""
    lines = [
        cost("input", 1_000_000, tokens=1_000), cost("output", 500_000, tokens=100),
        usage("input", 1_000, model="o"), usage("output", 100, model="o"),
    ]  # fmt: skip
    found = compared([spent(), spent(model="o")], lines)
    assert [(one.model, one.difference_nano) for one in found.lines] == [
        ("m", 0),
        ("o", -1_500_000),
    ]
    assert only(found).model == "o"


def test_usage_without_costs_asks_for_them() -> None:
    """Money is compared on days alone that have amounts."""
    lines = [*bill(), usage("input", 5, "2026-10-02")]
    found = compared([spent(), spent("2026-10-02")], lines)
    assert any("usage without costs on 1 days" in note for note in found.notes)
    assert found.difference_nano == 0


def test_names_that_were_taken_for_the_same_are_told() -> None:
    """An alias in our rows, a snapshot on the bill."""
    found = compared([spent()], bill(model="m-2026-05-05"))
    assert found.difference_nano == 0
    assert any("m = m-2026-05-05" in note for note in found.notes)


kinds = st.sampled_from(
    ["input", "cache_read", "cache_write", "cache_write_1h", "output", "all", "other"]
)
days = st.sampled_from(["2026-10-01", "2026-10-02", "2026-10-03", "2026-10-04"])
models = st.sampled_from(["m", "o", "nova"])
tiers = st.sampled_from(["", "batch"])
numbers = st.integers(0, 5_000)
rows_ = st.builds(
    spent, days, hour=st.integers(0, 23), model=models, tier=tiers, exact=st.booleans(),
    priced=st.booleans(), failed=st.booleans(), repeated=st.booleans(), late=st.booleans(),
    attempts=st.integers(1, 5), fresh=numbers, cached=numbers, written=numbers, output=numbers,
)  # fmt: skip
odd_rows = st.builds(spent, days, model=models, amount=st.integers(0, 10**8))
costs = st.builds(
    cost, kinds, st.integers(-(10**6), 10**8), days, model=st.sampled_from(["", "m", "o", "nova"]),
    tier=tiers, tokens=st.none() | numbers, item=st.sampled_from(["", "search"]),
)  # fmt: skip
usages = st.builds(
    usage, st.sampled_from(["input", "cache_read", "cache_write", "output"]), numbers, days,
    model=models, tier=tiers, requests=st.none() | st.integers(0, 9),
)  # fmt: skip


@given(st.lists(rows_ | odd_rows, max_size=12), st.lists(costs | usages, max_size=14))
@settings(max_examples=400, deadline=None)
def test_explained_and_unexplained_add_up_exactly(rows: list[Spent], lines: list[Billed]) -> None:
    """Whatever both sides say: no nano-dollar is lost, and none is explained twice."""
    rows = [Spent(**{**as_dict(one), "amount": one.amount if one.priced else 0}) for one in rows]
    compared(rows, lines)


def as_dict(one: Spent) -> dict[str, Any]:
    """The fields of a row."""
    return {name: getattr(one, name) for name in Spent.__dataclass_fields__}


@pytest.mark.parametrize("lines", [[], [usage("input", 1)]])
def test_without_a_bill_there_is_nothing_to_compare(lines: list[Billed]) -> None:
    """And that is what the verdict says."""
    found = compared([spent()], lines)
    assert (found.lines, found.providers) == ((), ())
    assert verdict(found).startswith("there is no bill of 2026-10-01 to 2026-10-31")
