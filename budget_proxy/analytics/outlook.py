"""All that is asked of the days ahead at once: the whole, groups, limits, and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from budget_proxy.analytics.advice import advice
from budget_proxy.analytics.efficiency import By
from budget_proxy.analytics.projection import Method, Projection, check_days, paths, project
from budget_proxy.analytics.reach import Reach, Window, reach, window_of
from budget_proxy.analytics.series import Daily, Measure, Series, daily
from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.limits import EACH, NANO, Unit
from budget_proxy.store.base import Store

_MEASURES: Final[Mapping[Unit, Measure]] = {"tokens": "tokens", "usd": "cost"}
_WINDOWS: Final = frozenset({"day", "week", "month"})

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
class InForce:
    """A limit in force, and when its running window reaches it; ``None``: too little history."""

    limit: int
    name: str
    agent: str | None
    measure: Measure
    window: Window
    zone: str
    reach: Reach | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """The answer at ``now`` (Unix seconds); days are those of ``zone``.

    ``groups`` have trends of their own, so that they need not add up to ``whole``: medians do
    not, and what one group's trend says another's noise may hide. ``in_force`` are the limits by
    day, week or month of all calls or of an agent, where some calls alone are asked for those of
    these. ``limits`` lacks those for which there is too little history.
    """

    window: Window
    by: By | None
    now: float
    zone: str
    past: tuple[Past, ...]
    whole: Projection
    groups: tuple[Projection, ...]
    limits: Mapping[Measure, Reach]
    in_force: tuple[InForce, ...]
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
        tuple(_in_force(store, now, asked, where)),
        advice(projected, whole, groups, limits),
    )


def _in_force(
    store: Store, now: float, asked: Question, where: Mapping[str, Any]
) -> Iterator[InForce]:
    histories: dict[str, Daily] = {}
    for limit in store.limits():
        if where and dict(limit.where) != where:
            continue
        agent = dict(limit.where).get("agent")
        measure: Measure | None = _MEASURES.get(limit.unit)
        told = limit.window in _WINDOWS and len(limit.where) == (agent is not None)
        if measure is None or not told or not limit.amount or agent == EACH:
            continue
        if limit.zone not in histories:
            histories[limit.zone] = daily(store, ZoneInfo(limit.zone), now, by="agent")
        history = histories[limit.zone]
        series = history.whole(measure) if agent is None else history.of((agent,), measure)
        amount = limit.amount / NANO if measure == "cost" else float(limit.amount)
        window = cast("Window", limit.window)
        found = _reach(series, amount, replace(asked, window=window))
        yield InForce(limit.id, limit.name, agent, measure, window, limit.zone, found)


def _reach(series: Series, limit: float, asked: Question) -> Reach | None:
    start, end = window_of(asked.window, series.today)
    ahead = paths(series, (end - series.today).days, asked.method)
    if ahead is None:
        return None
    past = series.last((series.today - start).days)
    return reach(past, ahead, series.so_far, limit, start)
