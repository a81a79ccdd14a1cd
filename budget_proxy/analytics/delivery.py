"""Alerts on their way out: to the log at once, to a webhook until it has them.

A webhook is sent each event at least once, with an id by which a receiver knows it again. What
fails is tried again later and later; after a day it is no news any more.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal

from budget_proxy.analytics.cases import Notice
from budget_proxy.analytics.causes import place_of
from budget_proxy.store.alerts import DELIVERED, Alert, Event
from budget_proxy.store.base import Store

Format = Literal["generic", "slack"]

LEASE: Final = 120.0
"""Seconds in which one process has to deliver what it took: longer than a request may take."""

_FIRST, _LONGEST = 5.0, 900.0
_MARKS: Final[Mapping[str, str]] = {
    "info": ":information_source:",
    "warning": ":warning:",
    "critical": ":rotating_light:",
}
_LOG_LEVELS: Final[Mapping[str, int]] = {
    "info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR,
}  # fmt: skip
_log = logging.getLogger("budget_proxy.alerts")

Post = Callable[[str, bytes, Mapping[str, str]], str | None]
"""Sends (idempotency id, JSON, headers); ``None`` if it was taken, else what went wrong."""


def log(notices: Sequence[Notice]) -> None:
    """Write what people are to be told to the log ``budget_proxy.alerts``."""
    for change, alert in notices:
        if change in DELIVERED:
            level = logging.INFO if change == "resolved" else _LOG_LEVELS[alert.severity]
            _log.log(level, "alert #%d %s: %s", alert.id, change, alert.text)


def deliver(store: Store, post: Post, form: Format, clock: Callable[[], float]) -> tuple[int, int]:
    """Send what is due; how many events were taken, and how many were not. Raises StoreError."""
    installation = store.meta("installation", uuid.uuid4().hex[:12])
    sent = failed = 0
    for event in store.claim_events(clock(), lease=LEASE):
        fault = post(*_message(event, form, installation))
        now = clock()
        if fault is None:
            store.settle_event(event.id, sent=now)
            sent += 1
        else:
            failed += 1
            store.settle_event(event.id, due=now + delay(event.tries))
            _log.warning(
                "the webhook did not take alert #%d (try %d): %s",
                event.alert.id, event.tries, fault,
            )  # fmt: skip
    return sent, failed


def delay(tries: int) -> float:
    """Seconds to wait after so many tries: 5, 10, 20 ... at most a quarter of an hour."""
    return min(_FIRST * 2.0 ** min(tries - 1, 20), _LONGEST)


def as_json(alert: Alert) -> dict[str, Any]:
    """An alert as programs are shown it."""
    return {
        "id": alert.id,
        "cause": alert.cause,
        "severity": alert.severity,
        "agent": alert.agent,
        "task_type": alert.task_type,
        "model": alert.model,
        "since": alert.since,
        "opened": alert.opened,
        "updated": alert.updated,
        "resolved": alert.resolved,
        "acknowledged": alert.acknowledged,
        "muted_until": alert.muted_until,
        "rows": alert.rows,
        "first_row": alert.first_row,
        "last_row": alert.last_row,
        "figures": alert.figures,
        "text": alert.text,
    }


def _message(event: Event, form: Format, installation: str) -> tuple[str, bytes, dict[str, str]]:
    import orjson

    identifier = f"{installation}-{event.id}"
    body = (
        _slack(event)
        if form == "slack"
        else {
            "id": identifier,
            "change": event.change,
            "ts": event.ts,
            "alert": as_json(event.alert),
        }
    )
    headers = {"content-type": "application/json", "idempotency-key": identifier}
    return identifier, orjson.dumps(body), headers


def _slack(event: Event) -> dict[str, Any]:
    """What Slack's incoming webhooks take, and those of others that are made like them."""
    alert = event.alert
    mark = ":white_check_mark:" if event.change == "resolved" else _MARKS[alert.severity]
    place = _escaped(place_of(alert.scope))
    head = f"{mark} *{alert.cause}* {event.change}: {place} (#{alert.id})"
    since = f"since {datetime.fromtimestamp(alert.since, tz=UTC):%Y-%m-%d %H:%M} UTC"
    text = f"{head}\n{_escaped(alert.text)}\n_{since}_"
    return {
        "text": text,
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": text[:3000]}}],
    }


def _escaped(text: str) -> str:
    """Slack's three control characters, as it wants them."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
