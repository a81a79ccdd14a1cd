from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.suggestions.caches import breaking
from budget_proxy.types import CallRecord, Usage
from budget_proxy.wire.prices import LISTED
from tests.makers import NOW
from tests.scenes import calls, scene

SONNET: dict[str, Any] = {"api": "anthropic.messages", "model": "claude-sonnet-4-5"}
"""$3 a million tokens of input; written 3.75, read .30."""


def test_written_and_never_read_is_the_premium_lost() -> None:
    """Sixty calls write 10,000 tokens each at a premium of $.75 a million: $.45."""
    rows = calls(60, input_tokens=12_000, cache_write_tokens=10_000, cache_read_tokens=0, **SONNET)
    (found,) = breaking(scene(*rows, days=10))
    assert found.money == pytest.approx((3 * 0.45, 3 * 0.45))
    assert (found.tokens, found.of) == (3 * 600_000, "input")
    assert (found.agent, found.task_type) == ("coder", "")
    assert found.setting is None


def test_a_cache_that_pays_is_left_alone() -> None:
    """Read once in two calls: reading saves $2.70 a million, more than writing costs."""
    rows = calls(
        60, input_tokens=25_000, cache_write_tokens=lambda i: 10_000 * (i % 2),
        cache_read_tokens=lambda i: 10_000 * (i % 2 == 0), **SONNET,
    )  # fmt: skip
    assert not list(breaking(scene(*rows)))


def test_an_unknown_price_leaves_the_tokens() -> None:
    """More is written than read: told without money."""
    rows = calls(
        60, model="own-model", host="llm.internal", input_tokens=12_000,
        cache_write_tokens=10_000, cache_read_tokens=1000,
    )  # fmt: skip
    (found,) = breaking(scene(*rows))
    assert found.money is None
    assert found.tokens == 60 * 9000
    assert "Price unknown" in found.worth


def conversations(count: int, *, read: float, gap: float = 60.0) -> list[CallRecord]:
    """So many sessions of three calls: 4,000, 5,000 and 6,000 tokens of input."""
    return calls(
        3 * count, session=lambda i: f"s{i // 3}", ts=lambda i: NOW + gap * i,
        input_tokens=lambda i: 4000 + 1000 * (i % 3), model="gpt-4.1",
        cache_read_tokens=lambda i: round(read * (3000 + 1000 * (i % 3))) if i % 3 else 0,
    )  # fmt: skip


def test_repeats_that_are_not_read_are_told_with_at_most_what_they_cost() -> None:
    """Thirty sessions repeat 4,000 and 5,000 tokens: 270,000, at $1.50 a million less."""
    (found,) = breaking(scene(*conversations(30, read=0.0)))
    assert found.tokens == 30 * (4000 + 5000)
    # gpt-4.1 reads from the cache at $.50 a million, and takes fresh input at $2.
    assert found.money == pytest.approx((0.0, 270_000 * 1.5e-6))
    assert (found.n, found.evidence["read_share"]) == (60, 0.0)
    assert found.calls[:2] == ("c89", "c88")


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(conversations(30, read=0.9), id="what repeats is read"),
        pytest.param(conversations(30, read=0.0, gap=400.0), id="caches are gone by then"),
        pytest.param(conversations(20, read=0.0), id="forty repeats"),
        pytest.param(calls(90, input_tokens=5000, cache_read_tokens=0), id="nothing repeats"),
        pytest.param(calls(90, input_tokens=5000), id="caches are not reported"),
    ],
)
def test_nothing_is_suggested_without_repeats_that_go_unread(rows: list[CallRecord]) -> None:
    """Nor where nobody knows."""
    assert not list(breaking(scene(*rows)))


def falling(late: float, before: int = 600) -> list[CallRecord]:
    """Calls of 10,000 tokens over 40 days: of the last ten the cache gives another share."""
    return calls(
        before + 200, input_tokens=10_000, model="gpt-4.1",
        ts=lambda i: NOW + 86_400 * (30 * i / before if i < before else 30.05 + (i - before) / 20),
        cache_read_tokens=lambda i: 8000 if i < before else round(10_000 * late),
    )  # fmt: skip


def test_a_cache_that_finds_less_than_it_did_is_told() -> None:
    """From 80 % to 30 %: half of 200 calls' input in ten days, three times that in a month."""
    (found,) = breaking(scene(*falling(0.3), days=40))
    assert found.tokens == pytest.approx(3 * 200 * 5000, rel=0.01)
    assert found.money is not None
    # gpt-4.1's discount of $1.50 a million; all late calls are alike, so that no range is left.
    assert found.money == pytest.approx((3 * 200 * 5000 * 1.5e-6,) * 2, rel=0.01)
    assert found.evidence["read_share_before"] == pytest.approx(0.8)
    assert found.n == 200


@pytest.mark.parametrize("rows", [falling(0.7), falling(0.9), falling(0.6, before=300)])
def test_a_cache_that_finds_as_much_is_left_alone(rows: list[CallRecord]) -> None:
    """Or of which too little is known from before."""
    assert not list(breaking(scene(*rows, days=40)))


def test_the_arms_are_told_apart() -> None:
    """Whether our notes break a cache shows in the holdout beside them."""
    rows = calls(60, input_tokens=12_000, cache_write_tokens=10_000, cache_read_tokens=0, **SONNET)
    held = calls(30, arm="holdout", input_tokens=10_000, cache_read_tokens=5000,
                 cache_write_tokens=5000, **SONNET)  # fmt: skip
    (found,) = breaking(scene(*rows, *held))
    assert found.evidence["read_share_treatment"] == 0
    assert found.evidence["read_share_holdout"] == 0.5


@given(
    st.lists(st.tuples(*[st.integers(0, 3000)] * 3), min_size=60, max_size=90),
    st.sampled_from([3.0, 30.0]),
)
def test_what_a_cache_lost_agrees_with_each_rows_price(
    rows: list[tuple[int, int, int]], days: float
) -> None:
    """The range holds what the rows cost beyond what they had cost without a cache."""
    history = calls(
        len(rows), input_tokens=lambda i: sum(rows[i]), cache_read_tokens=lambda i: rows[i][1] // 9,
        cache_write_tokens=lambda i: rows[i][2], **SONNET,
    )  # fmt: skip
    found = [one for one in breaking(scene(*history, days=days)) if "written" in one.text]
    lost = 0.0
    for row in history:
        plain, _ = LISTED.cost(row.api, row.model, "", Usage(row.input_tokens, 100), None, NOW)
        lost += (row.cost or 0) - (plain or 0)
    for one in found:
        assert one.money is not None
        low, high = one.money
        assert (low + high) / 2 == pytest.approx(lost * 30 / days)
        assert low > 0
