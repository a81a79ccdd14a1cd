"""A day's calls as sums: what stays of rows that were folded away. Knows no database.

Sums of two sets of rows add up to that of both, so that days grow batch by batch. What the
columns mean: docs/schema.md. What is summed is analytics' business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final

from budget_proxy.types import CallRecord, frozen

_LATEST: Final = 253_402_300_799.0  # the last second that Python can write down

Key = tuple[str, ...]


@frozen
class Day:
    """Sums over the calls of one day (UTC), agent, task type, model, arm and finish reason.

    ``first`` and ``last`` are the times of the first and last call, in Unix seconds.
    """

    day: str
    agent: str
    task_type: str
    model: str
    arm: str
    finish_reason: str
    first: float
    last: float
    calls: int = 0
    attempts: int = 0
    failed: int = 0
    observe: int = 0
    guide: int = 0
    enforce: int = 0
    estimated: int = 0
    truncated: int = 0
    truncated_by_us: int = 0
    resent: int = 0
    priced: int = 0
    unpriced: int = 0
    cost: float = 0.0
    input_tokens: int = 0
    input_reported: int = 0
    output_tokens: int = 0
    output_reported: int = 0
    reasoning_tokens: int = 0
    reasoning_reported: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    guidance_tokens: int = 0
    timed: int = 0
    seconds: float = 0.0
    scored: int = 0
    score: float = 0.0
    measured: int = 0
    untold: int = 0
    utilisation: float = 0.0
    over: int = 0
    under: int = 0
    efficiency: float = 0.0
    promised: int = 0
    confidence: float = 0.0
    use_1: int = 0
    use_2: int = 0
    use_3: int = 0
    use_4: int = 0
    use_5: int = 0
    use_6: int = 0
    use_7: int = 0
    use_8: int = 0
    use_9: int = 0
    told_50: int = 0
    held_50: int = 0
    told_75: int = 0
    held_75: int = 0
    told_90: int = 0
    held_90: int = 0
    told_95: int = 0
    held_95: int = 0
    told_99: int = 0
    held_99: int = 0

    @property
    def key(self) -> Key:
        """What tells it from other days' sums: the values of KEY."""
        return (
            self.day, self.agent, self.task_type, self.model, self.arm, self.finish_reason,
        )  # fmt: skip


Sums = Callable[[Sequence[CallRecord]], Iterable[Day]]
"""Makes days of rows, given in order of their ids."""

COLUMNS: Final = tuple(field.name for field in fields(Day))
KEY: Final = COLUMNS[:6]
SUMMED: Final = COLUMNS[8:]
_values: Final[Callable[[Day], tuple[Any, ...]]] = attrgetter(*COLUMNS)


def day_of(ts: float) -> str:
    """The day (UTC) of a time, as 2026-11-27."""
    return f"{datetime.fromtimestamp(min(max(ts, 0.0), _LATEST), tz=UTC):%Y-%m-%d}"


def write_day(day: Day) -> tuple[Any, ...]:
    """Give the values of COLUMNS."""
    return _values(day)


def added(one: Day, other: Day) -> Day:
    """The sums of both, which have one key."""
    sums = {name: getattr(one, name) + getattr(other, name) for name in SUMMED}
    return replace(one, first=min(one.first, other.first), last=max(one.last, other.last), **sums)


def tells(where: Mapping[str, Any]) -> bool:
    """Whether days can be told apart by these columns; for others they say nothing."""
    return set(where) <= set(KEY)
