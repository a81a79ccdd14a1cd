"""Alerts as people and programs ask for them: listed, acknowledged, muted."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Final

from budget_proxy.analytics.cases import MOST_OPEN
from budget_proxy.analytics.causes import CAUSES
from budget_proxy.analytics.encoding import named
from budget_proxy.analytics.following import CaughtUp, Follower
from budget_proxy.errors import InvalidInput
from budget_proxy.store.alerts import KEPT, Alert, Mute
from budget_proxy.store.base import Store
from budget_proxy.types import frozen

GROUP: Final = "group"
"""What is muted where that is some calls, and neither an alert nor a cause."""

Calls = tuple[str | None, str | None, str | None]
"""Agent, task type and model; ``None`` stands for all."""

_ALL: Final[Calls] = (None, None, None)

_WITHIN: Final = 0.2
"""Seconds for rows that no server has looked at, while a question waits: the rest comes next."""


@frozen
class Posted(Alert):
    """An alert, and whether it is ``muted`` now, by itself or by what it is about."""

    muted: bool = field(default=False, kw_only=True)


@frozen
class Muted:
    """What is not told of ``until`` then (Unix seconds; ``None``: for ever). ``None`` is all."""

    until: float | None
    cause: str | None
    agent: str | None
    task_type: str | None
    model: str | None


@dataclass(frozen=True, slots=True)
class Noticeboard:
    """The alerts of the history ``store``, and what is muted; ``hidden`` alerts are left out.

    ``rows`` were looked at for it, ``skipped`` passed over since they were too many; ``waiting``
    ones are still to be looked at. ``unwatched`` counts groups that are not watched any more.
    ``delivered`` counts what was sent, where that was asked for.
    """

    store: str
    alerts: tuple[Posted, ...]
    hidden: int
    mutes: tuple[Muted, ...]
    rows: int
    skipped: int
    waiting: int
    unwatched: int
    delivered: dict[str, int] | None = None


def look(store: Store, now: float) -> CaughtUp:
    """Look at rows that no server has looked at yet. Raises StoreError."""
    return Follower(store).catch_up(now, within=_WITHIN)


def noticeboard(
    store: Store, state: CaughtUp, now: float, *, every: bool = False, calls: Calls = _ALL
) -> Noticeboard:
    """The open alerts that are not muted, or ``every`` one, after a look. Raises StoreError.

    Those about some ``calls`` only: an alert about all agents is about none of them.
    """
    mutes, asked = store.mutes(now), Mute(inf, None, *calls)
    found = [
        Posted(**named(alert), muted=_is_muted(alert, mutes, now))
        for alert in store.alerts(every=every, limit=MOST_OPEN + KEPT)
        if asked.covers(alert)
    ]
    shown = tuple(alert for alert in found if every or not alert.muted)
    told = tuple(Muted(**{**named(mute), "until": _finite(mute.until)}) for mute in mutes)
    return Noticeboard(
        store.url, shown, sum(alert.muted for alert in found), told, state.rows, state.skipped,
        state.waiting, state.unwatched,
    )  # fmt: skip


def acknowledge(store: Store, number: int, now: float) -> None:
    """Note that somebody has seen an alert. Raises InvalidInput where there is none."""
    _found(store.mark_alert(number, acknowledged=now), number)


def mute(store: Store, what: str, calls: Calls, until: float) -> None:
    """Tell nobody of an alert (its number), a cause, or ``GROUP``, which are some calls.

    A cause can be muted of some calls alone. Until then (Unix seconds); 0 ends it. Raises
    InvalidInput where there is no such thing.
    """
    if what.isascii() and what.isdigit():
        _found(store.mark_alert(int(what), muted_until=until), int(what))
    elif what in CAUSES:
        store.mute(Mute(until, what, *calls))
    elif what == GROUP and any(calls):
        store.mute(Mute(until, None, *calls))
    elif what == GROUP:
        raise InvalidInput(
            "name the calls by --agent, --task-type or --model; over HTTP by agent, task_type or "
            "model"
        )
    else:
        known = ", ".join(CAUSES)
        raise InvalidInput(f"{what!r} is no alert's number, and no cause: those are {known}")


def _found(alert: Alert | None, number: int) -> None:
    if alert is None:
        raise InvalidInput(f"there is no alert {number}; `budget-proxy alerts --all` lists them")


def _is_muted(alert: Alert, mutes: list[Mute], now: float) -> bool:
    own = alert.muted_until is not None and alert.muted_until > now
    return own or any(mute.covers(alert) for mute in mutes)


def _finite(until: float) -> float | None:
    return until if isfinite(until) else None
