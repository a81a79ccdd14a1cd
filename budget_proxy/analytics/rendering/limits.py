"""Limits in words: how far they are used, what calls under way may add, and whether counts hold."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from budget_proxy.analytics.limits import Added, Check, Limits, Listed, Removed, Standing
from budget_proxy.analytics.numbers import NONE, bar, dollars, moment, percent, short
from budget_proxy.analytics.rendering.blocks import (
    MOST_ROWS,
    Block,
    Document,
    Facts,
    Note,
    Table,
    visible,
)
from budget_proxy.ledger.limits import EACH, NANO
from budget_proxy.ledger.refusal import amount_text

_SPANS = {"flight": "at once", "lifetime": "in all", "hour": "an hour"}
_ACTIONS = {"refuse": "hard", "alert": "soft", "degrade": "degrades"}
_WIDTH = 12


def limits(found: Limits, place: ZoneInfo, url: str) -> Document:
    """What limits there are, and how they stand."""
    if not found.limits:
        none = Note("No limits. `budget-proxy limits add --agent NAME --tokens N --window day`")
        sections: tuple[tuple[Block, ...], ...] = ((none,),)
    else:
        sections = ((Facts(tuple(map(_said, found.limits))),), _stands(found, place))
        sections += (tuple(map(Note, _notes(found))),)
    told = f"as of {moment(found.now, place)} {place.key}"
    return Document("Limits", told, sections, head=(f"History {url}",))


def added(done: Added, place: ZoneInfo, now: float) -> Document:
    """What was put into force."""
    shown = Limits(done.store, now, (done.limit,))
    sections = (
        (Facts((_said(done.limit),)),),
        _stands(shown, place),
        tuple(map(Note, done.notes)),
    )
    told = f"as of {moment(now, place)} {place.key}"
    return Document(f"Limit {done.limit.id} is in force", told, sections)


def removed(done: Removed) -> Document:
    """What is in force no more."""
    said = f"Limit {done.id} is in force no more."
    return Document("Limits", "", ((Note(said),),))


def check(found: Check, place: ZoneInfo) -> Document:
    """Whether counters are what the history says."""
    told = f"as of {moment(found.now, place)} {place.key}"
    if not found.differences:
        said = (
            f"All {found.accounts} accounts of the running windows are what the history says."
            if found.accounts
            else "There is nothing to check: no limit has counted anything in its running window."
        )
        return Document("Limits", told, ((Note(said),),))
    rows = tuple(
        (
            visible(f"limit {one.limit} {one.part}".rstrip()),
            moment(one.start, place),
            str(one.used),
            str(one.counted),
        )
        for one in found.differences
    )
    table = Table("Accounts that are not", ("Account", "window", "used", "history"), rows, left=2)
    note = (
        f"{found.repaired} accounts were counted anew."
        if found.repaired
        else "`budget-proxy limits check --repair` counts them anew."
    )
    return Document("Limits", told, ((table,), (Note(note),)))


def _said(limit: Listed) -> tuple[str, str]:
    whom = ", ".join(
        f"each {dimension}" if name == EACH else f"{dimension} {name}"
        for dimension, name in limit.where.items()
    )
    span = _SPANS.get(limit.window, f"a {limit.window}")
    fallback = ", ".join(filter(None, (limit.model, limit.effort)))
    parts = [
        f"{whom or 'all calls'}: {_exact(limit, limit.amount)} {span}",
        _ACTIONS[limit.action] + (f" to {fallback}" if fallback else ""),
        f"holds {limit.hold}",
    ]
    if limit.zone != "UTC":
        parts.append(limit.zone)
    if limit.name:
        parts.insert(0, f'"{limit.name}"')
    return f"#{limit.id}", visible("; ".join(parts))


def _stands(found: Limits, place: ZoneInfo) -> tuple[Block, ...]:
    rows = [
        (
            visible(f"#{limit.id} {one.part or _nobody(limit)}".rstrip()),
            _bar(one.share),
            percent(one.share),
            _brief(limit, one.used),
            _brief(limit, one.held),
            _brief(limit, one.left),
            _bound(limit, one),
            NONE if one.ends is None else moment(one.ends, place)[5:],
        )
        for limit in found.limits
        for one in limit.accounts[:MOST_ROWS]
    ]
    names = ("Limit", "", "share", "used", "held", "left", "bound", "ends")
    if not rows:
        return (Note("Nothing was used of it in the running window."),)
    return (Table("How they stand", names, tuple(rows), left=2),)


def _nobody(limit: Listed) -> str:
    """What the account of calls that name nobody is called, where there are others beside it."""
    return "unnamed" if EACH in limit.where.values() else ""


def _notes(found: Limits) -> Iterator[str]:
    more = sum(max(len(limit.accounts) - MOST_ROWS, 0) for limit in found.limits)
    if more:
        yield f"{more} more accounts are in --json."
    yield (
        "held: what processes hold for calls under way and to come, as they said a second ago. "
        "bound: by how much a limit can be passed at most, that is what calls under way would use "
        "at worst beyond what they hold; input: where they hold the worst case, it is the error "
        "of their input's estimate alone."
    )


def _bar(share: float | None) -> str:
    return bar(1.0 if share is None else share, _WIDTH)


def _bound(limit: Listed, one: Standing) -> str:
    return "input" if limit.hold == "worst" else _brief(limit, one.bound)


def _brief(limit: Listed, amount: float) -> str:
    return dollars(amount) if limit.unit == "usd" else short(amount)


def _exact(limit: Listed, amount: float) -> str:
    return amount_text(limit.unit, round(amount * NANO if limit.unit == "usd" else amount))
