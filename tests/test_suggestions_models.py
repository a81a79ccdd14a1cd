from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.suggestions.models import cheaper
from budget_proxy.analytics.suggestions.pricing import repriced
from budget_proxy.policy.base import Tier
from budget_proxy.store.measures import sums_of
from budget_proxy.types import CallRecord, Usage
from budget_proxy.wire.prices import LISTED
from tests.makers import NOW
from tests.scenes import calls, scene

# Dollars a million tokens, input and output: gpt-4.1 2 and 8, gpt-4.1-mini .40 and 1.60.
DEAR, CHEAP = "gpt-4.1", "gpt-4.1-mini"


def scored(model: str, count: int = 200, **given: Any) -> list[CallRecord]:
    """Answers of 1,000 tokens to 1,000, scores .6 and .8 in turn."""
    facts: dict[str, Any] = {
        "input_tokens": 1000, "output_tokens": 1000, "score": lambda i: 0.6 + 0.2 * (i % 2),
        "session": lambda i: f"{model} {i}", "call_id": lambda i: f"{model} {i}", **given,
    }  # fmt: skip
    return calls(count, model=model, **facts)


def test_a_model_that_did_the_same_work_as_well_is_suggested_with_what_it_saves() -> None:
    """200 calls at $.010 against $.002: $1.60 a month, by its rates and by its own calls."""
    (found,) = cheaper(scene(*scored(DEAR), *scored(CHEAP)))
    assert (found.model, found.setting, found.effort) == (DEAR, None, "one code change")
    assert CHEAP in found.action
    assert found.money is not None
    assert found.money == pytest.approx((1.6, 1.6))
    assert found.evidence["score_difference"] == pytest.approx(0)
    assert (found.n, found.confidence) == (200, "medium")
    assert "No experiment" in found.worth
    assert found.calls == tuple(f"{CHEAP} {number}" for number in range(199, 194, -1))


def test_the_range_reaches_from_its_rates_to_its_own_lengths() -> None:
    """It answers at twice the length: 200 x (.010 - .0036) = $1.28 by its own calls."""
    (found,) = cheaper(scene(*scored(DEAR), *scored(CHEAP, output_tokens=2000), days=15))
    assert found.money == pytest.approx((2 * 1.28, 2 * 1.60))


@pytest.mark.parametrize(
    ("rival", "why"),
    [
        (scored(CHEAP, score=0.6), "scores that are worse"),
        (scored(CHEAP, 100, score=lambda i: 0.6 + 0.2 * (i % 2)), "too few to bound them"),
        (scored(CHEAP, 49), "fewer than fifty"),
        (scored(CHEAP, score=None), "no scores"),
        (scored(CHEAP, task_type="review"), "other work"),
        (scored(CHEAP, agent="writer"), "another agent"),
        (scored("own-model"), "unknown price"),
        (scored(CHEAP, session="one"), "one session alone"),
        (scored(CHEAP, output_tokens=9000), "longer answers that cost more"),
    ],
)
def test_no_model_is_suggested_on_less(rival: list[CallRecord], why: str) -> None:
    """Nothing is suggested where one of the conditions does not hold."""
    assert not list(cheaper(scene(*scored(DEAR), *rival))), why


def test_a_tier_that_takes_easy_calls_is_a_try_not_a_saving() -> None:
    """Half of 200 calls are easy: up to $.80 a month, from nothing, as no score speaks for it."""
    rows = scored(DEAR, score=None, complexity=lambda i: 20.0 if i % 2 else 70.0)
    (found,) = cheaper(scene(*rows, tiers=(Tier(CHEAP, 40.0), Tier(DEAR))))
    assert found.money is not None
    low, high = found.money
    assert low == 0
    # Wilson's upper bound of 100 in 200 is .5685: 200 calls x .5685 x $.008.
    assert high == pytest.approx(200 * 0.5685 * 0.008, rel=1e-3)
    assert 'model="auto"' in found.action
    assert "No score" in found.worth
    assert not list(cheaper(scene(*rows)))
    critical = scored(DEAR, score=None, complexity=20.0, criticality=0.9)
    assert not list(cheaper(scene(*critical, tiers=(Tier(CHEAP, 40.0), Tier(DEAR)))))


def test_a_tier_of_unknown_price_is_not_suggested() -> None:
    """Nor one that costs more."""
    rows = scored(CHEAP, score=None)
    for model in ("own-model", DEAR):
        assert not list(cheaper(scene(*rows, tiers=(Tier(model),))))


TOKENS = st.lists(st.tuples(*[st.integers(0, 5000)] * 5), min_size=1, max_size=30)


@given(TOKENS, st.sampled_from([DEAR, CHEAP, "gpt-5.4", "claude-sonnet-4-5"]))
def test_sums_cost_what_their_rows_cost(rows: list[tuple[int, ...]], model: str) -> None:
    """Repriced sums are the sum of the rows, each priced by the library's way."""
    api = "anthropic.messages" if model.startswith("claude") else "openai.chat"
    found = LISTED.rates(api, model, "", None, NOW)
    assert found is not None
    history, whole = [], 0.0
    for fresh, read, written, plain, thought in rows:
        usage = Usage(fresh + read + written, plain + thought, thought, read, written)
        dollars, _ = LISTED.cost(api, model, "", usage, None, NOW)
        assert dollars is not None
        whole += dollars
        history += calls(
            1, api=api, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens,
            reasoning_tokens=thought, cache_read_tokens=read, cache_write_tokens=written,
        )  # fmt: skip
    (sums,) = sums_of(history)
    assert repriced(sums, found) == pytest.approx(whole)


@given(
    st.lists(st.integers(1, 3000), min_size=120, max_size=120),
    st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=120, max_size=120),
)
def test_money_and_scores_agree_with_the_rows(lengths: list[int], scores: list[float]) -> None:
    """The bounds of money hold the two plain sums over rows; scores differ by their means."""
    dear = scored(DEAR, 60, output_tokens=lambda i: lengths[i], score=lambda i: scores[i])
    cheap = scored(
        CHEAP, 60, output_tokens=lambda i: lengths[60 + i], score=lambda i: scores[60 + i]
    )
    for found in cheaper(scene(*dear, *cheap)):
        assert found.money is not None
        paid = sum(row.cost or 0 for row in dear)
        at_its_rates = paid - sum(1000 * 0.4e-6 + (row.output_tokens or 0) * 1.6e-6 for row in dear)
        by_its_calls = paid - sum(row.cost or 0 for row in cheap)
        low, high = found.money
        for saved, bound in product((at_its_rates, by_its_calls), (1e-9,)):
            assert low - bound <= saved <= high + bound
        gap = (sum(scores[60:]) - sum(scores[:60])) / 60
        assert found.evidence["score_difference"] == pytest.approx(gap)
