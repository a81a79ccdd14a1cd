from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.analytics.series import Measure, daily
from budget_proxy.store import open_store
from budget_proxy.types import CallRecord
from tests.makers import record

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia")
NOW = datetime(2026, 4, 2, 15, tzinfo=BERLIN).timestamp()  # four days after clocks changed
WITHIN = 86_400 * 40

CALLS = st.lists(
    st.builds(
        record,
        ts=st.floats(NOW - WITHIN, NOW + 86_400),
        agent=st.sampled_from("abc"),
        model=st.sampled_from(("m", "n")),
        cost=st.none() | st.integers(0, 1_000).map(float),
        input_tokens=st.none() | st.integers(0, 1_000),
        output_tokens=st.none() | st.integers(0, 1_000),
        attempt=st.sampled_from((1, 1, 2)),
    ),
    max_size=40,
)


def amount(row: CallRecord, measure: Measure) -> float:
    """What one row adds."""
    if measure == "calls":
        return float(row.attempt == 1)
    return (
        row.cost or 0.0 if measure == "cost" else (row.input_tokens or 0) + (row.output_tokens or 0)
    )


@given(CALLS, st.sampled_from(ZONES), st.sampled_from(("cost", "tokens", "calls")))
def test_days_are_what_their_rows_add_up_to(
    records: list[CallRecord], name: str, measure: Measure
) -> None:
    """By local day, for the whole and each agent, against a count over the raw rows."""
    zone, store = ZoneInfo(name), open_store("memory:")
    store.append(records)
    found = daily(store, zone, NOW, by="agent", days=30)
    today = datetime.fromtimestamp(NOW, zone).date()
    counted: dict[str, dict[date, float]] = defaultdict(lambda: defaultdict(float))
    for row in records:
        day = datetime.fromtimestamp(row.ts, zone).date()
        if row.ts < NOW and day >= today - timedelta(days=30):
            counted[row.agent][day] += amount(row, measure)
    whole = found.whole(measure)
    assert whole.today == today
    for place, value in enumerate([*whole.amounts, whole.so_far]):
        day = whole.start + timedelta(days=place)
        assert value == pytest.approx(sum(days[day] for days in counted.values()))
    groups = found.by_group(measure)
    assert {one.group for one in groups} == {(agent,) for agent in counted}
    for one in groups:
        assert one.so_far == pytest.approx(counted[one.group[0]][today])
        for place, value in enumerate(one.amounts):
            day = one.start + timedelta(days=place)
            assert value == pytest.approx(counted[one.group[0]][day])
        assert one.amounts.sum() + one.so_far == pytest.approx(
            sum(counted[one.group[0]].values())
        )  # the days that it leaves out are those before its first amount


def test_days_without_calls_are_zeros_and_the_running_day_is_kept_apart(tmp_path: Path) -> None:
    """Calls on Monday and Wednesday, looked at on Friday at 6: 1, 0, 4, 0, and 2 so far."""
    store = open_store(f"sqlite:///{tmp_path / 'history.db'}")
    monday = datetime(2026, 11, 23, 0, 30, tzinfo=BERLIN)
    moments = [monday, monday + timedelta(days=2), monday + timedelta(days=4, hours=1)]
    store.append(
        [
            record(ts=moment.timestamp(), cost=cost, call_id=f"c{cost}")
            for moment, cost in zip(moments, (1.0, 4.0, 2.0), strict=True)
        ]
    )
    now = datetime(2026, 11, 27, 6, tzinfo=BERLIN).timestamp()
    whole = daily(store, BERLIN, now).whole("cost")
    store.close()
    assert (whole.start, whole.today) == (date(2026, 11, 23), date(2026, 11, 27))
    assert whole.amounts.tolist() == [1, 0, 4, 0]
    assert (whole.so_far, whole.elapsed) == (2, 0.25)
    assert whole.last(6).tolist() == [0, 0, 1, 0, 4, 0]
    assert whole.last(0).tolist() == []


def test_at_midnight_the_new_day_is_the_running_one() -> None:
    """Nothing of it is over."""
    store = open_store("memory:")
    midnight = datetime(2026, 11, 27, tzinfo=BERLIN)
    store.append([record(ts=midnight.timestamp() - 1, cost=3.0)])
    whole = daily(store, BERLIN, midnight.timestamp()).whole("cost")
    assert (whole.today, whole.elapsed, whole.so_far) == (midnight.date(), 0, 0)
    assert whole.amounts.tolist() == [3]


def test_a_day_of_23_hours_is_half_over_after_eleven_and_a_half() -> None:
    """On 29 March 2026 clocks go from 2 to 3: at 12:30 it is half over."""
    store = open_store("memory:")
    now = datetime(2026, 3, 29, 12, 30, tzinfo=BERLIN).timestamp()
    store.append([record(ts=now - 1)])
    assert daily(store, BERLIN, now).elapsed == 0.5


def test_the_share_of_known_amounts_is_told() -> None:
    """Of three priced or unpriced attempts two have a price; tokens are all told."""
    store = open_store("memory:")
    costs = (1.0, None, 2.0)
    store.append([record(ts=NOW - 5, cost=cost, call_id=f"c{cost}") for cost in costs])
    found = daily(store, BERLIN, NOW)
    assert found.whole("cost").known == pytest.approx(2 / 3)
    assert found.whole("tokens").known == 1
    assert found.whole("cost").so_far == 3


def test_failed_attempts_lack_no_tokens_but_answers_without_a_count_do() -> None:
    """An error has none to tell; one of two answers tells none: half is known."""
    store = open_store("memory:")
    rows = [
        record(ts=NOW - 3, call_id="a", finish_reason="error", output_tokens=None),
        record(ts=NOW - 2, call_id="b", output_tokens=None),
        record(ts=NOW - 1, call_id="c"),
    ]
    store.append(rows)
    assert daily(store, BERLIN, NOW).whole("tokens").known == 0.5


def test_groups_beyond_the_greatest_are_one() -> None:
    """Ten agents, three shown: those that cost most of late, and the other seven together."""
    store = open_store("memory:")
    store.append(
        [
            record(ts=NOW - 86_400, agent=f"a{n}", call_id=f"c{n}", cost=float(n))
            for n in range(1, 11)
        ]
    )
    groups = daily(store, BERLIN, NOW, by="agent").by_group("cost", most=3)
    assert [one.group[0] for one in groups] == ["a10", "a9", "a8", "(other)"]
    assert groups[-1].amounts.tolist() == [28]
    both = daily(store, BERLIN, NOW, by="group").by_group("cost", most=1)
    assert [one.group for one in both] == [("a10", "review", "gpt-5.4"), ("(other)",) * 3]


def test_a_group_begins_with_its_first_amount() -> None:
    """An agent that came two days ago is not one that cost nothing for weeks."""
    store = open_store("memory:")
    rows = [record(ts=NOW - 86_400 * n, call_id=f"c{n}", cost=1.0) for n in range(1, 20)]
    store.append([*rows, record(ts=NOW - 86_400 * 2, agent="new", cost=5.0)])
    new = daily(store, BERLIN, NOW, by="agent").by_group("cost")[-1]
    assert new.group == ("new",)
    assert new.amounts.tolist() == [5, 0]


def test_an_empty_history_has_no_days() -> None:
    """Nor one whose calls are all still to come."""
    store = open_store("memory:")
    for _ in range(2):
        whole = daily(store, BERLIN, NOW, by="agent").whole("cost")
        assert (whole.amounts.tolist(), whole.so_far, whole.known) == ([], 0, None)
        store.append([record(ts=NOW + 10)])
