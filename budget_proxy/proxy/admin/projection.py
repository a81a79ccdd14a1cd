"""What the days ahead will cost, and when limits are reached."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, WithJsonSchema

from budget_proxy.analytics import outlook
from budget_proxy.analytics.encoding import named
from budget_proxy.analytics.projection import MOST_DAYS
from budget_proxy.analytics.series import Measure
from budget_proxy.assemble import Engine
from budget_proxy.errors import InvalidInput
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.question import OfGroup, Zone
from budget_proxy.proxy.admin.refusal import Refusal
from budget_proxy.proxy.health import shown

_DAY = {"type": "string", "format": "date"}

Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _day(text: object) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise ValueError("should be a day such as 2026-11-27") from None


Day = Annotated[
    date,
    Field(ge=date(1971, 1, 1), le=date(9000, 1, 1)),
    BeforeValidator(_day),
    WithJsonSchema(_DAY),
]


@dataclass(frozen=True, slots=True)
class Projected(outlook.Outlook):
    """The outlook from the history ``store``."""

    store: str


class AskedProjection(OfGroup):
    """What ``/projection`` is asked."""

    days: int = Field(30, ge=1, le=MOST_DAYS, description="Days ahead, today the first.")
    measure: Measure = Field("cost", description="What is projected.")
    method: Literal["seasonal", "simple"] = Field(
        "seasonal", description="With weekdays and a trend, or the mean of the last 30 days."
    )
    by: Literal["agent", "task", "model", "group"] | None = Field(
        None, description="Groups beside the whole."
    )
    limit_usd: Limit | None = Field(None, description="When are so many US dollars spent?")
    limit_tokens: Limit | None = Field(None, description="When are so many tokens used?")
    window: Literal["day", "week", "month"] = Field(
        "month", description="The limits' calendar window."
    )
    at: Day | None = Field(None, description="As it looked when this day began.")
    zone: Zone | None = Field(
        None, description="The time zone of days; else the setting time_zone."
    )


def projection(engine: Engine, asked: AskedProjection) -> Projected:
    """Cost, tokens or calls of the days ahead, as `budget-proxy project --json`."""
    zone = ZoneInfo(asked.zone or engine.settings.time_zone)
    now = engine.now()
    if asked.at is not None:
        begun = datetime.combine(asked.at, time(), zone).timestamp()
        try:
            outlook.check_begun(begun, now)
        except InvalidInput as error:
            raise Refusal(400, f"at: {error}", param="at") from None
        now = begun
    told: dict[Measure, float | None] = {"cost": asked.limit_usd, "tokens": asked.limit_tokens}
    question = outlook.Question(
        asked.days, asked.measure, asked.method, asked.by,
        {measure: limit for measure, limit in told.items() if limit is not None}, asked.window,
    )  # fmt: skip
    found = outlook.outlook(engine.store, zone, now, question, **asked.where())
    return Projected(**named(found), store=shown(engine.store.url))


ENDPOINTS = (Endpoint("GET", "/projection", AskedProjection, Projected, projection),)
