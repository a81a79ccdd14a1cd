"""What the days ahead will amount to, by the pace of the days before, with 95 % intervals.

``simple`` is mission.md's formula: mean * days, +- 1.96 * sd * sqrt(days). ``seasonal`` knows
weekdays, a trend and bursts (analytics/seasonal.py). The first day ahead is the running one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from typing import Final, Literal, NamedTuple

import numpy as np

from budget_proxy.analytics.figures import Group
from budget_proxy.analytics.growth import growth
from budget_proxy.analytics.kalman import Floats
from budget_proxy.analytics.ranges import ENDS, Range, range_of
from budget_proxy.analytics.seasonal import DRAWS, LEAST, LEAST_WEEKDAYS, Seasonal, fit
from budget_proxy.analytics.series import Measure, Series
from budget_proxy.errors import InvalidInput

Method = Literal["seasonal", "simple"]

MOST_DAYS: Final = 366
RECENT: Final = 30
"""The recent days of the formula, and of the pace that a projection is shown beside."""

_Z: Final = 1.96  # mission.md's
_WEEK: Final = 7
_SATURDAY: Final = 5
_MONTH: Final = 28  # days that it takes to tell weekends from chance
_SEED: Final = 5


@dataclass(frozen=True, slots=True)
class Ahead:
    """The ``days`` from ``start`` on (one, or up to seven), and what they will amount to."""

    start: date
    days: int
    amount: Range


@dataclass(frozen=True, slots=True)
class Projection:
    """What a series will amount to; of the group () it is the whole.

    ``history`` whole days since ``since`` were looked at, the last ``recent_days`` of which
    amounted to ``recent``; the running day has ``so_far``. ``known`` as in Series. ``total``,
    ``days`` and ``weeks`` (of seven days, but for the last) are what lies ahead: ``None`` and
    empty where the history is too short. ``growth`` is the trend of the last weeks as a share a
    week, ``weekend`` a weekend day's amount as a share of a working day's; ``None`` where they
    cannot be told. ``note`` says what there was too little history for; else it is empty.
    """

    method: Method
    measure: Measure
    group: Group
    since: date
    history: int
    recent: float
    recent_days: int
    so_far: float
    known: float | None
    total: Range | None
    days: tuple[Ahead, ...]
    weeks: tuple[Ahead, ...]
    growth: Range | None
    weekend: Range | None
    note: str


def project(series: Series, days: int, method: Method = "seasonal") -> Projection:
    """Project so many days ahead, the running one the first. Raises InvalidInput."""
    check_days(days)
    parts, weekend = _Parts(None, (), ()), None
    if _can(series):
        if method == "simple" or not series.amounts.any():
            parts = _by_formula(series, days)
        else:
            fitted = fit(series.amounts, series.start.weekday())
            parts = _by_paths(series, fitted, days)
            weekend = _weekend(fitted, len(series.amounts))
    recent = series.amounts[-RECENT:]
    return Projection(
        method, series.measure, series.group, series.start, len(series.amounts),
        float(recent.sum()), len(recent), series.so_far, series.known,
        *parts, growth(series.amounts) if _can(series) else None, weekend, _note(series, method),
    )  # fmt: skip


def paths(series: Series, days: int, method: Method = "seasonal") -> Floats | None:
    """Amounts of the days ahead as they may come (draws, days), the running day's so far included.

    ``None`` where there is too little history, or nothing of it is known. The same series gives
    the same paths.
    """
    if not _can(series):
        return None
    if not series.amounts.any():
        found = np.zeros((1, days))
    elif method == "simple":
        normal = np.random.default_rng(_SEED).standard_normal((DRAWS, days))
        mean, sd = _pace(series)
        found = mean + sd * normal
    else:
        found = fit(series.amounts, series.start.weekday()).paths(days)
    return _begun(series, found)


def check_days(days: int) -> None:
    """Raise InvalidInput where so many days cannot be projected."""
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput(f"from 1 to {MOST_DAYS} days can be projected, not {days}")


def _can(series: Series) -> bool:
    """Whether there is something to project from: unknown prices are no prices of zero."""
    return len(series.amounts) >= LEAST and series.known != 0.0


def _begun(series: Series, found: Floats) -> Floats:
    """With what the running day has, and of what it was to have only the rest of the day.

    Calls are taken to be spread evenly over the day.
    """
    found[:, 0] = series.so_far + (1 - series.elapsed) * found[:, 0]
    return found


def _pace(series: Series) -> tuple[float, float]:
    """The mean and the sample standard deviation of the recent days."""
    recent = series.amounts[-RECENT:]
    return float(recent.mean()), float(recent.std(ddof=1))


class _Parts(NamedTuple):
    total: Range | None
    days: tuple[Ahead, ...]
    weeks: tuple[Ahead, ...]


def _by_formula(series: Series, days: int) -> _Parts:
    mean, sd = _pace(series)

    def ahead(first: int, count: int) -> Ahead:
        margin = _Z * sd * sqrt(count)
        amount = Range(mean * count, mean * count - margin, mean * count + margin)
        return Ahead(series.today + timedelta(days=first), count, amount)

    by_day = tuple(ahead(day, 1) for day in range(days))
    by_week = tuple(ahead(day, min(_WEEK, days - day)) for day in range(0, days, _WEEK))
    return _Parts(ahead(0, days).amount, by_day, by_week)


def _by_paths(series: Series, fitted: Seasonal, days: int) -> _Parts:
    found = fitted.paths(days)
    ends = np.quantile(found, ENDS, axis=0)
    ends[1] = fitted.lowest(ends[1])
    found, ends = _begun(series, found), _begun(series, ends)
    by_day = tuple(
        Ahead(series.today + timedelta(days=day), 1, Range(*ends[:, day].tolist()))
        for day in range(days)
    )
    by_week = tuple(
        Ahead(series.today + timedelta(days=day), part.shape[1], range_of(part.sum(axis=1)))
        for day in range(0, days, _WEEK)
        for part in (found[:, day : day + _WEEK],)
    )
    return _Parts(range_of(found.sum(axis=1)), by_day, by_week)


def _weekend(fitted: Seasonal, days: int) -> Range | None:
    if days < _MONTH or not fitted.has_weekdays:
        return None
    amounts = fitted.week()
    working, weekend = amounts[:, :_SATURDAY].mean(axis=1), amounts[:, _SATURDAY:].mean(axis=1)
    return range_of(weekend[working > 0] / working[working > 0]) if working.any() else None


def _note(series: Series, method: Method) -> str:
    """What there is too little history for."""
    days = len(series.amounts)
    if days < LEAST:
        return f"{days} whole days of history are too few to project from: it takes {LEAST}"
    if series.known == 0.0:
        known, instead = ("price", "tokens") if series.measure == "cost" else ("count", "calls")
        return f"no attempt has a known {known}: `--measure {instead}` projects {instead}"
    if not series.amounts.any():
        return "there was nothing in these days"
    if method == "simple" or days >= LEAST_WEEKDAYS:
        return ""
    if days < _WEEK:
        return f"with {days} days of history the interval is wide, and blind to weekdays"
    return f"weekdays can be told apart with {LEAST_WEEKDAYS} days of history; there are {days}"
