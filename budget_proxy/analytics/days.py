"""A day's rows as sums, and sums as a tally again: what reports go on telling of folded rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from budget_proxy.analytics.groups import Groups
from budget_proxy.analytics.tally import USE_EDGES, Tally
from budget_proxy.store.days import Day, day_of
from budget_proxy.types import LEVELS, CallRecord

_Key = tuple[str, str, str, str, str, str]

_SAME: Final = (
    "calls", "attempts", "failed", "estimated", "truncated", "truncated_by_us", "resent",
    "priced", "unpriced", "measured", "untold", "over", "under", "efficiency", "promised",
    "confidence",
)  # fmt: skip
"""Sums that a tally and a day call alike."""

_OTHERWISE: Final = (("priced_cost", "cost"), ("use", "utilisation"))
_REPORTED: Final = ("input", "output", "reasoning")
_MODES: Final = ("observe", "guide", "enforce")
_MORE: Final = ("cache_read_tokens", "cache_write_tokens", "guidance_tokens")


def days_of(records: Sequence[CallRecord]) -> list[Day]:
    """The sums of rows, given in order of their ids, with all attempts of each call."""
    groups = Groups(_key)
    members: dict[_Key, list[CallRecord]] = {}
    for record in records:
        groups.add(record)
        members.setdefault(_key(record), []).append(record)
    return [_day(key, groups.tallies[key], rows) for key, rows in members.items()]


def tally_of(day: Day) -> Tally:
    """What a report counts of a day."""
    tally = Tally(**{name: getattr(day, name) for name in _SAME})
    for ours, theirs in _OTHERWISE:
        setattr(tally, ours, getattr(day, theirs))
    for name in _REPORTED:
        tally.tokens[f"{name}_tokens"] = getattr(day, f"{name}_tokens")
        tally.reported[f"{name}_tokens"] = getattr(day, f"{name}_reported")
    for index in range(len(USE_EDGES) + 1):
        tally.uses[index] = getattr(day, f"use_{index + 1}")
    for level in LEVELS:
        tally.told[level] = getattr(day, f"told_{round(100 * level)}")
        tally.told[-level] = getattr(day, f"held_{round(100 * level)}")
    tally.modes.update({mode: getattr(day, mode) for mode in _MODES if getattr(day, mode)})
    if day.calls:
        tally.arms[day.arm] = day.calls
    return tally


def _key(record: CallRecord) -> _Key:
    """The columns that tell one day's sums from another's, in their order."""
    return (
        day_of(record.ts), record.agent, record.task_type, record.model, record.arm,
        record.finish_reason,
    )  # fmt: skip


def _day(key: _Key, tally: Tally, rows: Iterable[CallRecord]) -> Day:
    members = list(rows)
    sums: dict[str, Any] = {name: getattr(tally, name) for name in _SAME}
    sums |= {theirs: getattr(tally, ours) for ours, theirs in _OTHERWISE}
    for name in _REPORTED:
        sums[f"{name}_tokens"] = tally.tokens[f"{name}_tokens"]
        sums[f"{name}_reported"] = tally.reported[f"{name}_tokens"]
    sums |= {f"use_{index + 1}": tally.uses[index] for index in range(len(USE_EDGES) + 1)}
    for level in LEVELS:
        sums[f"told_{round(100 * level)}"] = tally.told[level]
        sums[f"held_{round(100 * level)}"] = tally.told[-level]
    sums |= {mode: tally.modes[mode] for mode in _MODES}
    sums |= {name: sum(getattr(row, name) or 0 for row in members) for name in _MORE}
    for count, name in (("timed", "seconds"), ("scored", "score")):
        known = [getattr(row, name) for row in members if getattr(row, name) is not None]
        sums |= {count: len(known), name: sum(known, 0.0)}
    times = [row.ts for row in members]
    return Day(*key, min(times), max(times), **sums)
