"""All that is asked of the days ahead at once: the whole, groups, limits, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from budget_proxy.analytics.advice import advice
from budget_proxy.analytics.efficiency import By
from budget_proxy.analytics.projection import Method, Projection, check_days, paths, project
from budget_proxy.analytics.reach import Reach, Window, reach, window_of
from budget_proxy.analytics.series import Measure, Series, daily
from budget_proxy.errors import InvalidInput
from budget_proxy.store.base import Store

SHOWN: Final = 42
"""Days of the past that are told beside the days ahead."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a whole day amounted to."""

    start: date
    amount: float


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: so many days ahead, by which method, and against which limits."""

    days: int = 30
    measure: Measure = "cost"
    method: Method = "seasonal"
    by: By | None = None
    limits: Mapping[Measure, float] | None = None
    window: Window = "month"


@dataclass(frozen=True, slots=True)
class Outlook:
    """The answer at ``now`` (Unix seconds); days are those of ``zone``.

    ``groups`` have trends of their own, so that they need not add up to ``whole``: medians do
    not, and what one group's trend says another's noise may hide. ``limits`` lacks those for
    which there is too little history.
    """

    window: Window
    by: By | None
    now: float
    zone: str
    past: tuple[Past, ...]
    whole: Projection
    groups: tuple[Projection, ...]
    limits: Mapping[Measure, Reach]
    advice: tuple[str, ...]


def check_begun(at: float, now: float) -> None:
    """Raise InvalidInput where the day that begins ``at`` a time has not begun by ``now``."""
    if at > now:
        raise InvalidInput(
            "that day is still to come: projections are made from what is known; name today or a "
            "day before"
        )


def outlook(store: Store, zone: ZoneInfo, now: float, asked: Question, **where: Any) -> Outlook:
    """Answer from the history as it was at ``now``. Raises InvalidInput.

    ``where``: columns that sums know; limits are then reached, or not, by these calls alone.
    """
    check_days(asked.days)
    history = daily(store, zone, now, by=asked.by, **where)
    whole = history.whole(asked.measure)
    groups = history.by_group(asked.measure) if asked.by else []
    projected = project(whole, asked.days, asked.method)
    limits = {}
    for measure, limit in (asked.limits or {}).items():
        found = _reach(history.whole(measure), limit, asked)
        if found is not None:
            limits[measure] = found
    past = whole.amounts[-SHOWN:].tolist()
    first = whole.today - timedelta(days=len(past))
    return Outlook(
        asked.window,
        asked.by,
        now,
        zone.key,
        tuple(Past(first + timedelta(days=n), amount) for n, amount in enumerate(past)),
        projected,
        tuple(project(one, asked.days, asked.method) for one in groups),
        limits,
        advice(projected, whole, groups, limits),
    )


def _reach(series: Series, limit: float, asked: Question) -> Reach | None:
    start, end = window_of(asked.window, series.today)
    ahead = paths(series, (end - series.today).days, asked.method)
    if ahead is None:
        return None
    past = series.last((series.today - start).days)
    return reach(past, ahead, series.so_far, limit, start)
