"""The report, and its figures of some calls, by one way of grouping."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Any, Final, Literal, get_type_hints
from zoneinfo import ZoneInfo

from pydantic import Field

from budget_proxy.analytics.efficiency import By, EfficiencyReport, by_group
from budget_proxy.analytics.figures import Figures, figures_of
from budget_proxy.analytics.periods import seconds_of
from budget_proxy.analytics.report import Report, make_report
from budget_proxy.assemble import Engine
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.question import InTime, OfGroup, Span, Zone
from budget_proxy.proxy.health import shown
from budget_proxy.store.sums import Sums, merged

_PARTS: Final = {"store": str, **get_type_hints(Report), **get_type_hints(EfficiencyReport)}

HistoryReport: Any = make_dataclass(
    "HistoryReport", [(name, kind) for name, kind in _PARTS.items() if name != "efficiency"]
)
HistoryReport.__doc__ = f"{Report.__doc__}\n\n{EfficiencyReport.__doc__}"


@dataclass(frozen=True, slots=True)
class Efficiency:
    """The figures of the calls between ``start`` and ``end`` (first and last), and of groups."""

    start: float | None
    end: float | None
    by: By
    overall: Figures
    groups: tuple[Figures, ...]


class AskedReport(OfGroup):
    """What ``/report`` is asked."""

    since: Span | None = Field(None, description="Only the last 90s, 30m, 24h, 7d or 2w.")
    by: Literal["agent", "task", "model", "group"] = Field(
        "agent", description="The groups that are compared with the time before."
    )
    zone: Zone | None = Field(
        None, description="The time zone that days begin in; else the setting time_zone."
    )


class AskedEfficiency(InTime, OfGroup):
    """What ``/efficiency`` is asked."""

    by: Literal["agent", "task", "model", "group"] = Field(
        "agent", description="How calls are grouped."
    )


def report(engine: Engine, asked: AskedReport) -> dict[str, Any]:
    """How budgets fitted, who spends, what is cut and changed, as `budget-proxy report --json`."""
    now = engine.now()
    found = make_report(
        engine.store,
        now=now,
        zone=ZoneInfo(asked.zone or engine.settings.time_zone),
        since=None if asked.since is None else now - seconds_of(asked.since),
        by=asked.by,
        **asked.where(),
    )
    return {"store": shown(engine.store.url), **found.plain()}


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
