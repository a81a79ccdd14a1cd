"""How calls, money and the fit of budgets go over hours, days, weeks or months."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf
from operator import attrgetter
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from budget_proxy.analytics.efficiency import COLUMNS, By
from budget_proxy.analytics.figures import PLAIN, Figures, Group, figures_of_each
from budget_proxy.analytics.periods import Period, Unit, latest
from budget_proxy.analytics.slope import Slope, slope_of
from budget_proxy.store.base import Store
from budget_proxy.store.sums import Sums

Direction = Literal["improving", "declining", "rising", "falling", "stable", "unknown"]

THRESHOLD: Final = 0.01
"""A change a period beyond which a measure is not stable (mission.md section 3)."""

_TOTALS: Final[dict[str, Callable[[Figures], float | None]]] = {
    "calls": lambda figures: figures.calls,
    "output_tokens": lambda figures: figures.output_tokens or 0,
    "cost": lambda figures: figures.cost if figures.attempts else 0.0,
}
_MEANS: Final[dict[str, Callable[[Figures], float | None]]] = {
    "budget": lambda figures: figures.budget,
    "truncated": lambda figures: figures.truncated / figures.attempts if figures.attempts else None,
    "cache_share": lambda figures: figures.cache_share,
}
_SHARES: Final[dict[str, Callable[[Figures], float | None]]] = {
    "efficiency": lambda figures: figures.efficiency,
    "attainable_efficiency": lambda figures: figures.attainable_efficiency,
    "accuracy": lambda figures: figures.accuracy,
    "attainable": lambda figures: figures.attainable,
}
MEASURES: Final = (*_TOTALS, *_MEANS, *_SHARES)
"""The measures by name, in the order they are shown."""


_NAMES: Final = COLUMNS["group"]
_ALL: Final = ("",) * len(_NAMES)
_name: Final[Callable[[Sums], Group]] = attrgetter(*_NAMES)
"""What tells a group apart, whatever calls are grouped by: "" for what does not."""

LAST: Final[dict[Unit, int]] = {"hour": 48, "day": 30, "week": 26, "month": 12}
"""How many periods of a kind are looked at where nobody says."""

MOST: Final = 500
"""Periods that are looked at in one go: three weeks of hours, sixteen months of days."""


@dataclass(frozen=True, slots=True)
class Trend:
    """How one measure of a group goes: one value a period, and the line through them.

    ``values`` has ``None`` where there was nothing to measure: a period without calls has no
    efficiency, but it has 0 calls. ``line`` is their least-squares line, for totals without the
    running period and those that began before the first call.

    ``direction``: of ``efficiency``, ``accuracy`` and what of them was attainable improving or
    declining where the slope is beyond .01 a period; of the other measures rising or falling where
    it is beyond 1 % of their mean a period. ``certain``: the slope's 95 % interval is on one side
    of 0.
    """

    measure: str
    values: tuple[float | None, ...]
    line: Slope | None
    direction: Direction
    certain: bool


@dataclass(frozen=True, slots=True)
class GroupTrends:
    """The trends of one group, and its figures period by period.

    In these the distribution of use, calibration and reliability are left out: a period's calls
    are too few for them.
    """

    group: Group
    figures: tuple[Figures, ...]
    trends: tuple[Trend, ...]

    def of(self, measure: str) -> Trend:
        """The trend of one of MEASURES."""
        return next(trend for trend in self.trends if trend.measure == measure)


@dataclass(frozen=True, slots=True)
class TrendsReport:
    """The trends over the newest ``periods`` of a time zone, of all calls or ``by`` groups."""

    unit: Unit
    zone: str
    by: By | None
    periods: tuple[Period, ...]
    groups: tuple[GroupTrends, ...]


def trends_report(
    store: Store,
    unit: Unit,
    zone: ZoneInfo,
    *,
    now: float,
    last: int | None = None,
    by: By | None = None,
    measure: str | None = None,
    **where: Any,
) -> TrendsReport:
    """The trends over the ``last`` periods, the running one among them; of one measure or all.

    Raises as ``trends`` does.
    """
    spans = latest(unit, zone, now, last or LAST[unit])
    groups = trends(store, spans, now=now, by=by, **where)
    if measure is not None:
        groups = [replace(group, trends=(group.of(measure),)) for group in groups]
    return TrendsReport(unit, zone.key, by, tuple(spans), tuple(groups))


def trends(
    store: Store,
    spans: Sequence[Period],
    *,
    now: float,
    by: By | None = None,
    most: int = 20,
    **where: Any,
) -> list[GroupTrends]:
    """The trends over some periods, of all calls or of the ``most`` groups with the most calls.

    A period begins where the one before ends. What other groups there are is the last one,
    "(other)". ``where``: columns that sums know. Raises StoreError, and InvalidInput where
    ``where`` names no column.
    """
    columns = COLUMNS[by] if by else ()
    edges = (*(span.start for span in spans), spans[-1].end)
    (ranked,) = store.course((edges[0], edges[-1]), by=columns, only=("calls",), **where)
    kept = ranked[:most]
    apart = [_told(_name(sums), columns) for sums in kept] if kept != ranked else None
    found = store.course(edges, by=columns, only=PLAIN, apart=apart, **where)
    began = next((sums.first for sums in store.sums(by=(), only=(), **where)), inf)
    whole = [began <= span.start and span.end <= now for span in spans]
    return [
        _group(group, figures, whole) for group, figures in _groups(found, kept, columns).items()
    ]


def _groups(
    found: Sequence[Sequence[Sums]], ranked: Sequence[Sums], columns: Sequence[str]
) -> dict[Group, list[Figures]]:
    """The figures of each group period by period: those of ``ranked``, then the rest if any."""
    named = [{_name(sums): sums for sums in part} for part in found]
    groups = dict.fromkeys(_name(sums) for sums in ranked)
    for part in named:
        groups.update(dict.fromkeys(part))
    return {
        group: _figures([part.get(whole) for part in named], group)
        for whole, group in ((whole, _told(whole, columns)) for whole in groups)
    } or {(): _figures([None] * len(found), ())}


def _told(whole: Group, columns: Sequence[str]) -> Group:
    """What ``columns`` name of a group."""
    return tuple(value for name, value in zip(_NAMES, whole, strict=True) if name in columns)


def _figures(parts: Sequence[Sums | None], group: Group) -> list[Figures]:
    """The figures of each period; those without calls share theirs."""
    there = [sums for sums in parts if sums is not None]
    *made, empty = figures_of_each([*there, Sums()], group, spread=False)
    following = iter(made)
    return [empty if sums is None else next(following) for sums in parts]


def _group(group: Group, figures: list[Figures], whole: Sequence[bool]) -> GroupTrends:
    found = [
        *(_trend(name, [value(one) for one in figures], whole) for name, value in _TOTALS.items()),
        *(_trend(name, [value(one) for one in figures]) for name, value in _MEANS.items()),
        *(_trend(name, [value(one) for one in figures]) for name, value in _SHARES.items()),
    ]
    return GroupTrends(group, tuple(figures), tuple(found))


def _trend(
    measure: str, values: Sequence[float | None], whole: Sequence[bool] | None = None
) -> Trend:
    counted = values if whole is None else _without(values, whole)
    line = slope_of(counted)
    certain = line is not None and _certain(line)
    return Trend(measure, tuple(values), line, _direction(measure, line, counted), certain)


def _without(values: Sequence[float | None], whole: Sequence[bool]) -> list[float | None]:
    return [value if seen else None for value, seen in zip(values, whole, strict=True)]


def _direction(measure: str, line: Slope | None, values: Iterable[float | None]) -> Direction:
    if line is None:
        return "unknown"
    up, down = ("improving", "declining") if measure in _SHARES else ("rising", "falling")
    change = line.slope
    if measure not in _SHARES:
        known = [value for value in values if value is not None]
        change /= sum(map(abs, known)) / len(known) or 1.0
    if abs(change) <= THRESHOLD:
        return "stable"
    return up if change > 0 else down  # type: ignore[return-value]  # both are Directions


def _certain(line: Slope) -> bool:
    return line.low is not None and line.high is not None and not line.low <= 0 <= line.high
