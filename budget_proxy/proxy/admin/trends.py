"""Trends over hours, days, weeks or months."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from budget_proxy.analytics.trends import MEASURES, MOST, TrendsReport, trends_report
from budget_proxy.assemble import Engine
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.question import OfGroup, Zone


class AskedTrends(OfGroup):
    """What ``/trends`` is asked."""

    unit: Literal["hour", "day", "week", "month"] = Field(
        "day", description="How long a period is."
    )
    last: int | None = Field(
        None, ge=2, le=MOST,
        description="How many periods, the running one among them. Else 48 hours, 30 days, "
        "26 weeks or 12 months.",
    )  # fmt: skip
    by: Literal["agent", "task", "model", "group"] | None = Field(
        None, description="The groups to tell apart; else all calls together."
    )
    measure: str | None = Field(
        None, description="Only the trend of this measure.", json_schema_extra={"enum": [*MEASURES]}
    )
    zone: Zone | None = Field(
        None, description="The time zone that periods begin in; else the setting time_zone."
    )  # fmt: skip

    @field_validator("measure")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in MEASURES:
            raise ValueError(f"should be one of {', '.join(MEASURES)}")
        return name


def trends(engine: Engine, asked: AskedTrends) -> TrendsReport:
    """Calls, cost, budgets and efficiency over time, as `budget-proxy trends --json`."""
    zone = ZoneInfo(asked.zone or engine.settings.time_zone)
    return trends_report(
        engine.store, asked.unit, zone, now=engine.now(), last=asked.last, by=asked.by,
        measure=asked.measure, **asked.where(),
    )  # fmt: skip


ENDPOINTS = (Endpoint("GET", "/trends", AskedTrends, TrendsReport, trends),)
