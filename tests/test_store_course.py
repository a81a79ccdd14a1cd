"""Sums of one span of time after the other, asked for at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.analytics.periods import Unit, periods
from budget_proxy.store.base import Store
from budget_proxy.store.measures import sums_of
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.store.sums import OTHER, SUMMED, merged
from budget_proxy.types import CallRecord
from tests.makers import NOW
from tests.test_store_contract import DAY, OPENERS, alike, many


@pytest.fixture(params=OPENERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One store of each kind, empty and up to date."""
    opened = OPENERS[request.param](tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def spread(start: float, seconds: float, count: int = 400, prefix: str = "") -> list[CallRecord]:
    """Calls evenly spread over a time, some of them pending; a call's attempts are at one time."""
    return [
        replace(
            row, ts=start + seconds * number / count, call_id=f"{prefix}{number}",
            pending=number % 50 == 7,
        )
        for row in many(count)
        for number in [int(row.call_id[1:])]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", "2026-03-29"),  # 23 hours
        ("Europe/Berlin", "2026-10-25"),  # 25 hours
        ("Australia/Lord_Howe", "2026-04-05"),  # 24 hours and a half
        ("Asia/Kolkata", "2026-06-01"),  # half an hour off
        ("Asia/Kathmandu", "2026-06-01"),  # three quarters of an hour off
        ("UTC", "2026-06-01"),
    ],
)
@pytest.mark.parametrize("unit", ["hour", "day"])
def test_each_period_has_the_rows_that_lie_in_it(
    store: Store, zone: str, day: str, unit: Unit
) -> None:
    """On days that are shorter or longer, too, and in zones that are no whole hours off."""
    place = ZoneInfo(zone)
    midnight = datetime.fromisoformat(day).replace(tzinfo=place).timestamp()
    rows = spread(midnight - DAY, 3 * DAY)
    store.append(rows)
    spans = periods(unit, place, midnight - DAY, midnight + 2 * DAY)
    edges = [*(span.start for span in spans), spans[-1].end]
    for by in ((), ("agent", "model")):
        found = store.course(edges, by=by)
        assert len(found) == len(spans)
        for span, sums in zip(spans, found, strict=True):
            its = [row for row in rows if span.start <= row.ts < span.end]
            assert alike(tuple(sums), tuple(merged(sums_of(its), by)))


@pytest.mark.parametrize(
    ("by", "apart"),
    [
        (("agent",), [("a",)]),
        (("agent", "model"), [("a", "x"), ("b", "y"), ("nobody", "z")]),
        (("model",), []),
    ],
)
def test_some_groups_are_told_apart_and_the_rest_is_one(
    store: Store, by: tuple[str, ...], apart: list[tuple[str, ...]]
) -> None:
    """Of kept sums, of rows before and after them, and of those that are in no sum."""
    rows = spread(NOW, DAY)
    store.append(rows)
    edges = (NOW - 1, NOW + 9_000, NOW + DAY)
    found = store.course(edges, by=by, apart=apart)
    for (low, high), sums in zip(pairwise(edges), found, strict=True):
        its = sums_of(row for row in rows if low <= row.ts < high)
        others: dict[str, Any] = dict.fromkeys(by, OTHER)
        named = [
            one if tuple(getattr(one, name) for name in by) in apart else replace(one, **others)
            for one in its
        ]
        assert alike(tuple(sums), tuple(merged(named, by)))
        assert any(getattr(one, by[0]) == OTHER for one in sums)


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteStore]:
    """A history of which the oldest days are sums alone, and the newest rows in none."""
    made = SQLiteStore(tmp_path_factory.mktemp("course") / "history.db")
    made.migrate()
    made.append(spread(NOW - 90 * DAY, 90 * DAY))
    while made.fold(made.horizon(0), NOW - 10 * DAY):
        pass
    made.append(spread(NOW - DAY, DAY, 30, prefix="late"))
    yield made
    made.close()


WHERE: list[dict[str, Any]] = [{}, {"agent": "a"}, {"task_type": "code", "model": "x"}, {"n": 2}]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-95 * DAY, DAY) | st.sampled_from([-inf, inf]), min_size=2, max_size=9),
    st.sampled_from(WHERE),
    st.sampled_from([SUMMED, ("calls", "cost", "risk")]),
)
def test_all_at_once_is_one_after_the_other(
    folded: SQLiteStore, ages: list[float], where: dict[str, Any], only: tuple[str, ...]
) -> None:
    """Whatever the spans, and whatever of the history is there as rows."""
    edges = sorted(NOW + age for age in ages)
    found = folded.course(edges, by=("agent",), only=only, **where)
    one_by_one = [
        folded.sums(start=low, end=high, by=("agent",), only=only, **where)
        for low, high in pairwise(edges)
    ]
    assert alike(tuple(map(tuple, found)), tuple(map(tuple, one_by_one)))
