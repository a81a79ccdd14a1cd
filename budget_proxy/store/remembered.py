"""Alerts in memory: the same as store/alerting.py keeps in SQLite. No locks but Remembered's."""

from __future__ import annotations

import threading
from dataclasses import replace

from budget_proxy.store.alerts import (
    FRESH,
    KEPT,
    Alert,
    Change,
    Event,
    Mute,
    Progress,
    Watched,
    is_told,
)
from budget_proxy.types import frozen


@frozen
class _Told:
    """An event, by the number of its alert."""

    alert: int
    change: Change
    ts: float
    created: float
    due: float | None
    tries: int = 0
    sent: float | None = None


class Alerts:
    """Alerts, their events, mutes, and where the watch has got."""

    def __init__(self) -> None:
        self.alerts: dict[int, Alert] = {}
        self.events: dict[int, _Told] = {}
        self.mutes: dict[tuple[str | None, ...], Mute] = {}
        self.parts: dict[str, str] = {}
        self._version = self._row = self._last = 0

    def watched(self) -> Watched:
        """Where the watch has got."""
        return Watched(self._version, self._row, dict(self.parts), tuple(self.listed(every=False)))

    def save(self, progress: Progress) -> bool:
        """Save how far a watch has got; false where another one was faster."""
        if progress.version != self._version:
            return False
        self._version += 1
        self._row = progress.row
        for name, state in progress.parts.items():
            self.parts.pop(name, None)
            if state is not None:
                self.parts[name] = state
        for change, alert in progress.changes:
            self._save(change, alert, progress.now)
        over = [id_ for id_, alert in self.alerts.items() if alert.resolved is not None]
        for id_ in over[:-KEPT]:
            del self.alerts[id_]
        for id_ in list(self.events)[:-KEPT]:
            del self.events[id_]
        return True

    def listed(self, *, every: bool, limit: int = KEPT) -> list[Alert]:
        """The newest alerts, oldest first."""
        found = [alert for alert in self.alerts.values() if every or alert.resolved is None]
        return sorted(found, key=lambda alert: alert.id)[-limit:]

    def mark(self, id_: int, acknowledged: float | None, muted_until: float | None) -> Alert | None:
        """Set what people say of an alert."""
        old = self.alerts.get(id_)
        if old is None:
            return None
        new = replace(
            old,
            acknowledged=old.acknowledged if acknowledged is None else acknowledged,
            muted_until=old.muted_until if muted_until is None else muted_until,
        )
        self.alerts[id_] = new
        return new

    def mute(self, mute: Mute) -> None:
        """Mute a cause or a part of the calls."""
        key = (mute.cause, mute.agent, mute.task_type, mute.model)
        self.mutes.pop(key, None)
        self.mutes[key] = mute

    def claim(self, now: float, lease: float, limit: int) -> list[Event]:
        """Take events that are due."""
        events: list[Event] = []
        for id_, told in self.events.items():
            if told.due is None:
                continue
            if told.created < now - FRESH:
                self.events[id_] = replace(told, due=None)
            elif told.due <= now and len(events) < limit:
                self.events[id_] = replace(told, due=now + lease, tries=told.tries + 1)
                alert = self.alerts.get(told.alert)
                if alert is not None:
                    events.append(Event(id_, alert, told.change, told.ts, told.tries + 1))
        return events

    def settle(self, id_: int, sent: float | None, due: float | None) -> None:
        """Note how a delivery went."""
        if id_ in self.events:
            self.events[id_] = replace(self.events[id_], sent=sent, due=due)

    def _save(self, change: Change, alert: Alert, now: float) -> None:
        old = self.alerts.get(alert.id, alert)
        alert = replace(alert, acknowledged=old.acknowledged, muted_until=old.muted_until)
        self.alerts[alert.id] = alert
        if is_told(change, alert, self.mutes.values(), now):
            self._last += 1
            self.events[self._last] = _Told(alert.id, change, alert.updated, now, now)


class Remembered:
    """The part of a store in memory that knows alerts."""

    _lock: threading.Lock
    _alerts: Alerts

    def watched(self) -> Watched:
        """Give where the watch over this history has got."""
        with self._lock:
            return self._alerts.watched()

    def save_watch(self, progress: Progress) -> bool:
        """Save how far a watch has got; false where another was faster."""
        with self._lock:
            return self._alerts.save(progress)

    def alerts(self, *, every: bool = False, limit: int = 1_000) -> list[Alert]:
        """Give the newest open alerts, with ``every`` those that are over too."""
        with self._lock:
            return self._alerts.listed(every=every, limit=limit)

    def mark_alert(
        self, id_: int, *, acknowledged: float | None = None, muted_until: float | None = None
    ) -> Alert | None:
        """Set what people say of an alert (``None`` leaves it); the alert, if it is there."""
        with self._lock:
            return self._alerts.mark(id_, acknowledged, muted_until)

    def mute(self, mute: Mute) -> None:
        """Mute a cause or a part of the calls, in place of an earlier mute of the same."""
        with self._lock:
            self._alerts.mute(mute)

    def mutes(self, now: float) -> list[Mute]:
        """Give what is muted at a time."""
        with self._lock:
            return [mute for mute in self._alerts.mutes.values() if mute.until > now]

    def claim_events(self, now: float, *, lease: float, limit: int = 20) -> list[Event]:
        """Take events that are to be told, the oldest first, for ``lease`` seconds."""
        with self._lock:
            return self._alerts.claim(now, lease, limit)

    def settle_event(
        self, id_: int, *, sent: float | None = None, due: float | None = None
    ) -> None:
        """Note that an event was delivered, or when it is to be tried again."""
        with self._lock:
            self._alerts.settle(id_, sent, due)
