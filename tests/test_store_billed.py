"""Bills in every store, and what rows say was used: the same in SQLite as in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from math import inf, nan
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.store.base import Store
from budget_proxy.store.billed import MOST_DOLLARS, NANO, Billed, nano, sorted_out, spent_of
from budget_proxy.store.sqlite import SQLiteStore
from tests.makers import record
from tests.test_store_contract import OPENERS

DAY = 86_400


@pytest.fixture(params=OPENERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One store of each kind, empty and up to date."""
    opened = OPENERS[request.param](tmp_path)
    opened.migrate()
    yield opened
    opened.close()


def line(day: str = "2026-10-01", **given: Any) -> Billed:
    """A line of OpenAI's costs for output, from the file "a"."""
    facts: dict[str, Any] = {
        "provider": "openai", "report": "cost", "model": "m", "kind": "output", "amount": 1_000,
        "file": "a.json", "digest": "a", "imported": 5.0, **given,
    }  # fmt: skip
    return Billed(day=day, **facts)


def test_lines_come_back(store: Store) -> None:
    """As they were put in, of the days that are asked for, the earliest first."""
    full = line(
        "2026-10-02", item="m, output", tier="batch", project="p", tokens=7, requests=2,
    )  # fmt: skip
    bare = Billed("anthropic", "usage", "2026-10-01", imported=1.0, digest="b")
    found = store.save_billed([full, bare])
    assert (found.written, found.unchanged, found.replaced) == (2, 0, ())
    assert store.billed("2026-10-01", "2026-10-02") == [bare, full]
    assert store.billed("2026-10-02", "2026-10-31") == [full]
    assert store.billed("2026-11-01", "2026-11-30") == []
    assert store.counts()["billed"] == 2


def test_the_same_export_twice_changes_nothing(store: Store) -> None:
    """Its lines are there already."""
    lines = [line(), line("2026-10-02"), line(kind="input")]
    store.save_billed(lines)
    again = store.save_billed([replace(one, imported=9.0) for one in lines])
    assert (again.written, again.unchanged, again.replaced) == (0, 3, ())
    assert {one.imported for one in store.billed("2026-10-01", "2026-10-31")} == {5.0}


def test_a_newer_export_replaces_the_days_that_it_has(store: Store) -> None:
    """Of the same provider and report alone; what had to go is told."""
    old = [line(), line("2026-10-02"), line("2026-10-03")]
    others = [line(provider="anthropic"), line(report="usage", amount=None, tokens=1)]
    store.save_billed([*old, *others])
    new = [
        line("2026-10-02", digest="b", amount=2_000),
        line("2026-10-03", digest="b", kind="input"),
    ]
    found = store.save_billed(new)
    assert (found.written, found.unchanged, found.replaced) == (2, 0, tuple(old[1:]))
    assert sorted(map(repr, store.billed("2026-10-01", "2026-10-31"))) == sorted(
        map(repr, [old[0], *others, *new])
    )


def test_exports_of_different_projects_stand_side_by_side(store: Store) -> None:
    """Where all lines name a project; one that does not is about all of them, and replaces them."""
    one, other = line(project="p1"), line(project="p2", digest="b")
    store.save_billed([one])
    assert store.save_billed([other]).replaced == ()
    newer = line(project="p1", digest="c")
    assert store.save_billed([newer]).replaced == (one,)
    whole = line(digest="d")
    assert sorted(map(repr, store.save_billed([whole]).replaced)) == sorted(
        map(repr, [other, newer])
    )
    assert store.billed("2026-10-01", "2026-10-01") == [whole]


lines = st.builds(
    line,
    st.sampled_from(["2026-10-01", "2026-10-02"]),
    provider=st.sampled_from(["openai", "anthropic"]),
    report=st.sampled_from(["cost", "usage"]),
    project=st.sampled_from(["", "p", "q"]),
    digest=st.sampled_from("ab"),
    amount=st.integers(0, 9),
)


@given(st.lists(lines, max_size=12), st.lists(lines, max_size=6))
def test_of_a_scope_no_old_line_stays_beside_a_new_one_about_the_same(
    old: list[Billed], new: list[Billed]
) -> None:
    """Nothing is billed twice: what stays is of other days, reports, or named projects."""
    going, coming, unchanged = sorted_out(old, new)
    assert len(coming) + unchanged == len(new)
    gone = set(map(id, going))
    for stays in (one for one in old if id(one) not in gone):
        for one in (one for one in coming if one.scope == stays.scope):
            assert stays.project
            assert one.project
            assert stays.project != one.project


def test_rows_are_summed_by_half_hour_and_what_they_have_in_common(store: Store) -> None:
    """Tokens that exclude each other, and exact nano-dollars."""
    start = 1_790_812_800.0
    facts: dict[str, Any] = {
        "host": "api.openai.com", "input_tokens": 100, "cache_read_tokens": 30,
        "cache_write_tokens": 20, "output_tokens": 7, "cost": 0.000_012_3,
    }  # fmt: skip
    store.append(
        [
            record(ts=start + 1, call_id="a", **facts),
            record(ts=start + 1_799, call_id="b", **facts),
            record(ts=start + 1_800, call_id="c", **facts),
            record(ts=start + 2, call_id="d", exact=False, **facts),
        ]
    )
    found = store.spent(start, start + DAY)
    assert [(one.start - start, one.exact, one.attempts) for one in found] == [
        (0, False, 1), (0, True, 2), (1_800, True, 1),
    ]  # fmt: skip
    both = found[1]
    assert (both.fresh, both.cached, both.written, both.output) == (100, 60, 40, 14)
    assert both.amount == 24_600
    assert store.spent(start + DAY, start + 2 * DAY) == []


def test_rows_that_nobody_was_paid_for_are_not_among_them(store: Store) -> None:
    """Such as tasks that were only recorded."""
    store.append([record(api="task", ts=100.0)])
    assert store.spent(0, 1_000) == []


def test_a_row_like_an_earlier_one_is_repeated(store: Store) -> None:
    """By time, model, attempt and tokens; not where it has no tokens, or is a resend."""
    store.append(
        [
            record(ts=5.0, call_id="a"), record(ts=5.0, call_id="b"),
            record(ts=5.0, call_id="c", attempt=2), record(ts=5.5, call_id="d"),
            *[record(ts=9.0, call_id=name, input_tokens=0, output_tokens=0) for name in "ef"],
        ]
    )  # fmt: skip
    assert sum(one.attempts for one in store.spent(0, 10) if one.repeated) == 1


def test_a_call_that_ended_on_the_next_day_is_late(store: Store) -> None:
    """By its seconds; one whose seconds are unknown is not."""
    store.append(
        [
            record(ts=DAY - 2.0, seconds=3.0, call_id="a"),
            record(ts=DAY - 5.0, seconds=3.0, call_id="b"),
            record(ts=DAY - 1.0, call_id="c"),
        ]
    )
    assert [one.attempts for one in store.spent(0, DAY) if one.late] == [1]


def hostile(random: Random, number: int) -> Any:
    """A row such as nobody means, but a file may have."""
    counts = [None, 0, 1, 7, 900, -5, 10**15]
    return record(
        ts=random.choice([0.0, 10.5, 1_799.99, 86_399.5, 86_400.0 * random.random() * 3]),
        call_id=f"c{number}", api=random.choice(["openai.chat", "import", "task"]),
        host=random.choice(["", "api.openai.com"]), model=random.choice(["a", "b"]),
        tier=random.choice([None, "flex"]), exact=random.random() < 0.7,
        finish_reason=random.choice(["stop", "error", "cancelled"]),
        seconds=random.choice([None, 0.2, 5.0]), attempt=random.choice([1, 1, 2]),
        input_tokens=random.choice(counts), output_tokens=random.choice(counts),
        cache_read_tokens=random.choice(counts), cache_write_tokens=random.choice(counts),
        cost=random.choice([None, 0.0, 0.1, 1 / 3, 2.5e-8, 5e-10, -1.0, 1e300, inf, nan]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_sql_sums_as_python_does(seed: int, tmp_path: Path) -> None:
    """Whatever rows say: the same groups with the same numbers, to the nano-dollar."""
    random = Random(seed)  # noqa: S311 (no secret)
    rows = [hostile(random, number) for number in range(300)]
    store = SQLiteStore(tmp_path / "history.db")
    store.migrate()
    store.append(rows)
    assert store.spent(0, 4 * DAY) == spent_of(rows)
    store.close()


def test_no_row_counts_as_more_than_any_can_cost(store: Store) -> None:
    """So that sums stay whole numbers of SQLite's."""
    store.append([record(ts=1.0, cost=1e300), record(ts=2.0, cost=-3.0)])
    assert sum(one.amount for one in store.spent(0, 10)) == MOST_DOLLARS * NANO


@pytest.mark.parametrize(
    ("dollars", "expected"),
    [("0.06", 60_000_000), ("0.0000000005", 0), ("0.0000000015", 2), ("-1.25", -1_250_000_000),
     ("0E-6176", 0), ("0.895874000000000000", 895_874_000), ("123.45", 123_450_000_000)],
)  # fmt: skip
def test_amounts_are_exact(dollars: str, expected: int) -> None:
    """Decimals as nano-dollars, half to even where there are more digits."""
    assert nano(Decimal(dollars)) == expected
