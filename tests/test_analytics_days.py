from __future__ import annotations

from collections import Counter
from dataclasses import fields

from budget_proxy.analytics.days import days_of, tally_of
from budget_proxy.analytics.groups import Groups
from budget_proxy.analytics.tally import Tally
from budget_proxy.store.days import COLUMNS, KEY, SUMMED, Day, added, day_of
from tests.makers import NOW, record
from tests.test_store_contract import DAY, alike, many


def test_a_day_gives_the_tally_of_its_rows_back() -> None:
    """Every sum that a report makes; a new one that days lack fails here."""
    rows = many(400)
    groups = Groups(lambda _: ())
    for row in rows:
        groups.add(row)
    whole = Tally()
    for day in days_of(rows):
        whole.merge(tally_of(day))
    for field in fields(Tally):
        one, other = getattr(whole, field.name), getattr(groups.tallies[()], field.name)
        if isinstance(one, Counter):
            one, other = +one, +other
        assert one, f"the rows say nothing of {field.name}"
        assert alike(one, other) or one == other, field.name


def test_days_are_told_apart_by_all_of_their_key() -> None:
    """One row for each day, agent, task type, model, arm and finish reason."""
    one = record(ts=NOW)
    others = [
        record(ts=NOW + DAY), record(agent="b"), record(task_type="code"), record(model="m"),
        record(arm="holdout"), record(finish_reason="length"),
    ]  # fmt: skip
    days = days_of([one, one, *others])
    assert len(days) == len({day.key for day in days}) == 7
    assert (days[0].key, days[0].attempts) == (
        ("2027-01-15", "reviewer", "review", "gpt-5.4", "treatment", "stop"), 2,
    )  # fmt: skip


def test_sums_of_two_batches_are_those_of_both() -> None:
    """Whatever is added up, and the first and the last time."""
    rows = [record(ts=NOW + number, output_tokens=number, cost=0.5) for number in (3, 1, 7, 5)]
    (first,), (second,), (whole,) = days_of(rows[:2]), days_of(rows[2:]), days_of(rows)
    assert added(first, second) == whole
    assert (whole.first, whole.last, whole.output_tokens, whole.cost) == (NOW + 1, NOW + 7, 16, 2.0)


def test_the_columns_are_key_times_and_sums() -> None:
    """In the order of the fields, which is that of the table."""
    assert (*KEY, "first", "last", *SUMMED) == COLUMNS
    assert [field.default for field in fields(Day)][8:] == [0] * len(SUMMED)


def test_days_of_odd_times() -> None:
    """A clock that was never set, or far ahead, has a day too."""
    assert day_of(0) == day_of(-5e9) == "1970-01-01"
    assert day_of(NOW * 1000) == "9999-12-31"
    assert day_of(NOW + DAY - NOW % DAY - 0.001) == "2027-01-15"
    assert day_of(NOW + DAY - NOW % DAY) == "2027-01-16"
