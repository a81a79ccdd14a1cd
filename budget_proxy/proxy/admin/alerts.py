"""What is wrong, since when; acknowledging and muting it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field

from budget_proxy.analytics import noticeboard as board
from budget_proxy.analytics.encoding import named
from budget_proxy.analytics.following import CaughtUp
from budget_proxy.analytics.periods import seconds_of
from budget_proxy.assemble import Engine
from budget_proxy.errors import InvalidInput
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.paging import Paged, page_of
from budget_proxy.proxy.admin.question import Name, Nothing, OfGroup, Question, Span
from budget_proxy.proxy.admin.refusal import NOT_FOUND, Refusal
from budget_proxy.proxy.health import shown

Number = Annotated[int, Field(ge=1, le=2**62)]
Cursor = Annotated[str, Field(max_length=18, pattern=r"^[0-9]{1,18}$")]


@dataclass(frozen=True, slots=True)
class Alerts(board.Noticeboard):
    """A page of the alerts, and what holds of all of them.

    ``next`` is the cursor of the next page, null at the end.
    """

    next: str | None = None


class AskedAlerts(OfGroup, Paged):
    """What ``/alerts`` is asked."""

    cursor: Cursor | None = Field(None, description="The `next` of the page before.")
    all: bool = Field(False, description="Those that are over, and muted ones, too.")


class AskedAck(Question):
    """What ``/alerts/{number}/ack`` is asked."""

    number: Number = Field(description="The alert.")
    nothing: Nothing


class Unmuting(Question):
    """What is muted no more: an alert, a cause, or the calls of an agent, task type or model."""

    what: Name = Field(description="The number of an alert, a cause, or group: the calls below.")
    agent: Name | None = Field(None, description="Calls of this agent.")
    task_type: Name | None = Field(None, description="Calls of this kind.")
    model: Name | None = Field(None, description="Calls of this model.")


class Muting(Unmuting):
    """What is to be muted: an alert, a cause, or the calls of an agent, task type or model."""

    span: Span | None = Field(None, description="How long: 30m, 24h, 7d. Else for ever.")


class AskedMute(Question):
    """What ``/alerts/mute`` is asked."""

    muting: Muting


class AskedUnmute(Question):
    """What ``/alerts/unmute`` is asked."""

    muting: Unmuting


def alerts(engine: Engine, asked: AskedAlerts) -> Alerts:
    """What is wrong, since when, as `budget-proxy alerts --json`."""
    state = board.look(engine.store, engine.now())
    calls = (asked.agent, asked.task_type, asked.model)
    found = board.noticeboard(engine.store, state, engine.now(), every=asked.all, calls=calls)
    after = int(asked.cursor or 0)
    left = [one for one in found.alerts if one.id > after]
    page, cursor = page_of(left, asked.limit, lambda one: str(one.id))
    told = named(found) | {"store": shown(engine.store.url), "alerts": page}
    return Alerts(**told, next=cursor)


def acknowledge(engine: Engine, asked: AskedAck) -> board.Noticeboard:
    """Note that somebody has seen an alert."""
    state = board.look(engine.store, engine.now())
    try:
        board.acknowledge(engine.store, asked.number, engine.now())
    except InvalidInput as error:
        said = f"there is no alert {asked.number}"
        raise Refusal(404, said, type_=NOT_FOUND, param="number") from error
    return _shown(engine, state)


def mute(engine: Engine, asked: AskedMute) -> board.Noticeboard:
    """Tell nobody of an alert, a cause or some calls."""
    span = asked.muting.span
    until = math.inf if span is None else engine.now() + seconds_of(span)
    return _muted(engine, asked.muting, until)


def unmute(engine: Engine, asked: AskedUnmute) -> board.Noticeboard:
    """End a mute."""
    return _muted(engine, asked.muting, 0.0)


def _muted(engine: Engine, muting: Unmuting, until: float) -> board.Noticeboard:
    state = board.look(engine.store, engine.now())
    calls = (muting.agent, muting.task_type, muting.model)
    board.mute(engine.store, muting.what, calls, until)
    return _shown(engine, state)


def _shown(engine: Engine, state: CaughtUp) -> board.Noticeboard:
    found = board.noticeboard(engine.store, state, engine.now())
    return replace(found, store=shown(engine.store.url))


_ALERTS = board.Noticeboard
ENDPOINTS = (
    Endpoint("GET", "/alerts", AskedAlerts, Alerts, alerts),
    Endpoint("POST", "/alerts/{number}/ack", AskedAck, _ALERTS, acknowledge, "nothing"),
    Endpoint("POST", "/alerts/mute", AskedMute, _ALERTS, mute, "muting"),
    Endpoint("POST", "/alerts/unmute", AskedUnmute, _ALERTS, unmute, "muting"),
)
