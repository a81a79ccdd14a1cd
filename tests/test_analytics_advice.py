from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from budget_proxy.analytics.advice import advice
from budget_proxy.analytics.projection import Projection, project
from budget_proxy.analytics.ranges import Range
from budget_proxy.analytics.reach import Reach, reach
from budget_proxy.analytics.series import Measure, Series

DAY = date(2026, 11, 1)


def series(*amounts: float, group: tuple[str, ...] = (), measure: Measure = "cost") -> Series:
    """Whole days."""
    return Series(group, measure, DAY, np.array(amounts, float))


def said(
    projection: Projection, whole: Series, *groups: Series, **reaches: Reach
) -> tuple[str, ...]:
    """The sentences."""
    limits: dict[Any, Reach] = dict(reaches)
    return advice(projection, whole, groups, limits)


STEADY = series(*[10.0] * 28)
PLAIN = replace(project(STEADY, 30), growth=None, weekend=None)


def test_a_certain_rise_is_told_with_when_it_doubles() -> None:
    """10 % a week doubles in ln 2 / ln 1.1 = 7.3 weeks."""
    rising = replace(PLAIN, growth=Range(0.10, 0.04, 0.16))
    (sentence,) = said(rising, STEADY)
    assert sentence.startswith("Spend is rising 10.0 % a week (95 %: +4.0 % to +16.0 %); ")
    assert sentence.endswith("at that rate it doubles in 7 weeks.")
    slowly = replace(PLAIN, growth=Range(0.01, 0.004, 0.016), measure="tokens")
    assert said(slowly, STEADY) == ("Token use is rising 1.0 % a week (95 %: +0.4 % to +1.6 %).",)


def test_a_certain_fall_is_told() -> None:
    """By how much."""
    falling = replace(PLAIN, growth=Range(-0.05, -0.08, -0.02))
    assert said(falling, STEADY) == ("Spend is falling 5.0 % a week (95 %: -8.0 % to -2.0 %).",)


def test_an_interval_about_zero_is_no_trend() -> None:
    """And zero has no sign."""
    flat = replace(PLAIN, growth=Range(-1e-9, -0.02, 0.03))
    assert said(flat, STEADY) == (
        "Spend shows no clear trend: 0 % a week (95 %: -2.0 % to +3.0 %).",
    )


def test_weekends_are_told_where_they_differ() -> None:
    """Not where 100 % lies in the interval."""
    assert said(replace(PLAIN, weekend=Range(0.2, 0.15, 0.25)), STEADY) == (
        "A weekend day comes to 20 % of a working day (95 %: 15 to 25 %).",
    )
    assert said(replace(PLAIN, weekend=Range(0.9, 0.7, 1.1)), STEADY) == ()


def test_the_group_that_moved_most_is_named() -> None:
    """From 8 to 3 a day is more than from 2 to 4; what moved by less than a tenth is no news."""
    down = series(*[8.0] * 14, *[3.0] * 14, group=("coder", "review"))
    up = series(*[2.0] * 14, *[4.0] * 14, group=("writer",))
    assert said(PLAIN, STEADY, up, down) == (
        "coder / review moved most: $3.00 a day in the last 14 days, $8.00 in the 14 before.",
    )
    still = series(*[8.0] * 14, *[8.9] * 14, group=("coder",))
    assert said(PLAIN, STEADY, still) == ()


def test_a_group_that_is_new_moved_from_nothing() -> None:
    """Its days before its first are zeros; of two weeks of history two halves are compared."""
    new = series(5.0, 5.0, group=("new",))
    whole = series(*[10.0] * 15)
    assert said(PLAIN, whole, new) == (
        "new moved most: $1.43 a day in the last 7 days, $0.00 in the 7 before.",
    )
    assert said(PLAIN, series(*[10.0] * 13), new) == ()


def test_a_limit_that_is_likely_reached_says_what_has_to_go() -> None:
    """40 of 70 are spent, 60 more are expected: half of that. One out of reach says nothing."""
    near = reach(np.array([40.0]), np.full((3, 6), 10.0), 0.0, 70.0, DAY)
    assert said(PLAIN, STEADY, cost=near) == (
        "To keep to $70.00, the days left have to come to 50 % less than projected.",
    )
    far = reach(np.array([40.0]), np.full((3, 6), 10.0), 0.0, 700.0, DAY)
    over = reach(np.array([40.0]), np.full((3, 6), 10.0), 0.0, 7.0, DAY)
    assert said(PLAIN, STEADY, cost=far) == said(PLAIN, STEADY, cost=over) == ()


@pytest.mark.parametrize(("known", "words"), [(0.75, "25 %"), (0.9999, "Less than 1 %")])
def test_unknown_prices_are_never_passed_over(known: float, words: str) -> None:
    """The share of the attempts without one is told; so is that of those without tokens."""
    (sentence,) = said(replace(PLAIN, known=known), STEADY)
    assert sentence.startswith(f"{words} of the attempts have no known price")
    (sentence,) = said(replace(PLAIN, known=known, measure="tokens"), STEADY)
    assert sentence.startswith(f"{words} of the attempts tell no tokens")
