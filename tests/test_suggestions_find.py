from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.analytics.suggestions.base import KINDS, LEAST
from budget_proxy.analytics.suggestions.find import kinds_of, scene_of, suggestions
from budget_proxy.analytics.suggestions.rows import SAMPLE, Rows
from budget_proxy.analytics.suggestions.totals import totals
from budget_proxy.settings import load
from budget_proxy.store.base import Store
from budget_proxy.store.memory import MemoryStore
from budget_proxy.store.sqlite import SQLiteStore
from budget_proxy.types import CallRecord
from tests.makers import NOW
from tests.scenes import calls, scene

DAY = 86_400.0


def troubled(agent: str, count: int = 60) -> list[CallRecord]:
    """Calls of an agent that most kinds have something to say of."""
    facts: dict[str, Any] = {
        "agent": agent, "session": lambda i: f"{agent} {i}", "call_id": lambda i: f"{agent} {i}",
        "score": 1.0, "input_tokens": 9000,
    }  # fmt: skip
    held = {**facts, "session": lambda i: f"{agent} h{i}"}
    return [
        *calls(count, model="gpt-4.1", ceiling=9000, output_tokens=500, guidance="g",
               guidance_tokens=40, **facts),
        *calls(count, model="gpt-4.1", output_tokens=300, arm="holdout", **held),
        *calls(count, model="gpt-4.1-mini", output_tokens=1000, **facts,
               truncated=lambda i: i % 2 == 0, finish_reason="length"),
        *calls(count, model="gpt-5.4", output_tokens=1000, reasoning_tokens=800, **facts),
        *calls(count, model="claude-sonnet-4-5", api="anthropic.messages", cache_read_tokens=0,
               cache_write_tokens=5000, **facts),
    ]  # fmt: skip


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store of each kind."""
    opened: Store = SQLiteStore(tmp_path / "h.db") if request.param == "sqlite" else MemoryStore()
    opened.migrate()
    return opened


@pytest.mark.parametrize(
    "where",
    [
        {"agent": "b"},
        {"task_type": "bug-fix"},
        {"model": "gpt-4.1"},
        {"model": "gpt-5.4"},
        {"agent": "a", "model": "claude-sonnet-4-5"},
        {"agent": "a", "task_type": "bug-fix", "model": "gpt-4.1"},
        {"task_type": "review"},
    ],
)
def test_suggestions_about_some_calls_are_those_of_all_that_are_about_them(
    store: Store, where: dict[str, str]
) -> None:
    """With the same evidence; what holds of more calls than were asked for is left out."""
    store.append([*troubled("a"), *troubled("b")])
    every = suggestions(scene_of(store, load(), NOW + DAY, NOW - DAY))
    asked = scene_of(store, load(), NOW + DAY, NOW - DAY, **where)
    found = suggestions(asked, kinds_of(None, where))
    store.close()
    expected = [one for one in every if all(getattr(one, k) == v for k, v in where.items())]
    assert bool(expected) == ("review" not in where.values())
    assert {one.id: (one.kind, one.text, one.n, one.evidence) for one in found} == {
        one.id: (one.kind, one.text, one.n, one.evidence) for one in expected
    }


def test_what_is_worth_most_comes_first_whatever_its_kind(store: Store) -> None:
    """From a store, by its sums and newest rows; each suggestion once, with an id of its own."""
    store.append(troubled("coder"))
    found = suggestions(scene_of(store, load(), NOW + DAY, NOW - DAY))
    store.close()
    worth = [sum(one.money or (0, 0)) for one in found]
    assert worth == sorted(worth, reverse=True)
    assert {one.kind for one in found} == {
        "over-allocated", "under-allocated", "model", "cache", "guidance", "effort",
    }  # fmt: skip
    assert len({one.id for one in found}) == len(found)
    assert all(one.n >= LEAST for one in found)


def test_stores_of_both_kinds_say_the_same(tmp_path: Path) -> None:
    """To the last digit that they share."""
    both: list[Store] = [SQLiteStore(tmp_path / "h.db"), MemoryStore()]
    for each in both:
        each.migrate()
        each.append(troubled("coder"))
    one, other = (suggestions(scene_of(each, load(), NOW + DAY, None)) for each in both)
    assert [found.id for found in one] == [found.id for found in other]
    for mine, theirs in zip(one, other, strict=True):
        assert replace(mine, money=None, evidence={}) == replace(theirs, money=None, evidence={})
        assert mine.money == (None if theirs.money is None else pytest.approx(theirs.money))
    both[0].close()


@pytest.mark.parametrize("kind", KINDS)
def test_one_kind_alone_can_be_asked_for(kind: Any) -> None:
    """It says what it says among all."""
    here = scene(*troubled("coder"))
    alone = suggestions(here, (kind,))
    assert alone == tuple(one for one in suggestions(here) if one.kind == kind)


@pytest.mark.parametrize(
    ("start", "days"),
    [
        pytest.param(NOW - 30 * DAY, 10.0, id="the history begins ten days ago"),
        pytest.param(NOW - 5 * DAY, 300 / 61, id="the span begins within it"),
        pytest.param(None, 10.0, id="all of it"),
    ],
)
def test_a_month_is_counted_from_where_the_history_begins(
    store: Store, start: float | None, days: float
) -> None:
    """From its first call in the span on: time before there was a history is no traffic."""
    store.append(calls(61, ts=lambda i: NOW - 10 * DAY * (1 - i / 61)))
    # A call every 10 / 61 days: the first one less than five days old is the 30th from the end.
    assert scene_of(store, load(), NOW, start).days == pytest.approx(days, abs=1e-6)
    store.close()


def test_an_hour_is_not_blown_up_to_a_month(store: Store) -> None:
    """It counts as a day."""
    store.append(calls(60, ts=lambda i: NOW - 3600 + i))
    assert scene_of(store, load(), NOW, NOW - 30 * DAY).days == 1.0
    store.close()


def test_the_rows_that_are_read_do_not_grow_with_the_groups() -> None:
    """Of 40 agents the same number of samples is read as of 20, and no more than so many rows."""

    def read_of(agents: int) -> list[int]:
        here = scene(*(row for i in range(agents) for row in troubled(f"agent {i}", 50)))
        inner: Callable[..., Sequence[CallRecord]] = here.rows._read
        sizes = []

        def counted(group: Any, limit: int, **how: Any) -> Sequence[CallRecord]:
            sizes.append(limit)
            return inner(group, limit, **how)

        assert suggestions(replace(here, rows=Rows(counted), _by={}))
        return sizes

    few, many = read_of(20), read_of(40)
    assert len(few) == len(many) <= 80
    assert set(many) == {SAMPLE}


def test_suggestions_are_added_up_by_what_is_asked_for() -> None:
    """Reserved tokens apart from others; unknown worth is counted, not taken for nothing."""
    found = suggestions(scene(*troubled("a"), *troubled("b")))
    by_agent = {one.group: one for one in totals(found, "agent")}
    assert set(by_agent) == {"a", "b"}
    assert by_agent["a"] == replace(by_agent["b"], group="a", money=by_agent["a"].money)
    its = [one for one in found if one.agent == "a"]
    assert by_agent["a"].suggestions == len(its)
    assert by_agent["a"].unpriced == sum(one.money is None for one in its)
    assert by_agent["a"].reserved == sum(one.tokens or 0 for one in its if one.of == "reserved")
    assert by_agent["a"].money[1] == pytest.approx(sum(one.money[1] for one in its if one.money))
