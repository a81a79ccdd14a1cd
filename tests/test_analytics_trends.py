from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.figures import figures_of
from budget_proxy.analytics.periods import latest
from budget_proxy.analytics.slope import slope_of
from budget_proxy.analytics.trends import GroupTrends, Trend, trends
from budget_proxy.store.measures import sums_of
from budget_proxy.store.memory import MemoryStore
from budget_proxy.store.sums import Sums
from budget_proxy.types import CallRecord
from tests.makers import NOW, record
from tests.test_store_contract import alike

DAY = 86_400.0
UTC = ZoneInfo("UTC")
MIDNIGHT = NOW - NOW % DAY


def budgeted(day: float, use: float = 0.8, **given: object) -> CallRecord:
    """A call on some day before NOW's with its share of a budget of 1,000 used, for one cent."""
    facts = {"recommended": 1000, "cost": 0.01, "strategy": "quantile", **given}
    return record(ts=MIDNIGHT - day * DAY + 60, output_tokens=round(1000 * use), **facts)


def of(*rows: CallRecord, days: int = 5, **given: object) -> list[GroupTrends]:
    """Trends by day of a history, the last day being NOW's."""
    store = MemoryStore()
    store.append(rows)
    return trends(store, latest("day", UTC, NOW, days), now=NOW, **given)  # type: ignore[arg-type]


def whole(*rows: CallRecord, measure: str, days: int = 5) -> Trend:
    """The trend of one measure of a whole history."""
    (found,) = of(*rows, days=days)
    return found.of(measure)


def test_efficiency_by_the_missions_bounds() -> None:
    """Uses .30, .55, .65, .80 have efficiencies .3, .6, .8, 1.0: slope .23 a day, improving."""
    rows = [budgeted(day, use) for day, use in ((4, 0.3), (3, 0.55), (2, 0.65), (1, 0.8))]
    found = whole(*rows, measure="efficiency")
    assert found.values == (0.3, 0.6, 0.8, 1.0, None)
    assert found.line is not None
    assert found.line.slope == pytest.approx(0.23)
    assert (found.direction, found.certain) == ("improving", True)
    backwards = [budgeted(5 - day, use) for day, use in ((4, 0.3), (3, 0.55), (2, 0.65), (1, 0.8))]
    assert whole(*backwards, measure="efficiency").direction == "declining"


def test_a_slope_of_a_hundredth_is_stable() -> None:
    """At most .01 a period either way."""
    assert whole(*(budgeted(day) for day in range(5)), measure="efficiency").direction == "stable"


def test_a_day_without_calls_has_no_efficiency_but_no_calls() -> None:
    """A gap is no zero for a mean, and a zero is no gap for a total."""
    rows = [budgeted(day) for day in (4, 3, 1)]
    assert whole(*rows, measure="efficiency").values == (1.0, 1.0, None, 1.0, None)
    assert whole(*rows, measure="calls").values == (1, 1, 0, 1, 0)
    assert whole(*rows, measure="cost").values == (0.01, 0.01, 0.0, 0.01, 0.0)


def test_days_that_are_not_whole_do_not_tell_of_totals() -> None:
    """The running one, and the one in which the history began: both have fewer calls."""
    rows = [budgeted(4), *(budgeted(day) for day in (3, 2, 1) for _ in range(6)), budgeted(0)]
    found = whole(*rows, measure="calls")
    assert found.values == (1, 6, 6, 6, 1)
    assert found.line is not None
    assert (found.line.n, found.line.slope, found.direction) == (3, 0.0, "stable")


def test_calls_rise_where_the_change_is_more_than_a_hundredth_of_their_mean() -> None:
    """2, 4 and 6 a day after the first: 2 more a day is half of the mean."""
    rows = [budgeted(4), *(budgeted(day) for day in (3, 2, 1) for _ in range(8 - 2 * day))]
    found = whole(*rows, measure="calls")
    assert found.line is not None
    assert (found.line.slope, found.direction) == (2.0, "rising")


def test_one_unknown_price_leaves_a_gap_in_the_cost() -> None:
    """It is not a cheap day."""
    rows = [budgeted(3), budgeted(2, cost=None), budgeted(2)]
    assert whole(*rows, measure="cost").values == (0.0, 0.01, None, 0.0, 0.0)


def test_groups_beyond_the_most_frequent_are_one() -> None:
    """Named (other), and none is lost."""
    rows = [budgeted(1, agent=name) for name in "aaabbcd"]
    found = of(*rows, by="agent", most=2)
    calls = {group.group: sum(figures.calls for figures in group.figures) for group in found}
    assert calls == {("a",): 3, ("b",): 2, ("(other)",): 2}


def test_an_empty_history_has_no_trend() -> None:
    """Nothing is measured, and no group is there but the whole."""
    (found,) = of()
    assert found.group == ()
    assert found.of("efficiency").direction == "unknown"
    assert found.of("calls").line is None


def test_only_the_calls_that_were_asked_for() -> None:
    """Those of one agent."""
    rows = [budgeted(1, agent="a"), budgeted(1, agent="b")]
    (found,) = of(*rows, agent="a")
    assert [figures.calls for figures in found.figures] == [0, 0, 0, 1, 0]


ROWS = st.builds(
    budgeted,
    st.floats(0, 6, exclude_max=True),
    st.floats(0.01, 2),
    agent=st.sampled_from("ab"),
    truncated=st.booleans(),
    cost=st.none() | st.floats(0, 1),
)


@given(st.lists(ROWS, max_size=40))
def test_every_figure_is_that_of_its_periods_rows(rows: list[CallRecord]) -> None:
    """By brute force, period by period and group by group; no row is lost."""
    spans = latest("day", UTC, NOW, 7)
    found = of(*rows, days=7, by="agent")
    for group in found:
        for span, figures in zip(spans, group.figures, strict=True):
            members = [
                replace(row, task_type="", model="", arm="")
                for row in rows
                if span.start <= row.ts < span.end and (row.agent,) == group.group
            ]
            whole = (sums_of(members) or [Sums()])[0]
            assert alike(figures, figures_of(whole, group.group, spread=False))
        assert group.of("efficiency").line == slope_of(group.of("efficiency").values)
    assert sum(figures.attempts for group in found for figures in group.figures) == len(rows)
