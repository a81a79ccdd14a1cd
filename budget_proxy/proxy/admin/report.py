"""The efficiency report: all of it, and by one way of grouping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from budget_proxy.analytics.efficiency import By, EfficiencyReport, by_group, efficiency_report
from budget_proxy.analytics.encoding import named
from budget_proxy.analytics.figures import Figures, figures_of
from budget_proxy.analytics.periods import seconds_of
from budget_proxy.assemble import Engine
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.question import InTime, OfGroup, Question, Span
from budget_proxy.proxy.health import shown
from budget_proxy.store.sums import Sums, merged


@dataclass(frozen=True, slots=True)
class HistoryReport(EfficiencyReport):
    """The report of the history ``store``, of calls from ``since`` on (Unix seconds)."""

    store: str
    since: float | None


@dataclass(frozen=True, slots=True)
class Efficiency:
    """The figures of the calls between ``start`` and ``end`` (first and last), and of groups."""

    start: float | None
    end: float | None
    by: By
    overall: Figures
    groups: tuple[Figures, ...]


class AskedReport(Question):
    """What ``/report`` is asked."""

    since: Span | None = Field(None, description="Only the last 90s, 30m, 24h, 7d or 2w.")


class AskedEfficiency(InTime, OfGroup):
    """What ``/efficiency`` is asked."""

    by: Literal["agent", "task", "model", "group"] = Field(
        "agent", description="How calls are grouped."
    )


def report(engine: Engine, asked: AskedReport) -> HistoryReport:
    """Use, accuracy, cost, truncations and calibration, as `budget-proxy report --json`."""
    start = None if asked.since is None else engine.now() - seconds_of(asked.since)
    found = efficiency_report(engine.store.sums(start=start))
    return HistoryReport(**named(found), store=shown(engine.store.url), since=start)


def efficiency(engine: Engine, asked: AskedEfficiency) -> Efficiency:
    """The same figures of some calls, by one way of grouping."""
    start = asked.begin(engine.now())
    sums = engine.store.sums(start=start, end=asked.end, **asked.where())
    (whole,) = merged(sums, ()) or [Sums()]
    return Efficiency(
        start=whole.first if whole.attempts else None,
        end=whole.last if whole.attempts else None,
        by=asked.by,
        overall=figures_of(whole),
        groups=by_group(sums, asked.by),
    )


ENDPOINTS = (
    Endpoint("GET", "/report", AskedReport, HistoryReport, report),
    Endpoint("GET", "/efficiency", AskedEfficiency, Efficiency, efficiency),
)
