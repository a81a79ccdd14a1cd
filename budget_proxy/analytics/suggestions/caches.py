"""Prompt caches that cost more than they save, find less than they did, or than they could."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from budget_proxy.analytics.suggestions.base import (
    GROUP,
    LEAST,
    MONTH,
    Range,
    Scene,
    Suggestion,
    suggestion,
)
from budget_proxy.analytics.suggestions.bounds import Interval, mean, ratio, session_of
from budget_proxy.store.sums import Sums
from budget_proxy.types import CallRecord
from budget_proxy.wire.rates import Rates

_LIFETIME: Final = 300.0  # seconds that a provider's cache lives at least
_SHORTEST: Final = 1024  # tokens below which providers cache nothing
_AGENTS: Final = 4
_KINDS: Final = 3
"""Agents with a model that are looked at, and so many task types of each."""
_DAY: Final = 86_400.0
_FALL: Final = 0.2
_BEFORE: Final = 400  # calls whose share is taken as known
_HALF: Final = 0.5
_LONG: Final = 2048  # input tokens a call: where a cache is worth the thought
_FOUND: Final = 0.5  # of the input read from the cache: nothing to complain of


def breaking(scene: Scene) -> Iterator[Suggestion]:
    """Agents whose caches find less than before, cost more than they save, or go unread."""
    fallen = {(one.agent, one.model): one for one in _fallen(scene)}
    yield from fallen.values()
    groups = [
        one
        for one in scene.by("agent", "model")
        if (one.agent, one.model) not in fallen
        and one.cache_read_reported >= LEAST
        and one.cache_read_tokens < _FOUND * one.input_tokens
    ]
    for group in sorted(groups, key=lambda one: -one.input_tokens)[:_AGENTS]:
        rows = _rows(scene, group)
        if len(rows) < LEAST:
            continue
        rates = scene.rates(rows[0], group.model)
        unread = _unread(scene, group, rows, rates) if group.cache_write_tokens else None
        if unread is None and group.input_tokens > _LONG * group.input_reported:
            unread = _repeated(scene, group, rows, rates)
        if unread is not None:
            yield unread


def _fallen(scene: Scene) -> Iterator[Suggestion]:
    """Where much less is read in the last quarter of the span than before it."""
    groups = [one for one in scene.by("agent", "model") if one.cache_read_tokens]
    if not groups:
        return
    days = scene.days / 4
    start = scene.end - days * _DAY
    late = {(one.agent, one.model): one for one in scene.since(start)}
    pairs = [(one, late[one.agent, one.model]) for one in groups if (one.agent, one.model) in late]
    doubtful = [
        (whole, now, before)
        for whole, now in pairs
        if (before := _read_before(whole, now)) is not None
        and before - now.cache_read_tokens / now.input_tokens >= _FALL
    ]
    for whole, now, before in doubtful[:_AGENTS]:
        rows = [row for row in _rows(scene, whole) if row.ts >= start]
        share = ratio(
            (session_of(row), row.cache_read_tokens or 0, row.input_tokens or 0) for row in rows
        )
        if len(rows) >= LEAST and share.high < before - _FALL / 2:
            yield _less(scene, whole, rows, before, share, now.input_tokens / days * MONTH)


def _read_before(whole: Sums, now: Sums) -> float | None:
    """The share of the input that was read before; ``None`` where too few calls tell."""
    told = whole.cache_read_reported - now.cache_read_reported
    given = whole.input_tokens - now.input_tokens
    if told < _BEFORE or now.cache_read_reported < LEAST or min(given, now.input_tokens) <= 0:
        return None
    return (whole.cache_read_tokens - now.cache_read_tokens) / given


def _less(
    scene: Scene,
    whole: Sums,
    rows: Sequence[CallRecord],
    before: float,
    share: Interval,
    monthly: float,
) -> Suggestion:
    """``monthly`` input tokens, of which a share ``before`` was read and now ``share``."""
    rates = scene.rates(rows[0], whole.model)
    dollars = None if rates is None else monthly * float(rates.fresh - rates.cached)
    return suggestion(
        "cache",
        whole,
        n=len(rows),
        target="fallen",
        text=f"{share.value:.0%} of the input is read from the cache of late "
        f"({max(share.low, 0):.0%} to {share.high:.0%}), where it was {before:.0%}.",
        action="see what changed in the prompt's beginning since, and put it after what repeats",
        worth="What the share before would save at the cached rate.",
        tokens=round(monthly * (before - share.value)),
        of="input",
        money=None
        if dollars is None
        else (dollars * (before - share.high), dollars * (before - max(share.low, 0))),
        effort="a change of the prompt",
        evidence={"read_share_before": before, "read_share": share.value,
                  "read_share_low": share.low, "read_share_high": share.high, **_by_arm(rows)},
        calls=list(reversed(rows)),
    )  # fmt: skip


def _rows(scene: Scene, group: Sums) -> list[CallRecord]:
    """Newest rows of all its task types that report what was read from a cache, by time."""
    its = [one for one in scene.by(*GROUP) if (one.agent, one.model) == (group.agent, group.model)]
    found = [row for one in its[:_KINDS] for row in scene.rows.of(one)]
    told = [row for row in found if row.cache_read_tokens is not None]
    return sorted(told, key=lambda row: (row.ts, row.id or 0))


def _unread(
    scene: Scene, group: Sums, rows: Sequence[CallRecord], rates: Rates | None
) -> Suggestion | None:
    """Written and not read: what writing cost beyond plain input, less what reading saved."""
    if rates is None:
        lost = None
        balance = mean(
            (session_of(row), (row.cache_write_tokens or 0) - (row.cache_read_tokens or 0))
            for row in rows
        )
    else:
        premium, discount = float(rates.written - rates.fresh), float(rates.fresh - rates.cached)
        balance = mean(
            (
                session_of(row),
                premium * (row.cache_write_tokens or 0) - discount * (row.cache_read_tokens or 0),
            )
            for row in rows
        )
        lost = _monthly(scene, balance, group.cache_read_reported)
    if balance.low <= 0:
        return None
    holdout = _by_arm(rows)
    return suggestion(
        "cache",
        group,
        n=len(rows),
        target="unread",
        text=f"{group.cache_write_tokens:,} tokens were written to the cache, and "
        f"{group.cache_read_tokens:,} read from it.",
        action="keep what stands before the cache mark the same to the byte, or drop the mark",
        worth="What writing costs beyond plain input, less what reading saved."
        if lost
        else "Price unknown: by tokens alone, more is written than read.",
        tokens=round(scene.monthly(group.cache_write_tokens - group.cache_read_tokens)),
        of="input",
        money=lost,
        effort="a change of the prompt",
        evidence={"written": group.cache_write_tokens, "read": group.cache_read_tokens,
                  "input": group.input_tokens, "balance_a_call": balance.value,
                  "balance_a_call_low": balance.low, "balance_a_call_high": balance.high,
                  **holdout},
        calls=[row for row in reversed(rows) if row.cache_write_tokens],
    )  # fmt: skip


def _repeated(
    scene: Scene, group: Sums, rows: Sequence[CallRecord], rates: Rates | None
) -> Suggestion | None:
    """Input that grew within a session, so that the call before was its prefix, yet unread."""
    repeats = list(_repeats(rows))
    if len(repeats) < LEAST:
        return None
    found = ratio((session_of(row), min(row.cache_read_tokens or 0, n), n) for row, n in repeats)
    if found.high >= _HALF:
        return None
    missed = mean((session_of(row), max(n - (row.cache_read_tokens or 0), 0)) for row, n in repeats)
    share = len(repeats) / len(rows)
    tokens = scene.monthly(missed.value * share * group.cache_read_reported)
    discount = None if rates is None else float(rates.fresh - rates.cached)
    holdout = _by_arm(rows)
    return suggestion(
        "cache",
        group,
        n=len(repeats),
        target="repeated",
        text=f"Within five minutes of a session, {found.value:.0%} of what could have been a "
        f"repeated prefix was read from the cache ({max(found.low, 0):.0%} to {found.high:.0%}).",
        action="put what changes (times, ids, retrieved text) after what repeats, and mark the "
        "prefix for the cache where the provider asks for that",
        worth="Input that may repeat the call before, at the cached rate: at most so much, and "
        "nothing where it only looks like a repeat.",
        tokens=round(tokens),
        of="input",
        money=None if discount is None else (0.0, discount * tokens),
        effort="a change of the prompt",
        evidence={"repeats": len(repeats), "sampled": len(rows), "read_share": found.value,
                  "read_share_low": found.low, "read_share_high": found.high,
                  "missed_each": missed.value, **holdout},
        calls=[row for row, n in reversed(repeats) if (row.cache_read_tokens or 0) < _HALF * n],
    )  # fmt: skip


def _repeats(rows: Sequence[CallRecord]) -> Iterator[tuple[CallRecord, int]]:
    """Calls whose session had a shorter one shortly before, with the tokens they may share."""
    by_session: dict[str, list[CallRecord]] = {}
    for row in rows:
        if row.session is not None:
            by_session.setdefault(row.session, []).append(row)
    for calls in by_session.values():
        for before, row in pairwise(calls):
            shared = before.input_tokens or 0
            grew = _SHORTEST <= shared <= (row.input_tokens or 0)
            if grew and row.ts - before.ts <= _LIFETIME:
                yield row, shared


def _by_arm(rows: Sequence[CallRecord]) -> dict[str, float | None]:
    """The share of the input that was read from the cache, by arm: whether notes break it."""
    shares: dict[str, float | None] = {}
    for arm in ("treatment", "holdout"):
        its = [row for row in rows if row.arm == arm]
        given = _total(row.input_tokens for row in its)
        read = _total(row.cache_read_tokens for row in its)
        shares[f"read_share_{arm}"] = read / given if given else None
    return shares


def _total(tokens: Iterable[int | None]) -> int:
    return sum(number or 0 for number in tokens)


def _monthly(scene: Scene, each: Interval, calls: int) -> Range:
    return scene.monthly(each.low * calls), scene.monthly(each.high * calls)
