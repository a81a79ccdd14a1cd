"""The nouns of alerting: what a watch sees of a row, alerts, their events, mutes. No database.

What the columns mean: docs/schema.md. When an alert is raised is analytics' business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, fields
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple

from budget_proxy.types import NOTHING, CallRecord, frozen

Change = Literal["raised", "escalated", "updated", "resolved"]
Severity = Literal["info", "warning", "critical"]

DELIVERED: Final[frozenset[Change]] = frozenset({"raised", "escalated", "resolved"})
"""The changes that people are told of; an update only shows in the list."""


class Seen(NamedTuple):
    """What a watch needs of a row: the columns of CallRecord under their names.

    ``alarms`` are as the history has them: a list in JSON.
    """

    id: int
    ts: float
    api: str
    model: str
    call_id: str
    attempt: int
    agent: str
    task_type: str
    n: int
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    exact: bool
    finish_reason: str
    truncated: bool
    cut_by_us: bool
    ceiling: int | None
    q50: float | None
    q75: float | None
    q90: float | None
    q95: float | None
    q99: float | None
    recommended: int | None
    strategy: str
    confidence: float | None
    cost: float | None
    tier: str | None
    pending: bool
    alarms: str = "[]"


SEEN_COLUMNS: Final = Seen._fields
_seen: Final = attrgetter(*SEEN_COLUMNS)


def seen(record: CallRecord) -> Seen:
    """What a watch sees of a row of the history."""
    return Seen(*_seen(record))._replace(alarms=json.dumps(record.alarms))


@frozen
class Alert:
    """One cause of trouble in one part of the calls, from its first sign to its end.

    ``agent``, ``task_type`` and ``model`` say which calls; ``None`` stands for all. ``since`` is
    when the trouble began, ``opened`` when it was certain, ``resolved`` when it was over; Unix
    seconds, by the calls' own times. ``rows`` counts the calls that showed it, ``first_row`` and
    ``last_row`` are ids of the first and last of them. ``figures`` is JSON's: numbers, texts and
    mappings of these; ``text`` says it in words.
    """

    id: int
    cause: str
    agent: str | None
    task_type: str | None
    model: str | None
    severity: Severity
    since: float
    opened: float
    updated: float
    rows: int
    first_row: int
    last_row: int
    figures: Mapping[str, Any]
    text: str
    resolved: float | None = None
    acknowledged: float | None = None
    muted_until: float | None = None

    @property
    def scope(self) -> tuple[str | None, str | None, str | None]:
        """Which calls: agent, task type and model."""
        return (self.agent, self.task_type, self.model)


ALERT_COLUMNS: Final = tuple(item.name for item in fields(Alert))

KEPT: Final = 1_000
"""Alerts that are over, and events, that are kept: the newest."""

FRESH: Final = 86_400.0
"""Seconds after which an event that could not be delivered is no news any more."""


@frozen
class Mute:
    """What is not told of until ``until`` (Unix seconds, or infinity): some cause, some calls.

    ``None`` stands for all.
    """

    until: float
    cause: str | None = None
    agent: str | None = None
    task_type: str | None = None
    model: str | None = None

    def covers(self, alert: Alert) -> bool:
        """Whether an alert is one of these: it lies within what is muted."""
        wanted = (self.cause, self.agent, self.task_type, self.model)
        given = (alert.cause, *alert.scope)
        return all(mine in {None, its} for mine, its in zip(wanted, given, strict=True))


MUTE_COLUMNS: Final = tuple(item.name for item in fields(Mute))


@frozen
class Event:
    """A change of an alert that somebody is to be told of.

    ``tries`` counts the deliveries that were begun, this one included; ``alert`` is as it is now.
    """

    id: int
    alert: Alert
    change: Change
    ts: float
    tries: int


@frozen
class Watched:
    """Where a watch has got: the last ``row`` it saw, its ``parts`` by name, what is open.

    ``version`` counts saves: only who knows the newest may save the next.
    """

    version: int = 0
    row: int = 0
    parts: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    alerts: tuple[Alert, ...] = ()


@frozen
class Progress:
    """What a watch saves: its state after ``row``, and what has become of alerts.

    ``version`` is the one it started from. ``parts`` are those that changed, ``None`` where one is
    gone. ``now`` is the time of saving.
    """

    version: int
    row: int
    parts: Mapping[str, str | None]
    changes: Sequence[tuple[Change, Alert]]
    now: float


def is_told(change: Change, alert: Alert, mutes: Iterable[Mute], now: float) -> bool:
    """Whether somebody is to be told of a change."""
    muted = alert.muted_until is not None and alert.muted_until > now
    return (
        change in DELIVERED
        and not muted
        and not any(mute.until > now and mute.covers(alert) for mute in mutes)
    )
