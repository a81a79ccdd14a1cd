"""What a history amounted to, day by day in a named time zone: cost, tokens or calls.

A day without calls is a zero. The running day is kept apart: it is not over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from budget_proxy.analytics.efficiency import COLUMNS, By
from budget_proxy.analytics.figures import Group
from budget_proxy.analytics.periods import periods
from budget_proxy.store.base import Store
from budget_proxy.store.sums import OTHER, Sums

Floats = NDArray[np.float64]
Measure = Literal["cost", "tokens", "calls"]

LOOK_BACK: Final = 112
"""Days that are looked back at: sixteen weeks."""

_MOST: Final = 8
_RECENT: Final = 30
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Series:
    """Amounts of the whole days from ``start`` on, up to the running one.

    ``so_far`` is the running day's amount, ``elapsed`` the share of it that is over. ``known``
    is the share of attempts whose amount is known (whose price, for costs): the others are in
    no amount. ``None`` where there is no attempt that could have one.
    """

    group: Group
    measure: Measure
    start: date
    amounts: Floats
    so_far: float = 0.0
    elapsed: float = 0.0
    known: float | None = 1.0

    @property
    def today(self) -> date:
        """The running day."""
        return self.start + len(self.amounts) * _DAY

    def last(self, days: int) -> Floats:
        """The amounts of the last whole days; zeros where there was nothing yet."""
        return np.pad(self.amounts, (days, 0))[len(self.amounts) :]


_READ: Final = frozenset(
    {
        "attempts", "calls", "cost", "failed", "input_tokens", "output_reported", "output_tokens",
        "priced", "unpriced",
    }
)  # fmt: skip
"""The sums that amounts are made of."""


@dataclass(frozen=True, slots=True)
class Daily:
    """Sums by group and local day: the whole ``days`` from ``start`` on, then the running one."""

    start: date
    days: int
    elapsed: float
    groups: Mapping[Group, Sequence[Sums | None]] = field(repr=False)

    def whole(self, measure: Measure) -> Series:
        """All groups together."""
        return self._series((), measure, list(self.groups))

    def of(self, group: Group, measure: Measure) -> Series:
        """One group, from its own first day on; zeros where there is none of that name."""
        return _trimmed(self._series(group, measure, [group] if group in self.groups else []))

    def by_group(self, measure: Measure, most: int = _MOST) -> list[Series]:
        """The groups that amounted to most of late, and all the others as "(other)".

        Each begins with its own first day.
        """
        found = [self._series(name, measure, [name]) for name in self.groups]
        found.sort(key=lambda one: (-_recent(one), one.group))
        rest = [one.group for one in found[most:]]
        others = [self._series((OTHER,) * len(rest[0]), measure, rest)] if rest else []
        return [_trimmed(one) for one in (*found[:most], *others)]

    def _series(self, group: Group, measure: Measure, members: Sequence[Group]) -> Series:
        rows = [self.groups[name] for name in members]
        amounts = np.zeros(self.days + 1)
        for row in rows:
            amounts += [0.0 if sums is None else amount_of(sums, measure) for sums in row]
        known = _known([sums for row in rows for sums in row if sums is not None], measure)
        return Series(
            group, measure, self.start, amounts[:-1], float(amounts[-1]), self.elapsed, known
        )


def daily(store: Store, zone: ZoneInfo, now: float, *, by: By | None = None,
          days: int = LOOK_BACK, **where: Any) -> Daily:  # fmt: skip
    """The last whole ``days`` before ``now`` (Unix seconds), and the running one.

    From the first call on, if that is later; what lies after ``now`` is not looked at.
    ``where``: columns that sums know.
    """
    today = datetime.fromtimestamp(now, zone).date()
    begun = [sums.first for sums in store.sums(end=now, by=(), only=(), **where)]
    earliest = datetime.combine(today - days * _DAY, time.min, zone).timestamp()
    spans = periods("day", zone, max(min(begun, default=now), earliest), now)
    if spans[-1].end <= now:  # it is midnight to the second
        spans += periods("day", zone, now, now)
    groups: dict[Group, list[Sums | None]] = {}
    columns = () if by is None else COLUMNS[by]
    edges = (*(span.start for span in spans), now)
    for number, found in enumerate(store.course(edges, by=columns, only=_READ, **where)):
        for sums in found:
            name = tuple(getattr(sums, column) for column in columns)
            groups.setdefault(name, [None] * len(spans))[number] = sums
    running = spans[-1]
    elapsed = (now - running.start) / (running.end - running.start)
    whole = len(spans) - 1
    return Daily(today - whole * _DAY, whole, elapsed, groups)


def amount_of(sums: Sums, measure: Measure) -> float:
    """What sums amount to: known costs in US dollars, input and output tokens, or calls."""
    if measure == "cost":
        return float(sums.cost)
    return float(sums.calls if measure == "calls" else sums.input_tokens + sums.output_tokens)


def _known(rows: Sequence[Sums], measure: Measure) -> float | None:
    """The share of attempts whose amount is known; failed ones without tokens lack none."""
    if measure == "calls":
        return 1.0 if rows else None
    if measure == "cost":
        told = sum(sums.priced for sums in rows)
        could = told + sum(sums.unpriced for sums in rows)
    else:
        told = sum(sums.output_reported for sums in rows)
        could = max(told, sum(sums.attempts - sums.failed for sums in rows))
    return told / could if could else None


def _recent(series: Series) -> float:
    return float(series.last(_RECENT).sum()) + series.so_far


def _trimmed(series: Series) -> Series:
    """Without the days before the first amount, of which one at least stays."""
    begun = np.flatnonzero(series.amounts)
    skipped = int(begun[0]) if len(begun) else len(series.amounts)
    return Series(
        series.group, series.measure, series.start + skipped * _DAY, series.amounts[skipped:],
        series.so_far, series.elapsed, series.known,
    )  # fmt: skip
