"""Alerts in words: what is wrong, since when, and what the watch has not looked at."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from budget_proxy.analytics.causes import place_of
from budget_proxy.analytics.noticeboard import Noticeboard
from budget_proxy.analytics.numbers import moment, whole
from budget_proxy.analytics.rendering.blocks import (
    Block,
    Document,
    Facts,
    Note,
    Table,
    named,
    visible,
)
from budget_proxy.store.alerts import Alert


def alerts(found: Noticeboard, place: ZoneInfo, now: float, url: str) -> Document:
    """What the noticeboard of the history ``url`` has, with times in a zone."""
    notes = tuple(map(Note, _notes(found)))
    none = "No alerts so far." if found.waiting else "No alerts."
    sections: tuple[tuple[Block, ...], ...] = ((Note(none), *notes),)
    if found.alerts:
        sections = ((), (_table(found, place), _texts(found)), notes)
    told = f"as of {moment(now, place)} {place.key}"
    return Document("Alerts", told, sections, head=(f"History {url}",))


def _table(found: Noticeboard, place: ZoneInfo) -> Table:
    rows = tuple(
        (
            named(place_of(alert.scope)),
            str(alert.id),
            alert.cause,
            alert.severity,
            moment(alert.since, place),
            _standing(alert),
        )
        for alert in found.alerts
    )
    names = ("Calls of", "no.", "cause", "severity", f"since ({place.key})", "state")
    return Table("Alerts", names, rows, left=6)


def _texts(found: Noticeboard) -> Facts:
    return Facts(tuple((f"#{alert.id}", visible(alert.text)) for alert in found.alerts))


def _notes(found: Noticeboard) -> Iterator[str]:
    if found.hidden:
        yield f"{found.hidden} of the alerts are muted: --all shows them."
    if found.delivered is not None:
        sent, failed = found.delivered["sent"], found.delivered["failed"]
        yield f"Delivered {sent}; the webhook did not take {failed}."
    if found.skipped:
        yield f"{whole(found.skipped)} rows were too far back to be looked at."
    if found.waiting:
        some, every = whole(found.rows), whole(found.rows + found.waiting)
        yield f"Looked at {some} of {every} rows: ask again, or let `budget-proxy serve` run."
    if found.unwatched:
        yield f"{whole(found.unwatched)} groups, seen longest ago, are not watched any more."


def _standing(alert: Alert) -> str:
    if alert.resolved is not None:
        return "over"
    return "acknowledged" if alert.acknowledged is not None else "open"
