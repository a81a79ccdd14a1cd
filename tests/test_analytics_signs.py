from __future__ import annotations

from math import exp, log
from typing import Any

import pytest

from budget_proxy.analytics.signs import PLAIN, Signs, is_unpriced, signs
from budget_proxy.store.alerts import seen
from tests.makers import record

Q90 = 100 * exp(1.2815515655)


def told(**given: Any) -> Signs:
    """What an answer tells whose forecast had the median 100 and a spread of 1 in ln."""
    facts: dict[str, Any] = {
        "id": 1, "strategy": "learned", "q50": 100.0, "q90": Q90, "q95": 100 * exp(1.6448536),
        "recommended": 200, "confidence": 0.4,
    }  # fmt: skip
    return signs(seen(record(**{**facts, **given})), first=given.get("attempt", 1) == 1)


def test_a_length_is_told_in_spreads_of_its_forecast() -> None:
    """2.72 times the median is one spread above it, half .69 below; n choices share tokens."""
    assert told(output_tokens=272).length == pytest.approx(1.0, abs=0.001)
    assert told(output_tokens=50).length == pytest.approx(-log(2), abs=0.001)
    assert told(output_tokens=300, n=3).length == pytest.approx(0.0)
    assert told(output_tokens=272).tokens == pytest.approx(log(272))


def test_a_cut_answer_counts_as_what_lies_above_its_cap() -> None:
    """The mean of a standard normal above 0 is .798, above 1 is 1.525."""
    cut = {"truncated": True, "finish_reason": "length"}
    assert told(output_tokens=100, **cut).length == pytest.approx(0.7979, abs=0.0005)
    assert told(output_tokens=272, **cut).length == pytest.approx(1.5251, abs=0.002)


def test_a_cap_below_a_quantile_cannot_tell_of_it() -> None:
    """As the report counts coverage; a cut at or above a quantile did not hold."""
    assert told(output_tokens=90, ceiling=150)[4:7] == (False, None, None)
    assert told(output_tokens=150, ceiling=150, truncated=True)[4:7] == (True, None, None)
    assert told(output_tokens=600)[4:7] == (True, True, True)
    assert told(output_tokens=600, ceiling=600, truncated=True)[4:7] == (True, True, True)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (99, (False, True, False, 0.3)),
        (100, (True, False, False, 0.6)),
        (160, (True, False, False, 1.0)),
        (190, (True, False, False, 0.8)),
        (191, (False, False, True, 0.5)),
    ],
)
def test_use_is_judged_by_the_missions_bounds(
    tokens: int, expected: tuple[bool, bool, bool, float]
) -> None:
    """Below 50 % of 200 is over-allocated, above 95 % under-allocated; efficiency by its table."""
    found = told(output_tokens=tokens).use
    assert found is not None
    assert (found.fits, found.over, found.under, found.efficiency) == expected
    assert found.promised == 0.4


def test_a_cap_below_the_budget_tells_nothing_of_its_use() -> None:
    """There the cap decided; a cut answer is under-allocated."""
    assert told(output_tokens=90, ceiling=150).use is None
    cut = told(output_tokens=195, ceiling=195, truncated=True).use
    assert cut is not None
    assert (cut.under, cut.efficiency) == (True, 0.5)


def test_strategies_that_promise_nothing_are_compared_with_the_origins_accuracy() -> None:
    """Their quantiles are no probabilities, so that lengths are not judged by them."""
    found = told(strategy="heuristic", output_tokens=120)
    assert found.length is None
    assert found.use is not None
    assert found.use.promised == PLAIN


def test_failures_estimates_and_resends_tell_no_length() -> None:
    """An attempt without an answer tells nothing; an estimate only that it is one."""
    failed = told(finish_reason="error")
    assert (failed.length, failed.use, failed.cut, failed.estimated) == (None, None, None, None)
    estimate = told(exact=False)
    assert (estimate.length, estimate.use, estimate.estimated) == (None, None, True)
    again = told(attempt=2, cost=0.5)
    assert (again.length, again.use, again.cut, again.cost) == (None, None, None, 0.5)


@pytest.mark.parametrize(
    ("given", "unpriced"),
    [
        ({}, True),
        ({"cost": 0.1}, False),
        ({"api": "task"}, False),
        ({"input_tokens": 0, "output_tokens": 0}, False),
    ],
)
def test_a_price_is_missing_where_somebody_was_paid(
    given: dict[str, Any], *, unpriced: bool
) -> None:
    """Recorded tasks and attempts without tokens have no price to know."""
    assert is_unpriced(seen(record(id=1, **given))) is unpriced
