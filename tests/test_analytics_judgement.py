from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.judgement import VERDICTS, Judgement, judged, judgements
from budget_proxy.store.measures import sums_of
from budget_proxy.store.sums import Sums, merged
from budget_proxy.types import CallRecord
from tests.makers import record


def budgeted(used: int, **given: Any) -> CallRecord:
    """An exact answer of ``used`` tokens under a calibrated budget of 1,000."""
    facts = {"recommended": 1000, "confidence": 0.6, "strategy": "quantile", **given}
    return record(output_tokens=used, **facts)


@pytest.mark.parametrize(
    ("used", "verdict", "efficiency"),
    [
        (499, "over", 0.3), (500, "accurate", 0.6), (800, "accurate", 1.0),
        (950, "accurate", 0.8), (951, "under", 0.5), (3000, "under", 0.5),
    ],
)  # fmt: skip
def test_verdict_and_efficiency_follow_the_missions_bands(
    used: int, verdict: str, efficiency: float
) -> None:
    """Below 50 % over-allocated, above 95 % under-allocated, both ends accurate."""
    found = judged(budgeted(used))
    assert (found.verdict, found.efficiency) == (verdict, efficiency)
    assert found.use == pytest.approx(used / 1000)
    assert (found.attainable, found.reason) == (0.6, "")


def test_use_is_per_choice() -> None:
    """Two choices of 1,600 tokens in all: 800 each, of 1,000."""
    assert judged(budgeted(1600, n=2)).use == pytest.approx(0.8)


def test_a_cut_answer_needed_more_than_it_got() -> None:
    """Cut at 960 of 1,000, and at 2,000 by our cap: under-allocated, with what was seen."""
    cut = judged(budgeted(960, truncated=True, ceiling=960, finish_reason="length"))
    assert (cut.verdict, cut.use, cut.efficiency) == ("under", 0.96, 0.5)
    ours = judged(budgeted(2000, truncated=True, cut_by_us=True, ceiling=2000))
    assert (ours.verdict, ours.use) == ("under", 2.0)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"finish_reason": "error"}, "there was no answer"),
        ({"finish_reason": "cancelled"}, "there was no answer"),
        ({"exact": False}, "its usage is an estimate"),
        ({"output_tokens": None}, "it reported no output tokens"),
        ({"recommended": None}, "it had no budget before it"),
        ({"ceiling": 600}, "the cap in force lay below its budget"),
    ],
)
def test_what_cannot_be_measured_says_why(given: dict[str, Any], reason: str) -> None:
    """And has no use, no efficiency and no promise."""
    found = judged(record(**{"recommended": 1000, "output_tokens": 300, **given}))
    assert found == Judgement("untold", reason=reason)


def test_weights_are_no_promise() -> None:
    """A heuristic's confidence is no probability."""
    assert judged(budgeted(800, strategy="heuristic")).attainable is None


def test_a_resend_is_another_draw() -> None:
    """Of a call that our cap cut the first answer is judged; a repetition after a 400 is too."""
    cut = budgeted(1600, truncated=True, cut_by_us=True, ceiling=1600, finish_reason="length")
    refused = budgeted(0, call_id="c2", finish_reason="error", rejected="reasoning_effort")
    rows = [cut, budgeted(800, attempt=2), refused, budgeted(800, call_id="c2", attempt=2)]
    found = [judgement for _, judgement in judgements(rows)]
    assert [one.verdict for one in found] == ["under", "untold", "untold", "accurate"]
    assert found[1].reason == "it repeats an answer that our cap cut"


ROWS = st.builds(
    budgeted,
    st.integers(0, 3000),
    call_id=st.sampled_from(["c1", "c2", "c3"]),
    attempt=st.integers(1, 2),
    n=st.integers(1, 3),
    recommended=st.none() | st.integers(1, 2000),
    truncated=st.booleans(),
    cut_by_us=st.booleans(),
    ceiling=st.none() | st.integers(1, 3000),
    exact=st.booleans(),
    finish_reason=st.sampled_from(["stop", "length", "error"]),
    strategy=st.sampled_from(["learned", "heuristic", "import"]),
    q50=st.none() | st.integers(100, 900),
    q75=st.just(950),
    q90=st.just(1200),
    q95=st.just(1300),
    q99=st.just(2000),
)


@given(st.lists(ROWS, max_size=30))
def test_judgements_add_up_to_the_figures_of_a_report(rows: list[CallRecord]) -> None:
    """What is said of single calls and what is said of all of them is the same."""
    found = [judgement for _, judgement in judgements(rows)]
    (sums,) = merged(sums_of(rows), ()) or [Sums()]
    counts = Counter(one.verdict for one in found)
    assert set(counts) <= set(VERDICTS)
    assert len(rows) - counts["untold"] == sums.measured
    assert counts["under"] == sums.under
    assert counts["accurate"] + counts["over"] == sums.measured - sums.under
    assert sum(one.use or 0 for one in found) == pytest.approx(sums.utilisation)
    assert sum(one.efficiency or 0 for one in found) == pytest.approx(sums.efficiency)
    assert sum(one.attainable or 0 for one in found) == pytest.approx(sums.confidence)
    expected = [one.attainable_efficiency for one in found]
    assert sum(one or 0 for one in expected) == pytest.approx(sums.expected_efficiency)
    assert sum(one is not None for one in expected) == sums.expected
    assert all((one.reason == "") == (one.verdict != "untold") for one in found)
