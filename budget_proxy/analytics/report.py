"""The report: how budgets fitted, whether promises held, who spends, what is cut, what changed.

Made of sums, and of a few of the newest truncated rows: it takes no longer as a history grows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from math import inf, nextafter
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from budget_proxy.analytics.calibration import Reliability, confidence_error
from budget_proxy.analytics.changes import Comparison, Read, Span, compare
from budget_proxy.analytics.efficiency import By, EfficiencyReport, efficiency_report
from budget_proxy.analytics.figures import figures_of
from budget_proxy.analytics.periods import Period, Unit, periods
from budget_proxy.analytics.spenders import Spender, spenders
from budget_proxy.analytics.success import Success, success
from budget_proxy.analytics.truncations import Truncations, truncations
from budget_proxy.store.base import Store
from budget_proxy.store.sums import DAY, Sums, total

_LEAST_SINCE: Final = 1.0  # days: what a day would come to cannot be told from minutes
_LAST: Final = "report_last"
_WEEK: Final = 7 * DAY
_NEWEST: Final = 10
_LATE: Final = 0.1
"""The part of a time in which there may well have been no calls."""
_PERIODS: Final = 31
_UNITS: Final[tuple[tuple[Unit, float], ...]] = (("hour", 3_600), ("day", DAY), ("week", _WEEK))
_BY: Final[tuple[By, ...]] = ("agent", "task", "model")


_PLOTTED: Final = (
    "calls", "attempts", "output_tokens", "output_reported", "cost", "priced", "unpriced",
    "measured", "over", "under", "promised", "confidence", "truncated",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stretch:
    """What plots show of an hour, day, week or month [start, end), and what it is called.

    The cost is ``None`` where the price of any attempt is unknown, 0 without calls; the shares
    (of the measured calls, and ``truncated`` of the attempts) are ``None`` where there are none.
    """

    start: float
    end: float
    name: str
    calls: int
    output_tokens: int | None
    cost: float | None
    accuracy: float | None
    attainable: float | None
    truncated: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A report made at ``made`` on the calls from ``since`` to ``until`` (``None``: all).

    ``spenders`` are by agent, task and model. ``reliability`` has confidence beside what came of
    it, by tenths, ``confidence_error`` how far it is off on average. ``previous`` compares with
    the time before, as long as ``since`` to ``until``; in a report on a whole history the newest
    seven days with the seven before. ``since_last`` compares what came after the last report that
    was kept with what that one told of; each is ``None`` where there is nothing before.
    ``course`` has the hours, days, weeks or months (``unit``) of ``zone``, at most the newest 31.
    """

    made: float
    since: float | None
    until: float | None
    zone: str
    efficiency: EfficiencyReport
    success: tuple[Success, ...]
    reliability: tuple[Reliability, ...]
    confidence_error: float | None
    spenders: Mapping[By, tuple[Spender, ...]]
    truncations: Truncations
    previous: Comparison | None
    since_last: Comparison | None
    unit: Unit
    course: tuple[Stretch, ...]

    def plain(self) -> dict[str, Any]:
        """Its parts by name, as JSON has them: the parts of the efficiency report among them."""
        parts = {item.name: getattr(self, item.name) for item in fields(self)}
        efficiency = parts.pop("efficiency")
        return parts | {item.name: getattr(efficiency, item.name) for item in fields(efficiency)}


def make_report(
    store: Store,
    *,
    now: float,
    zone: ZoneInfo,
    since: float | None = None,
    until: float | None = None,
    by: By = "agent",
    **where: Any,
) -> Report:
    """Make the report on the calls in [``since``, ``until``); groups that changed are ``by``.

    ``where``: columns that sums know. Raises StoreError, and InvalidInput where ``where`` names
    no column.
    """
    sums = store.sums(start=since, end=until, **where)
    found = efficiency_report(sums)
    after_all = now if found.end is None else nextafter(found.end, inf)
    end = until if until is not None else max(now, after_all) if since is not None else after_all
    first = max(since or 0.0, found.start or 0.0)
    cut = store.page(limit=_NEWEST, start=since, end=until, truncated=True, **where)
    earlier = [] if since is None else store.sums(start=2 * since - end, end=since, **where)
    asked = partial(store.sums, **where)
    pair = _neighbours(asked, since, earlier, Span(first, end)) if sums or earlier else None
    read = None if since is None else (earlier, sums)
    previous = compare(asked, *pair, by, read) if pair else None
    comparable = since is not None and pair is not None and pair[0].start == 2 * since - end
    unit = _unit(first, end)
    spans = periods(unit, zone, first, end)[-_PERIODS:] if found.start is not None else []
    return Report(
        made=now,
        since=since,
        until=until,
        zone=zone.key,
        efficiency=found,
        success=success(found.overall),
        reliability=found.overall.reliability,
        confidence_error=confidence_error(found.overall.reliability),
        spenders={way: spenders(sums, earlier if comparable else None, way) for way in _BY},
        truncations=truncations(sums, cut.rows),
        previous=previous,
        since_last=_since_last(
            store.meta(_LAST, ""), asked, end if until else max(now, end), previous, by
        ),
        unit=unit,
        course=_course(store, spans, since, until, where) if spans else (),
    )


def keep(store: Store, report: Report) -> None:
    """Remember a report as the last one, unless another process just did. Raises StoreError."""
    known = store.meta(_LAST, "")
    end = report.made if report.until is None else report.until
    start = report.since if report.since is not None else report.efficiency.start
    if start is not None and start < end:
        kept = {"made": report.made, "start": start, "end": end}
        store.swap_meta(_LAST, known, orjson.dumps(kept).decode())


def _neighbours(
    read: Read, since: float | None, earlier: Sequence[Sums], whole: Span
) -> tuple[Span, Span] | None:
    """The time before, and the time it is compared with; ``None`` where no call is as old.

    Where the history begins within the time before, so does that.
    """
    if since is None:
        after = Span(whole.end - _WEEK, whole.end)
        before = Span(max(whole.end - 2 * _WEEK, whole.start), after.start)
        return (before, after) if before.start < before.end else None
    if not earlier:
        return None
    after, start = Span(since, whole.end), 2 * since - whole.end
    first = total(earlier).first
    if first - start > _LATE * (since - start) and not read(end=start, by=()):
        start = first
    return Span(start, since), after


def _since_last(
    text: str, read: Read, end: float, previous: Comparison | None, by: By
) -> Comparison | None:
    if not text:
        return None
    known = orjson.loads(text)
    before, after = Span(known["start"], known["end"]), Span(known["end"], end)
    if previous is not None and (before, after) == (previous.before, previous.after):
        return previous
    return compare(read, before, after, by) if after.days >= _LEAST_SINCE else None


def _course(
    store: Store,
    spans: Sequence[Period],
    since: float | None,
    until: float | None,
    where: Mapping[str, Any],
) -> tuple[Stretch, ...]:
    """The parts of some periods that lie between ``since`` and ``until``."""
    first, last = spans[0].start, spans[-1].end
    edges = (
        first if since is None else max(first, since),
        *(span.start for span in spans[1:]),
        last if until is None else min(last, until),
    )
    found = store.course(edges, by=(), only=_PLOTTED, **where)
    return tuple(_stretch(span, total(sums)) for span, sums in zip(spans, found, strict=True))


def _stretch(span: Period, sums: Sums) -> Stretch:
    figures = figures_of(sums, spread=False)
    return Stretch(
        span.start, span.end, span.name, figures.calls, figures.output_tokens,
        figures.cost if figures.attempts else 0.0, figures.accuracy, figures.attainable,
        figures.truncated / figures.attempts if figures.attempts else None,
    )  # fmt: skip


def _unit(start: float, end: float) -> Unit:
    """The shortest unit of which some thirty fill the time."""
    each = (end - start) / (_PERIODS - 1)
    return next((unit for unit, seconds in _UNITS if each <= seconds), "month")
