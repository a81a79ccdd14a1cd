"""What changed from one span of time to another, and which changes are more than noise.

Shares (accuracy, truncations ...) are compared by Newcombe's interval of a difference, which is
made of two of Wilson's (Newcombe 1998, method 10). Efficiency, and totals a day (calls, tokens,
cost), by Welch's: of the calls, and of the equal parts that a span is cut into.

Intervals are at 95 %: of twenty measures that have not changed, about one is marked by chance.
Groups are compared at a level divided by their number (Bonferroni), since of many some would be.
All of them take calls for independent; where sessions repeat themselves they are too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, hypot, sqrt
from statistics import NormalDist
from typing import Final, NamedTuple

from budget_proxy.analytics.calibration import wilson
from budget_proxy.analytics.efficiency import COLUMNS, By
from budget_proxy.analytics.figures import Group
from budget_proxy.analytics.slope import student
from budget_proxy.store.measures import USE_EDGES
from budget_proxy.store.scoring import efficiency_of
from budget_proxy.store.sums import DAY, KEYS, Sums, merged, total
from budget_proxy.types import frozen

ENOUGH: Final = 50
"""Calls on either side from which on a group is compared."""

EXPECTED: Final = 5.0
"""Calls that a group has to lack to be new or gone: by chance that happens once in 150 times."""

_ERROR: Final = 0.05
_PARTS: Final = 10
_FEWEST_PARTS: Final = 3


@frozen
class Span:
    """A span of time [start, end) in Unix seconds."""

    start: float
    end: float

    @property
    def days(self) -> float:
        """How long it is."""
        return (self.end - self.start) / DAY

    def parts(self) -> list[Span]:
        """Equal parts of whole days (UTC) within it, ten at most; none where there are under three.

        Days at its ends that are not whole belong to none.
        """
        first, last = ceil(self.start / DAY), floor(self.end / DAY)
        each = ceil((last - first) / _PARTS)
        if last - first < _FEWEST_PARTS:
            return []
        edges = range(last - (last - first) // each * each, last + 1, each)
        return [Span(low * DAY, high * DAY) for low, high in pairwise(edges)]


@dataclass(frozen=True, slots=True)
class Change:
    """How one measure changed: ``difference`` = ``after`` - ``before``, within [low, high].

    ``beyond_noise``: the interval is on one side of 0; ``None`` where it cannot be told (there
    is no interval then). ``measure`` ends in "_a_day" for totals, which are told by day.
    """

    measure: str
    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    beyond_noise: bool | None


@dataclass(frozen=True, slots=True)
class GroupChange:
    """A change beyond noise within one group."""

    group: Group
    change: Change


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two spans side by side: all calls, groups that changed, groups that are new or gone.

    ``moved`` has shares alone, of groups with at least 50 measured calls on either side, the
    surest first. ``new`` and ``gone`` are groups without a call on one side, where five would be
    expected by the other.
    """

    before: Span
    after: Span
    changes: tuple[Change, ...]
    moved: tuple[GroupChange, ...]
    new: tuple[Group, ...]
    gone: tuple[Group, ...]


class Spread(NamedTuple):
    """The variance of ``n`` values."""

    variance: float
    n: int


Part = tuple[Sums, float]
"""Sums over a part of a span, and how many days that has."""


class _Share(NamedTuple):
    hits: Callable[[Sums], int]
    of: Callable[[Sums], int]


_SHARES: Final = {
    "accuracy": _Share(lambda s: s.measured - s.over - s.under, lambda s: s.measured),
    "over_allocated": _Share(lambda s: s.over, lambda s: s.measured),
    "under_allocated": _Share(lambda s: s.under, lambda s: s.measured),
    "truncated": _Share(lambda s: s.truncated, lambda s: s.attempts),
    "failed": _Share(lambda s: s.failed, lambda s: s.attempts),
    "within_q90": _Share(lambda s: s.held_90, lambda s: s.told_90),
}
_TOTALS: Final[dict[str, Callable[[Sums], float]]] = {
    "calls_a_day": lambda s: s.calls,
    "output_tokens_a_day": lambda s: s.output_tokens,
    "cost_a_day": lambda s: s.cost,
}
_POINTS: Final = tuple(
    efficiency_of((low + high) / 2) for low, high in pairwise((0.0, *USE_EDGES, 2 * USE_EDGES[-1]))
)
"""The efficiency of uses between USE_EDGES: one each, but for the edges themselves."""


Read = Callable[..., Sequence[Sums]]
"""``Store.sums`` of some calls."""


def compare(
    sums: Read,
    before: Span,
    after: Span,
    by: By,
    read: tuple[Sequence[Sums], Sequence[Sums]] | None = None,
) -> Comparison:
    """Compare two spans by what ``sums`` gives; ``read``: their sums, if known.

    Raises what ``sums`` does.
    """
    spans = (before, after)
    found = read or [sums(start=span.start, end=span.end, by=COLUMNS[by]) for span in spans]
    sides = [merged(side, COLUMNS[by]) for side in found]
    parts = [[(_counted(sums, part), part.days) for part in span.parts()] for span in spans]
    old, new = map(total, sides)
    changes = (*_totals(spans, (old, new), parts), *shares(old, new), _efficiency(old, new))
    earlier, later = (_by_group(side, COLUMNS[by]) for side in sides)
    return Comparison(
        before,
        after,
        changes,
        moved=_moved(earlier, later),
        new=_alone(later, earlier, after, before),
        gone=_alone(earlier, later, before, after),
    )


def _counted(sums: Read, part: Span) -> Sums:
    only = ("calls", "output_tokens", "cost")
    return total(sums(start=part.start, end=part.end, by=(), only=only))


def shares(before: Sums, after: Sums, error: float = _ERROR) -> Iterator[Change]:
    """How each share changed, with an interval that misses in ``error`` of such comparisons."""
    z = NormalDist().inv_cdf(1 - error / 2)
    for name, share in _SHARES.items():
        counts = [(share.hits(side), share.of(side)) for side in (before, after)]
        values = [hits / n if n else None for hits, n in counts]
        limits = None
        if values[0] is not None and values[1] is not None:
            limits = newcombe(counts[0], counts[1], z)
        yield _change(name, values[0], values[1], limits)


def newcombe(before: tuple[int, int], after: tuple[int, int], z: float) -> tuple[float, float]:
    """The interval of the difference of two shares (hits, n), ``after`` - ``before``."""
    p, q = before[0] / before[1], after[0] / after[1]
    (p_low, p_high), (q_low, q_high) = wilson(*before, z), wilson(*after, z)
    return q - p - hypot(q - q_low, p_high - p), q - p + hypot(q_high - q, p - p_low)


def welch(before: Spread, after: Spread) -> float | None:
    """Half of the 95 % interval of the difference of two means, by Welch (1947).

    ``None`` where either has fewer than two values, or neither of them varies.
    """
    if min(before.n, after.n) < 2:  # noqa: PLR2004 (one value has no variance)
        return None
    a, b = before.variance / before.n, after.variance / after.n
    whole = a + b
    if whole <= 0.0:
        return None
    a, b = a / whole, b / whole  # else the squares of tiny ones would be 0
    freedom = 1.0 / (a * a / (before.n - 1) + b * b / (after.n - 1))
    return student(max(int(freedom), 1)) * sqrt(whole)


def _totals(
    spans: Sequence[Span], wholes: Sequence[Sums], parts: Sequence[Sequence[Part]]
) -> Iterator[Change]:
    for name, count in _TOTALS.items():
        if name == "cost_a_day" and any(whole.unpriced for whole in wholes):
            yield _change(name, None, None, None)
            continue
        before, after = (
            count(whole) / span.days for whole, span in zip(wholes, spans, strict=True)
        )
        old, new = (_spread([(count(sums) / days, 1) for sums, days in side]) for side in parts)
        yield _around(name, before, after, welch(old, new))


def _efficiency(before: Sums, after: Sums) -> Change:
    if not before.measured or not after.measured:
        return _change("efficiency", None, None, None)
    old, new = (_spread(_efficiencies(side)) for side in (before, after))
    means = before.efficiency / before.measured, after.efficiency / after.measured
    return _around("efficiency", *means, welch(old, new))


def _efficiencies(side: Sums) -> list[tuple[float, int]]:
    return [(point, getattr(side, f"use_{index}")) for index, point in enumerate(_POINTS, 1)]


def _spread(values: Sequence[tuple[float, int]]) -> Spread:
    """Of values that are there so many times."""
    n = sum(times for _, times in values)
    if n < 2:  # noqa: PLR2004 (one value has no variance)
        return Spread(0.0, n)
    mean = sum(value * times for value, times in values) / n
    return Spread(sum(times * (value - mean) ** 2 for value, times in values) / (n - 1), n)


def _around(name: str, before: float, after: float, half: float | None) -> Change:
    middle = after - before
    return _change(name, before, after, None if half is None else (middle - half, middle + half))


def _change(
    name: str, before: float | None, after: float | None, limits: tuple[float, float] | None
) -> Change:
    difference = None if before is None or after is None else after - before
    low, high = limits or (None, None)
    beyond = None if low is None or high is None else not low <= 0.0 <= high
    return Change(name, before, after, difference, low, high, beyond)


def _by_group(side: Sequence[Sums], columns: Sequence[str]) -> dict[Group, Sums]:
    places = [KEYS.index(name) for name in columns]
    return {tuple(one.group[place] for place in places): one for one in side}


def _moved(before: Mapping[Group, Sums], after: Mapping[Group, Sums]) -> tuple[GroupChange, ...]:
    known = [
        group
        for group, one in after.items()
        if group in before and min(one.measured, before[group].measured) >= ENOUGH
    ]
    error = _ERROR / max(len(known) * len(_SHARES), 1)
    moved = [
        GroupChange(group, change)
        for group in known
        for change in shares(before[group], after[group], error)
        if change.beyond_noise
    ]
    return tuple(sorted(moved, key=lambda one: -_sureness(one.change)))


def _alone(
    groups: Mapping[Group, Sums], others: Mapping[Group, Sums], here: Span, there: Span
) -> tuple[Group, ...]:
    """The groups that are on one side alone, although they might be expected on the other."""
    return tuple(
        group
        for group, one in groups.items()
        if group not in others and one.calls / here.days * there.days >= EXPECTED
    )


def _sureness(change: Change) -> float:
    """How far 0 lies from a difference, in widths of its interval."""
    if change.difference is None or change.low is None or change.high is None:
        return 0.0
    return abs(change.difference) / (change.high - change.low or 1.0)
