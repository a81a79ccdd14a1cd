"""The parameters of questions: their types, checked and described.

A question is a frozen model; its fields' names are the parameters' names.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from budget_proxy.analytics.periods import seconds_of
from budget_proxy.settings import TimeZone
from budget_proxy.store.sums import LATEST

_PLUS: Final = re.compile(r" (?=\d\d:?\d\d$)")


class Question(BaseModel):
    """What is asked of the history."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _moment(text: Any) -> float:
    """Unix seconds of a number, or of a time as RFC 3339 writes it."""
    try:
        return float(text)
    except ValueError:
        pass
    try:  # the plus of an offset that was not escaped arrives as a space
        found = datetime.fromisoformat(_PLUS.sub("+", str(text)))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError("should be Unix seconds, or a time such as 2026-11-27T12:00:00Z")
    return found.timestamp()


def _span(text: str) -> str:
    seconds_of(text)
    return text


_MOMENT: Final = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": LATEST},
        {"type": "string", "format": "date-time"},
    ]
}

Moment = Annotated[
    float,
    Field(ge=0, le=LATEST, allow_inf_nan=False),
    BeforeValidator(_moment),
    WithJsonSchema(_MOMENT),
]
"""A time: Unix seconds or RFC 3339."""

Span = Annotated[
    str,
    Field(max_length=12),
    AfterValidator(_span),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,6}[smhdw]$"}),
]
"""A span of time such as 90s, 30m, 24h, 7d or 2w."""

Zone = Annotated[TimeZone, WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]})]
"""A time zone by its name."""

Name = Annotated[str, Field(min_length=1, max_length=1_000)]


class Nothing(Question):
    """An empty object."""


class OfGroup(Question):
    """Questions to some calls only."""

    agent: Name | None = Field(None, description="Only this agent's calls.")
    model: Name | None = Field(None, description="Only this model's calls.")
    task_type: Name | None = Field(None, description="Only calls of this kind.")

    def where(self) -> dict[str, Any]:
        """The columns that are asked for, and their values."""
        names = ("agent", "model", "task_type")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class InTime(Question):
    """Questions to a span of time."""

    start: Moment | None = Field(None, description="Only calls from this time on.")
    end: Moment | None = Field(None, description="Only calls before this time.")
    since: Span | None = Field(
        None, description="Only the last 90s, 30m, 24h, 7d or 2w; in place of start."
    )

    @field_validator("end")
    @classmethod
    def _after_start(cls, end: float | None, known: ValidationInfo) -> float | None:
        start = known.data.get("start")
        if end is not None and start is not None and end < start:
            raise ValueError("should be a time after start")
        return end

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        if self.start is not None and self.since is not None:
            raise ValueError("say start or since, not both")
        return self

    def begin(self, now: float) -> float | None:
        """When the span begins, in Unix seconds."""
        return self.start if self.since is None else now - seconds_of(self.since)
