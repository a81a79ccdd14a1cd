from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from time import thread_time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.calibration import confidence_error, reliability, wilson
from budget_proxy.analytics.judgement import judgements
from budget_proxy.analytics.report import Report, keep, make_report
from budget_proxy.analytics.spenders import spenders
from budget_proxy.analytics.truncations import truncations
from budget_proxy.store import open_store
from budget_proxy.store.measures import sums_of
from budget_proxy.store.memory import MemoryStore
from budget_proxy.store.scoring import risk_of
from budget_proxy.store.sums import total
from budget_proxy.types import CallRecord
from tests.makers import NOW, record
from tests.test_store_contract import alike, many

DAY = 86_400.0
UTC = ZoneInfo("UTC")


def budgeted(used: int, **given: Any) -> CallRecord:
    """An exact answer of ``used`` tokens under a calibrated budget of 1,000."""
    facts: dict[str, Any] = {
        "recommended": 1000, "confidence": 0.6, "strategy": "quantile", "mode": "enforce",
        "q50": 500.0, "q75": 700.0, "q90": 950.0, "q95": 1200.0, "q99": 1500.0,
        "input_tokens": 10, "cost": 0.01, **given,
    }  # fmt: skip
    return record(output_tokens=used, **facts)


def history(*rows: CallRecord) -> MemoryStore:
    """A history of these rows."""
    store = MemoryStore()
    store.append(rows)
    return store


def made(*rows: CallRecord, **given: Any) -> Report:
    """The report on these rows, just after NOW."""
    return make_report(history(*rows), now=NOW + 60, zone=UTC, **given)


def test_rates_stand_beside_what_forecasts_expected() -> None:
    """P(50-95 %) = .6 and 95 % of 1,000 is the q90: .1 under, so that .3 are left for over.

    Of four calls, 100 is over, 800 and 900 are accurate, 1,000 is under.
    """
    found = made(*(budgeted(used) for used in (100, 800, 900, 1000))).efficiency.overall
    assert (found.over_allocated, found.accuracy, found.under_allocated) == (0.25, 0.5, 0.25)
    assert found.attainable == pytest.approx(0.6)
    assert found.attainable_under == pytest.approx(0.1)
    assert found.attainable_over == pytest.approx(0.3)
    # (.3 + 1.0 + .8 + .5) / 4, and as worked out in tests/test_store_scoring.py
    assert found.efficiency == pytest.approx(0.65)
    assert found.attainable_efficiency == pytest.approx(0.5650, abs=0.0001)
    assert (found.expected, found.promised, found.measured) == (4, 4, 4)


def test_what_was_attainable_is_of_the_calls_that_it_is_known_of() -> None:
    """Of a call whose forecast is not whole, and of one without probabilities, it is not."""
    rows = (budgeted(800), budgeted(800, q99=None), budgeted(800, strategy="heuristic"))
    found = made(*rows).efficiency.overall
    assert (found.measured, found.promised, found.expected) == (3, 2, 1)
    assert found.attainable_efficiency == pytest.approx(0.5650, abs=0.0001)


def test_success_figures_against_the_origins_targets() -> None:
    """85 % accurate meets the target, 5 % over the stretch of 10 %, 10 % under the target."""
    rows = [budgeted(800)] * 17 + [budgeted(100)] + [budgeted(1000)] * 2
    found = {one.name: one for one in made(*rows).success}
    accuracy = found["budget accuracy"]
    assert [accuracy.value, accuracy.attainable] == pytest.approx([0.85, 0.6])
    assert (accuracy.baseline, accuracy.target, accuracy.stretch) == (0.5, 0.8, 0.9)
    assert accuracy.reached == "target"
    assert found["over-allocation rate"].reached == "stretch"
    assert found["under-allocation rate"].reached == "target"
    assert found["prediction confidence"].value == pytest.approx(0.6)
    assert found["prediction confidence"].reached is None


def test_reliability_by_hand() -> None:
    """Confidence .61 twice and .65 once: promised .6233 on average, one of three held."""
    rows = [
        budgeted(800, confidence=0.61), budgeted(10, confidence=0.61),
        budgeted(10, confidence=0.65), budgeted(800, confidence=0.1),
        budgeted(800, confidence=1.0),
    ]  # fmt: skip
    found = made(*rows)
    seventh, second, last = (found.reliability[index] for index in (6, 1, 9))
    assert (seventh.start, seventh.end, seventh.n) == (0.6, 0.7, 3)
    assert seventh.promised == pytest.approx(1.87 / 3)
    assert seventh.held == pytest.approx(1 / 3)
    assert (seventh.low, seventh.high) == wilson(1, 3)
    assert seventh.holds is True
    assert (second.n, second.held, last.n, last.held) == (1, 1.0, 1, 1.0)
    assert found.reliability[0].promised is None
    # |1.87/3 - 1/3| * 3, |.1 - 1|, |1 - 1|: (.87 + .9 + 0) / 5
    assert found.confidence_error == pytest.approx(0.354)


def test_weights_promise_nothing() -> None:
    """No tenth counts a heuristic's confidence."""
    found = made(budgeted(800, strategy="heuristic"))
    assert all(one.n == 0 for one in found.reliability)
    assert found.confidence_error is None


def test_top_spenders_by_hand() -> None:
    """Costs .06, .03 and .01 of .10; before they were .02, nothing and .01."""
    rows = [
        *(budgeted(90, agent="a", ts=NOW) for _ in range(6)),
        *(budgeted(190, agent="b", ts=NOW) for _ in range(3)),
        budgeted(90, agent="c", ts=NOW),
        *(budgeted(90, agent="a", ts=NOW - 2 * DAY) for _ in range(2)),
        budgeted(90, agent="c", ts=NOW - 2.5 * DAY),
        budgeted(90, agent="c", ts=NOW - 9 * DAY),
    ]
    found = made(*rows, since=NOW + 60 - 1.5 * DAY).spenders["agent"]
    assert [(one.group, one.calls) for one in found] == [(("a",), 6), (("b",), 3), (("c",), 1)]
    assert [one.cost_share for one in found] == pytest.approx([0.6, 0.3, 0.1])
    assert [one.tokens for one in found] == [600, 600, 100]
    assert [one.token_share for one in found] == pytest.approx([6 / 13, 6 / 13, 1 / 13])
    assert [one.cost_before for one in found] == pytest.approx([0.02, 0.0, 0.01])
    assert found[0].tokens_before == 200


def test_a_time_before_that_was_not_seen_whole_is_no_yardstick() -> None:
    """The history began in it: spenders have no figures before, changes are told by day."""
    rows = [budgeted(90, ts=NOW - day * DAY) for day in (0.1, 0.2, 1.1)]
    found = made(*rows, since=NOW + 60 - DAY)
    assert found.spenders["agent"][0].cost_before is None
    assert found.previous is not None
    assert found.previous.before.start == NOW - 1.1 * DAY


def test_spenders_beyond_the_most_are_one_and_dear_in_tokens_if_not_in_money() -> None:
    """Twelve agents: seven by cost, three by tokens, and two others together."""
    rows = [budgeted(1, agent=f"p{n}", cost=1.0 + n) for n in range(8)]
    rows += [budgeted(5000 + n, agent=f"t{n}", cost=None) for n in range(4)]
    found = spenders(sums_of(rows), None, "agent")
    names = [one.group[0] for one in found]
    assert len(names) == 11
    assert {"t3", "t2", "t1"} < set(names)
    assert names[-1] == "(other)"
    assert found[-1].calls == 2
    assert sum(one.cost for one in found) == pytest.approx(sum(row.cost or 0 for row in rows))


def test_worst_truncations_by_hand() -> None:
    """Two of four cut for 2 cents by us, one of two for 5 cents by the caller, and whose."""
    cut = {"truncated": True, "ceiling": 1000, "finish_reason": "length"}
    rows = [
        budgeted(1000, call_id="a", agent="x", cut_by_us=True, ts=NOW, **cut),
        budgeted(1700, call_id="a", agent="x", attempt=2, ts=NOW + 1),
        budgeted(1000, call_id="b", agent="x", cut_by_us=True, ts=NOW + 2, **cut),
        budgeted(800, call_id="c", agent="x", ts=NOW + 3),
        budgeted(990, call_id="d", agent="y", cost=0.05, ts=NOW + 4, **cut),
        budgeted(800, call_id="e", agent="y", ts=NOW + 5),
        budgeted(800, call_id="f", agent="z", ts=NOW + 6),
    ]
    found = made(*rows).truncations
    first, second = found.groups
    assert (first.group[0], first.truncated, first.share, first.by_us) == ("y", 1, 0.5, 0)
    assert (first.tokens, first.cost) == (990, 0.05)
    assert (second.group[0], second.truncated, second.share, second.by_us) == ("x", 2, 0.5, 2)
    assert (second.tokens, second.resent) == (2000, 1)
    assert second.cost == pytest.approx(0.02)
    assert [one.call_id for one in found.newest] == ["d", "b", "a"]
    assert (found.newest[0].by_us, found.newest[0].ceiling) == (False, 1000)


def test_a_report_on_all_compares_the_newest_week_with_the_one_before() -> None:
    """Ten calls then, five before; older ones are in neither."""
    rows = [budgeted(800, ts=NOW - n * DAY / 2) for n in range(10)]
    rows += [budgeted(800, ts=NOW - (7.5 + n) * DAY) for n in range(5)]
    rows += [budgeted(800, ts=NOW - 30 * DAY)]
    found = made(*rows).previous
    assert found is not None
    calls = next(change for change in found.changes if change.measure == "calls_a_day")
    assert [calls.before, calls.after] == pytest.approx([5 / 7, 10 / 7])


def test_a_young_history_has_nothing_to_compare_with() -> None:
    """Two days, or an hour and nothing before it."""
    assert made(budgeted(800), budgeted(800, ts=NOW - DAY)).previous is None
    assert made(budgeted(800), since=NOW - 3600).previous is None


def test_what_changed_since_the_last_report_that_was_kept() -> None:
    """What came after it beside what it told of; a report that was only looked at is none."""
    store = history(*(budgeted(800, ts=NOW - n * DAY) for n in range(1, 5)))
    first = make_report(store, now=NOW, zone=UTC)
    assert first.since_last is None
    assert make_report(store, now=NOW, zone=UTC).since_last is None
    keep(store, first)
    store.append([budgeted(100, ts=NOW + DAY)])
    second = make_report(store, now=NOW + 2 * DAY, zone=UTC).since_last
    assert second is not None
    assert (second.before.start, second.before.end) == (NOW - 4 * DAY, NOW)
    assert (second.after.start, second.after.end) == (NOW, NOW + 2 * DAY)
    over = next(change for change in second.changes if change.measure == "over_allocated")
    assert (over.before, over.after) == (0.0, 1.0)


def test_reports_that_follow_each_other_have_one_comparison() -> None:
    """The last report told of just the time before: both comparisons are the same."""
    store = history(*(budgeted(800, ts=NOW - n * DAY / 4) for n in range(1, 20)))
    keep(store, make_report(store, now=NOW, zone=UTC, since=NOW - 2 * DAY, until=NOW - DAY))
    found = make_report(store, now=NOW, zone=UTC, since=NOW - DAY, until=NOW)
    assert found.since_last is not None
    assert found.since_last is found.previous


@pytest.mark.parametrize(
    ("days", "unit", "count"),
    [(0.5, "hour", 13), (20, "day", 21), (100, "week", 15), (500, "month", 17)],
)
def test_the_course_has_some_thirty_periods_at_most(days: float, unit: str, count: int) -> None:
    """Hours, days, weeks or months; they count every call once."""
    rows = [budgeted(800, ts=NOW - n * days * DAY / 10) for n in range(11)]
    found = made(*rows)
    assert found.unit == unit
    assert abs(len(found.course) - count) <= 1
    assert sum(one.calls for one in found.course) == 11


def test_an_empty_history_gives_unknowns() -> None:
    """And no error."""
    found = made()
    assert (found.efficiency.overall.calls, found.course, found.previous) == (0, (), None)
    assert found.truncations.groups == ()
    assert all(one.value is None and one.reached is None for one in found.success)


def test_plain_has_the_parts_of_the_efficiency_report_by_name() -> None:
    """What JSON had before reports knew more, and the rest beside it."""
    found = made(budgeted(800)).plain()
    assert {"start", "end", "overall", "by_agent", "by_task_type", "by_model", "by_group"} < set(
        found
    )
    assert {"success", "reliability", "spenders", "truncations", "previous"} < set(found)
    assert "efficiency" not in found


ROWS = st.lists(
    st.builds(
        budgeted,
        st.integers(0, 2000),
        call_id=st.sampled_from(["c1", "c2", "c3", "c4"]),
        attempt=st.integers(1, 2),
        ts=st.floats(NOW - 3 * DAY, NOW),
        agent=st.sampled_from("abc"),
        model=st.sampled_from("xy"),
        n=st.integers(1, 2),
        confidence=st.none() | st.floats(0, 1),
        strategy=st.sampled_from(["learned", "heuristic"]),
        truncated=st.booleans(),
        cut_by_us=st.booleans(),
        ceiling=st.none() | st.integers(1, 2000),
        cost=st.none() | st.floats(0, 1),
        q90=st.floats(700, 1200),
    ),
    max_size=40,
)


@given(ROWS)
def test_confidence_is_counted_as_single_calls_are_judged(rows: list[CallRecord]) -> None:
    """Reliability and what was attainable, by brute force over the rows."""
    tenths: defaultdict[int, list[tuple[float, bool]]] = defaultdict(list)
    risks = []
    for row, judgement in judgements(rows):
        if judgement.attainable is not None:
            tenth = min(sum(judgement.attainable >= edge / 10 for edge in range(1, 10)), 9)
            tenths[tenth].append((judgement.attainable, judgement.verdict == "accurate"))
            risks.append(risk_of(row) or 0.0)
    whole = total(sums_of(rows))
    found = reliability(whole)
    for index, one in enumerate(found):
        members = tenths[index]
        assert one.n == len(members)
        if members:
            assert one.promised == pytest.approx(sum(p for p, _ in members) / len(members))
            assert one.held == pytest.approx(sum(h for _, h in members) / len(members))
    assert whole.risk == pytest.approx(sum(risks))
    assert (confidence_error(found) is None) == (not risks)
    figures = made(*rows).efficiency.overall
    if risks:
        shares = (figures.attainable, figures.attainable_over, figures.attainable_under)
        assert all(share is not None and share >= 0 for share in shares)
        assert sum(share or 0 for share in shares) == pytest.approx(1.0)


@given(ROWS)
def test_spending_and_truncations_are_those_of_the_rows(rows: list[CallRecord]) -> None:
    """By brute force over the rows, group by group."""
    for by, name in (("agent", "agent"), ("model", "model")):
        for one in spenders(sums_of(rows), sums_of(rows), by):  # type: ignore[arg-type]
            its = [row for row in rows if (getattr(row, name),) == one.group]
            assert one.cost == pytest.approx(sum(row.cost or 0 for row in its))
            assert one.cost_before == one.cost
            assert one.tokens == sum(
                (row.input_tokens or 0) + (row.output_tokens or 0) for row in its
            )
            assert one.calls == sum(row.attempt == 1 for row in its)
    newest = [row for row in reversed(rows) if row.truncated]
    found = truncations(sums_of(rows), newest)
    for cut in found.groups:
        its = [row for row in rows if (row.agent, row.task_type, row.model) == cut.group]
        assert cut.share == pytest.approx(sum(row.truncated for row in its) / len(its))
        assert cut.tokens == sum(row.output_tokens or 0 for row in its if row.truncated)
        known = any(row.cost is not None for row in its)
        costs = sum(row.cost or 0 for row in its if row.truncated)
        assert cut.cost == (pytest.approx(costs) if known else None)
        assert cut.by_us == sum(row.cut_by_us for row in its)
    assert sum(cut.truncated for cut in found.groups) == len(newest)


def test_both_stores_tell_the_same(tmp_path: Path) -> None:
    """Of calls in every variety, with a report before; in a file as in memory."""
    found = []
    for store in (open_store(f"sqlite:///{tmp_path / 'history.db'}"), MemoryStore()):
        store.append(many(600))
        keep(store, make_report(store, now=NOW + 5 * DAY, zone=UTC, until=NOW + 5 * DAY))
        found.append(make_report(store, now=NOW + 11 * DAY, zone=UTC, since=NOW + 6 * DAY))
        store.close()
    one, other = found
    assert one.since_last is not None
    assert one.truncations.newest
    assert alike(tuple(one.spenders.values()), tuple(other.spenders.values()))
    assert alike(replace(one, spenders={}), replace(other, spenders={}))


def test_a_thousand_tasks_take_less_than_the_200_ms_of_the_origin(tmp_path: Path) -> None:
    """In a file, over a week; processor time, since a busy machine is slow, not wrong."""
    store = open_store(f"sqlite:///{tmp_path / 'history.db'}")
    store.append(
        [
            budgeted(n % 1500 + 1, agent=f"a{n % 7}", ts=NOW - n * 600, call_id=f"{n}")
            for n in range(1000)
        ]
    )
    seconds = []
    for _ in range(3):
        start = thread_time()
        make_report(store, now=NOW, zone=UTC)
        seconds.append(thread_time() - start)
    store.close()
    assert min(seconds) < 0.2
