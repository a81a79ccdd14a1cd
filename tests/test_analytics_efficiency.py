from __future__ import annotations

from collections.abc import Iterable
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics import efficiency
from budget_proxy.analytics.efficiency import EfficiencyReport, efficiency_report
from budget_proxy.analytics.figures import Figures
from budget_proxy.store.measures import USE_EDGES, sums_of
from budget_proxy.store.scoring import efficiency_of
from budget_proxy.types import CallRecord
from tests.makers import NOW, record


def _budgeted(used: int, **given: Any) -> CallRecord:
    """An exact answer of ``used`` tokens under a calibrated budget of 1,000."""
    facts: dict[str, Any] = {
        "recommended": 1000, "confidence": 0.6, "strategy": "quantile", "mode": "enforce",
        "q50": 500.0, "q75": 700.0, "q90": 900.0, "q95": 1000.0, "q99": 1500.0,
        "input_tokens": 10, "cost": 0.01, **given,
    }  # fmt: skip
    return record(output_tokens=used, **facts)


def _report(records: Iterable[CallRecord]) -> EfficiencyReport:
    return efficiency_report(sums_of(records))


def _overall(*records: CallRecord) -> Figures:
    return _report(records).overall


@pytest.mark.parametrize(
    ("use", "points"),
    [
        (0.75, 1.0), (0.80, 1.0), (0.85, 1.0), (0.60, 0.8), (0.749, 0.8), (0.851, 0.8),
        (0.95, 0.8), (0.50, 0.6), (0.599, 0.6), (0.951, 0.5), (7.0, 0.5), (0.499, 0.3), (0.0, 0.3),
    ],
)  # fmt: skip
def test_the_efficiency_of_a_call_is_the_missions(use: float, points: float) -> None:
    """Every band of the table, with both of its ends."""
    assert efficiency_of(use) == points


def test_utilisation_and_its_bands_by_hand() -> None:
    """Uses .40, .50, .80, .95 and .96 of a budget of 1,000.

    Mean (.40 + .50 + .80 + .95 + .96) / 5 = .722; over-allocated .40, under-allocated .96,
    accurate the three others; efficiency (.3 + .6 + 1.0 + .8 + .5) / 5 = .64.
    """
    found = _overall(*(_budgeted(used) for used in (400, 500, 800, 950, 960)))
    assert found.measured == 5
    assert found.utilisation == pytest.approx(0.722)
    assert (found.over_allocated, found.accuracy, found.under_allocated) == (0.2, 0.6, 0.2)
    assert found.efficiency == pytest.approx(0.64)
    assert found.attainable == pytest.approx(0.6)
    # edges .25 .50 .60 .75 .85 .95 1.25 2: .40 | .50 | .80 | .95 and .96
    assert found.uses == (0, 1, 1, 0, 1, 0, 2, 0, 0)


def test_use_is_per_choice() -> None:
    """Two choices of 800 tokens in all: 400 each, of 1,000."""
    found = _overall(_budgeted(800, n=2))
    assert found.utilisation == pytest.approx(0.4)
    assert found.over_allocated == 1.0


def test_a_cut_answer_is_a_lower_bound_and_counts_as_under_allocated() -> None:
    """Cut at 950 of 1,000 the true use is above .95, whatever was seen."""
    found = _overall(_budgeted(950, truncated=True, ceiling=950, finish_reason="length"))
    assert (found.accuracy, found.under_allocated) == (0.0, 1.0)
    assert found.utilisation == pytest.approx(0.95)
    assert found.efficiency == 0.5
    assert (found.truncated, found.truncated_by_us) == (1, 0)


@pytest.mark.parametrize("truncated", [False, True])
def test_calls_whose_cap_lay_below_their_budget_are_left_out(truncated: bool) -> None:
    """Cut or not: leaving out the cut ones alone would make budgets look better."""
    row = _budgeted(600 if truncated else 100, truncated=truncated, ceiling=600)
    found = _overall(row, _budgeted(800))
    assert (found.measured, found.untold) == (1, 1)
    assert found.accuracy == 1.0


def test_what_is_no_exact_answer_is_not_measured() -> None:
    """Errors, cancelled calls, estimates, rows without a budget; all of them are counted."""
    found = _overall(
        _budgeted(800, finish_reason="error"),
        _budgeted(800, finish_reason="cancelled", exact=False),
        _budgeted(800, exact=False),
        record(),
    )
    assert (found.calls, found.attempts, found.failed, found.measured) == (4, 4, 2, 0)
    assert (found.utilisation, found.accuracy, found.efficiency) == (None, None, None)
    assert (found.estimated, found.estimated_share) == (2, 0.5)


def test_a_resend_is_another_draw() -> None:
    """The answer that our cap cut is measured, the shorter one that followed is not."""
    cut = _budgeted(
        1600, cap=1600, ceiling=1600, truncated=True, cut_by_us=True, finish_reason="length"
    )
    found = _overall(cut, _budgeted(300, attempt=2))
    assert (found.calls, found.attempts, found.measured, found.resent) == (1, 2, 1, 1)
    assert (found.truncated, found.truncated_by_us) == (1, 1)
    assert found.under_allocated == 1.0
    assert [item.realised for item in found.calibration] == [0.0] * 5


def test_an_attempt_after_a_refused_parameter_is_measured() -> None:
    """The first attempt brought no answer, so the second is the call's first draw."""
    refused = _budgeted(0, finish_reason="error", rejected="reasoning_effort", status=400)
    found = _overall(refused, _budgeted(800, attempt=2))
    assert (found.calls, found.failed, found.measured, found.resent) == (1, 1, 1, 0)
    assert found.accuracy == 1.0


def test_only_calibrated_strategies_promise_anything() -> None:
    """A heuristic's confidence is no probability and its quantiles are one number."""
    found = _overall(_budgeted(800), _budgeted(800, strategy="heuristic", confidence=0.1))
    assert (found.measured, found.promised, found.attainable) == (2, 1, 0.6)
    assert {item.n for item in found.calibration} == {1}


def test_calibration_counts_what_held() -> None:
    """Lengths 400, 600 and 1,200: 1/3 within q50 = 500, 2/3 within q75 = 700 ... all within q99."""
    found = _overall(*(_budgeted(used) for used in (400, 600, 1200)))
    realised = [item.realised for item in found.calibration]
    assert realised == pytest.approx([1 / 3, 2 / 3, 2 / 3, 2 / 3, 1.0])


def test_tokens_that_nobody_reports_are_unknown_not_zero() -> None:
    """Sums are over the attempts that report them."""
    found = _overall(_budgeted(100, reasoning_tokens=40), _budgeted(200))
    assert (found.input_tokens, found.output_tokens, found.reasoning_tokens) == (20, 300, 40)
    assert _overall(_budgeted(100)).reasoning_tokens is None


def test_one_unknown_price_makes_the_cost_unknown() -> None:
    """The known part is told beside it: $.03 for three of four."""
    rows = [_budgeted(800) for _ in range(3)]
    known, part = _overall(*rows), _overall(*rows, _budgeted(800, cost=None))
    assert known.cost == pytest.approx(0.03)
    assert (part.cost, part.unpriced, part.priced_share) == (None, 1, 0.75)
    assert part.priced_cost == pytest.approx(0.03)


def test_what_nobody_is_paid_for_has_no_price_to_miss() -> None:
    """Recorded tasks, and attempts that failed before any token."""
    free = _budgeted(0, cost=None, input_tokens=0, finish_reason="error")
    task = _budgeted(700, cost=None, api="task", model="any")
    found = _overall(_budgeted(800), free, task)
    assert (found.cost, found.unpriced) == (0.01, 0)
    assert _overall(task).cost is None


def test_modes_and_arms_count_calls() -> None:
    """Not attempts."""
    found = _overall(
        _budgeted(100),
        _budgeted(100, attempt=2),
        _budgeted(100, mode="observe", arm="holdout"),
    )
    assert found.modes == {"enforce": 1, "observe": 1}
    assert found.arms == {"holdout": 1, "treatment": 1}


def test_groups_by_agent_task_model_and_all_three() -> None:
    """Most calls first; the parts add up to the whole."""
    found = _report(
        [
            _budgeted(800, agent="coder", task_type="bug-fix", model="small"),
            _budgeted(800, agent="coder", task_type="review", model="large"),
            _budgeted(100, agent="writer", task_type="review", model="large"),
        ]
    )
    assert [(one.group, one.calls) for one in found.groups("agent")] == [
        (("coder",), 2), (("writer",), 1),
    ]  # fmt: skip
    assert [(one.group, one.accuracy) for one in found.groups("task")] == [
        (("review",), 0.5), (("bug-fix",), 1.0),
    ]  # fmt: skip
    assert [one.group for one in found.groups("model")] == [("large",), ("small",)]
    assert ("coder", "review", "large") in [one.group for one in found.groups("group")]
    assert found.overall.calls == 3


def test_an_empty_history_gives_unknowns() -> None:
    """No division by zero, no invented zero."""
    found = _report([])
    assert (found.start, found.end, found.by_agent) == (None, None, ())
    assert (found.overall.calls, found.overall.cost, found.overall.accuracy) == (0, None, None)


def test_the_span_is_that_of_the_rows() -> None:
    """Rows come in the order of their ids, which need not be that of time."""
    found = _report([_budgeted(1, ts=NOW + 5), _budgeted(1, ts=NOW), _budgeted(1)])
    assert (found.start, found.end) == (NOW, NOW + 5)


def test_more_groups_than_are_kept_fall_into_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, and no call is lost."""
    monkeypatch.setattr(efficiency, "_MOST", 3)
    rows = [_budgeted(800, agent=f"a{number}") for number in range(10)]
    found = _report(rows)
    assert (found.by_agent[0].group, found.by_agent[0].calls) == (("(other)",), 7)
    assert found.overall.calls == 10


ROWS = st.builds(
    _budgeted,
    st.integers(1, 3000),
    agent=st.sampled_from("ab"),
    model=st.sampled_from("xy"),
    n=st.integers(1, 3),
    truncated=st.booleans(),
    ceiling=st.none() | st.integers(1, 3000),
    cost=st.none() | st.floats(0, 1),
    exact=st.booleans(),
)


@given(st.lists(ROWS, max_size=30))
def test_groups_add_up_and_shares_too(rows: list[CallRecord]) -> None:
    """Every way of grouping counts every row once; over + accurate + under is everything."""
    found: EfficiencyReport = _report(rows)
    for by in ("agent", "task", "model", "group"):
        figures = found.groups(by)
        for name in ("calls", "attempts", "measured", "untold", "truncated", "unpriced"):
            assert sum(getattr(one, name) for one in figures) == getattr(found.overall, name)
    whole = found.overall
    assert sum(whole.uses) == whole.measured
    assert len(whole.uses) == len(USE_EDGES) + 1
    if whole.measured:
        shares = (whole.over_allocated, whole.accuracy, whole.under_allocated)
        assert sum(share or 0 for share in shares) == pytest.approx(1.0)


def test_a_thousand_rows_take_far_less_than_the_200_ms_of_the_origin() -> None:
    """Of one core, whatever else runs on it."""
    rows = [_budgeted(number % 1500 + 1, agent=f"a{number % 7}") for number in range(1000)]
    start = process_time()
    _report(rows)
    assert process_time() - start < 0.2
