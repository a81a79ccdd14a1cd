"""Sums over rows: what reports tell of a history without reading its rows again.

Sums of two sets of rows add up to that of both. A store keeps them by quarter of an
hour, hour and day (UTC), agent, task type, model and arm: quarters, since that is what time zones
differ by. Knows no database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import fields, replace
from math import ceil, floor, inf
from operator import attrgetter
from typing import Any, Final

from budget_proxy.types import frozen

QUARTER: Final = 900
HOUR: Final = 3_600
DAY: Final = 86_400

SPANS: Final = (QUARTER, HOUR, DAY)
"""Seconds that kept sums are about."""

FINE: Final = 62 * DAY
"""Seconds for which quarters and hours are kept of calls whose rows are gone; days are for ever."""

LATEST: Final = 253_402_300_799
"""The last second that Python can write down: a clock that is further ahead counts as it."""

OTHER: Final = "(other)"
"""The name of all groups that are not told apart."""

_Group = tuple[str, str, str, str]


@frozen
class Sums:
    """Sums over a set of rows; ``first`` and ``last`` are the times of its first and last one.

    The first four fields name what the rows have in common, "" where they were not told apart
    by it. Counted are attempts, but for ``calls`` (first attempts, also by mode and in the
    ``holdout``) and what is measured:

    ``attempts`` of which ``failed`` brought no answer, ``estimated`` have no exact usage,
    ``truncated`` were cut (``truncated_by_us``: by our cap), ``resent`` repeat one that our cap
    cut, ``guided`` carried a note, ``folded`` have no row any more. ``priced`` have a known
    price, their sum is ``cost``; ``unpriced`` an unknown one. ``x_reported`` attempts say how
    many tokens of that kind they used, in all ``x_tokens``. ``timed`` took ``seconds``,
    ``scored`` were given ``score``. ``reserved`` had a ``reserve``; ``limited`` a ``ceiling``
    (the cap in force times choices).

    ``measured`` are the calls whose use of their budget is known: output tokens / choices /
    recommended. ``utilisation`` is the sum of their uses, ``used`` of their output tokens,
    ``recommended`` of their budgets times choices, ``efficiency`` of ``efficiency_of``;
    ``over`` and ``under`` count those allocated too much and too little, ``use_1`` to
    ``use_9`` those between USE_EDGES. ``untold`` had a cap below 95 % of their budget, so that
    it and not the call decided. ``promised`` of the measured have a calibrated forecast with
    ``confidence``. Of ``told_95`` calls is known whether the q95 held, for ``held_95`` it did.

    ``cut_tokens`` is the output of the truncated attempts, ``cut_cost`` what is known of their
    price. Of the promised calls ``risk`` is the sum of P(use > .95) as it was forecast;
    ``promised_4`` have a ``confidence_4`` in the fourth tenth, and ``accurate_4`` were neither
    over nor under. ``expected`` of them know what efficiency their forecast lets one expect, in
    all ``expected_efficiency``.
    """

    agent: str = ""
    task_type: str = ""
    model: str = ""
    arm: str = ""
    first: float = inf
    last: float = -inf
    calls: int = 0
    attempts: int = 0
    failed: int = 0
    folded: int = 0
    observe: int = 0
    guide: int = 0
    enforce: int = 0
    holdout: int = 0
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
    cache_read_reported: int = 0
    cache_write_tokens: int = 0
    cache_write_reported: int = 0
    guided: int = 0
    guidance_tokens: int = 0
    timed: int = 0
    seconds: float = 0.0
    scored: int = 0
    score: float = 0.0
    reserved: int = 0
    reserve: int = 0
    limited: int = 0
    ceiling: int = 0
    measured: int = 0
    untold: int = 0
    utilisation: float = 0.0
    used: int = 0
    recommended: int = 0
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
    cut_tokens: int = 0
    cut_cost: float = 0.0
    risk: float = 0.0
    promised_1: int = 0
    promised_2: int = 0
    promised_3: int = 0
    promised_4: int = 0
    promised_5: int = 0
    promised_6: int = 0
    promised_7: int = 0
    promised_8: int = 0
    promised_9: int = 0
    promised_10: int = 0
    confidence_1: float = 0.0
    confidence_2: float = 0.0
    confidence_3: float = 0.0
    confidence_4: float = 0.0
    confidence_5: float = 0.0
    confidence_6: float = 0.0
    confidence_7: float = 0.0
    confidence_8: float = 0.0
    confidence_9: float = 0.0
    confidence_10: float = 0.0
    accurate_1: int = 0
    accurate_2: int = 0
    accurate_3: int = 0
    accurate_4: int = 0
    accurate_5: int = 0
    accurate_6: int = 0
    accurate_7: int = 0
    accurate_8: int = 0
    accurate_9: int = 0
    accurate_10: int = 0
    expected: int = 0
    expected_efficiency: float = 0.0

    @property
    def group(self) -> _Group:
        """What the rows have in common: the values of KEYS."""
        return (self.agent, self.task_type, self.model, self.arm)


COLUMNS: Final = tuple(field.name for field in fields(Sums))
KEYS: Final = COLUMNS[:4]
SUMMED: Final = COLUMNS[6:]

_group: Final[Callable[[Sums], _Group]] = attrgetter(*KEYS)
values: Final[Callable[[Sums], tuple[Any, ...]]] = attrgetter(*COLUMNS)
"""The values of COLUMNS."""


def added(parts: Iterable[Sums]) -> list[Sums]:
    """Parts that have the same in common as one, most calls first."""
    return merged(parts, KEYS)


def merged(parts: Iterable[Sums], by: Sequence[str]) -> list[Sums]:
    """Parts told apart by no more than ``by`` (some of KEYS), most calls first."""
    groups: defaultdict[_Group, list[Sums]] = defaultdict(list)
    by_agent, by_task_type, by_model, by_arm = (name in by for name in KEYS)
    for part in parts:
        agent, task_type, model, arm = _group(part)
        group = (
            agent if by_agent else "", task_type if by_task_type else "",
            model if by_model else "", arm if by_arm else "",
        )  # fmt: skip
        groups[group].append(part)
    wholes = [_whole(group, members) for group, members in groups.items()]
    return sorted(wholes, key=lambda sums: (-sums.calls, _group(sums)))


def told_apart(
    parts: list[Sums], by: Sequence[str], apart: Collection[Sequence[str]] | None
) -> list[Sums]:
    """Parts of which some groups alone are told ``apart`` (all, if it is ``None``)."""
    if apart is None:
        return parts
    rest: dict[str, Any] = dict.fromkeys(by, OTHER)
    kept = set(map(tuple, apart))
    return merged(
        (
            part if tuple(getattr(part, name) for name in by) in kept else replace(part, **rest)
            for part in parts
        ),
        by,
    )


def total(parts: Iterable[Sums]) -> Sums:
    """All parts as one; of none it is empty."""
    found = merged(parts, ())
    return found[0] if found else Sums()


def _whole(group: _Group, members: Sequence[Sums]) -> Sums:
    if len(members) == 1 and _group(members[0]) == group:
        return members[0]
    first, last, *sums = list(zip(*map(values, members), strict=True))[len(KEYS) :]
    return Sums(*group, min(first), max(last), *map(sum, sums))


def bucket_of(ts: float, span: int) -> int:
    """The start of the ``span`` (one of SPANS) in which a time lies, in Unix seconds."""
    return int(min(max(ts, 0.0), LATEST)) // span * span


@frozen
class Pieces:
    """What a span of time is made of: ``kept`` sums (span, from, until), ``edges`` of rows."""

    kept: tuple[tuple[int, float, float], ...]
    edges: tuple[tuple[float, float], ...]


def pieces_of(start: float, end: float, fine: float) -> Pieces:
    """The fewest sums that make up [start, end), and the rows before and after them.

    Of times before ``fine`` (the start of a day) there are days alone: they count where their
    start lies in the span.
    """
    kept: list[tuple[int, float, float]] = []
    if fine > 0 and start < fine:
        kept.append((DAY, _up(start, DAY), min(end, fine)))
        start = fine
    if start >= end:
        return Pieces(tuple(kept), ())
    first, last = _up(start, QUARTER), _down(end, QUARTER)
    if first > last:  # within one quarter
        return Pieces(tuple(kept), ((start, end),))
    kept.extend(_longest(first, last, SPANS))
    edges = ((start, first), (last, end))
    return Pieces(tuple(kept), tuple(edge for edge in edges if edge[0] < edge[1]))


def _longest(first: float, last: float, spans: Sequence[int]) -> Iterator[tuple[int, float, float]]:
    """The longest of some spans that lie within a time, and shorter ones before and after them."""
    if not spans or first >= last:
        return
    *shorter, span = spans
    low, high = _up(first, span), _down(last, span)
    if low >= high:
        yield from _longest(first, last, shorter)
        return
    yield from _longest(first, low, shorter)
    yield span, low, high
    yield from _longest(high, last, shorter)


def _up(ts: float, span: int) -> float:
    return ceil(ts / span) * span if -inf < ts < inf else ts


def _down(ts: float, span: int) -> float:
    return floor(ts / span) * span if -inf < ts < inf else ts
