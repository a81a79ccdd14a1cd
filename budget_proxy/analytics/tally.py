"""The figures of a set of calls, and the sums they are made of.

Sums add up, so that each row is counted once, into its finest group; what they mean stands
with Figures. Which rows count together is the report's business.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import inf
from typing import Final

from budget_proxy.analytics.calibration import CALIBRATED, Coverage, coverage, tell
from budget_proxy.types import CallRecord

Group = tuple[str, ...]

USE_EDGES: Final = (0.25, 0.50, 0.60, 0.75, 0.85, 0.95, 1.25, 2.0)
"""Edges of the distribution of use: counted are [0, .25), [.25, .50) ... [2, inf)."""

OVER: Final = 0.50
UNDER: Final = 0.95

_TOKENS: Final = ("input_tokens", "output_tokens", "reasoning_tokens")
_NO_PROVIDER: Final = "task"  # the api of rows that `Engine.record` wrote: nobody was paid


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one group of calls; ``None`` where nothing was measured.

    Counts. ``calls`` counts first attempts, ``attempts`` all, ``failed`` those without an
    answer (error, cancelled); ``modes`` and ``arms`` count calls. Token sums are over the
    attempts that report them. ``estimated`` counts attempts whose usage is an estimate.

    Money. ``cost`` is the sum over all attempts, ``None`` if the price of any is unknown;
    ``priced_cost`` is the sum of the known ones, ``priced_share`` their share, ``unpriced``
    the number of the others. Recorded tasks and attempts without tokens have no price to know.

    Truncation. ``truncated`` counts cut attempts, ``truncated_by_us`` those cut by our cap,
    ``resent`` the calls that were sent again for it.

    Budgets. Use is output tokens / n / recommended, of a call's first answer with an exact
    length. ``measured`` calls have one; ``untold`` are left out because the cap in force lay
    below 95 % of the recommended budget, so that it and not the call decided. ``utilisation``
    is the mean use (a cut answer counts with the tokens seen: a lower bound), ``accuracy``
    the share with .50 <= use <= .95, ``over_allocated`` below, ``under_allocated`` above or
    cut; ``efficiency`` the mean of ``efficiency_of``. ``attainable`` is the accuracy that
    could be expected: the mean confidence of the ``promised`` calls, those among the measured
    that have a calibrated forecast. ``uses`` counts use between USE_EDGES.
    """

    group: Group
    calls: int
    attempts: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cost: float | None
    priced_cost: float
    priced_share: float | None
    unpriced: int
    estimated: int
    estimated_share: float | None
    truncated: int
    truncated_by_us: int
    resent: int
    measured: int
    untold: int
    utilisation: float | None
    accuracy: float | None
    over_allocated: float | None
    under_allocated: float | None
    efficiency: float | None
    promised: int
    attainable: float | None
    uses: tuple[int, ...]
    calibration: tuple[Coverage, ...]
    modes: Mapping[str, int]
    arms: Mapping[str, int]


def efficiency_of(use: float) -> float:
    """The efficiency of one call by its use (mission.md section 3).

    1.0 within .75-.85; .8 within .60-.95; .6 within .50-.60; .5 above .95; .3 below .50.
    """
    if use > UNDER:
        return 0.5
    for low, high, points in ((0.75, 0.85, 1.0), (0.60, 0.95, 0.8), (0.50, 0.60, 0.6)):
        if low <= use <= high:
            return points
    return 0.3


@dataclass(slots=True)
class Tally:
    """Sums that add up: merging the tallies of two sets of rows gives that of both."""

    calls: int = 0
    attempts: int = 0
    failed: int = 0
    priced: int = 0
    unpriced: int = 0
    priced_cost: float = 0.0
    estimated: int = 0
    truncated: int = 0
    truncated_by_us: int = 0
    resent: int = 0
    measured: int = 0
    untold: int = 0
    use: float = 0.0
    over: int = 0
    under: int = 0
    efficiency: float = 0.0
    promised: int = 0
    confidence: float = 0.0
    tokens: Counter[str] = field(default_factory=Counter)
    reported: Counter[str] = field(default_factory=Counter)
    uses: Counter[int] = field(default_factory=Counter)
    told: Counter[float] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    arms: Counter[str] = field(default_factory=Counter)

    def attempt(self, record: CallRecord) -> None:
        """Count what every attempt has."""
        self.attempts += 1
        if record.attempt == 1:
            self.calls += 1
            self.modes[record.mode] += 1
            self.arms[record.arm] += 1
        self.failed += record.finish_reason in {"error", "cancelled"}
        self.estimated += not record.exact
        self.truncated += record.truncated
        self.truncated_by_us += record.cut_by_us
        for name in _TOKENS:
            tokens: int | None = getattr(record, name)
            if tokens is not None:
                self.tokens[name] += tokens
                self.reported[name] += 1
        if record.cost is not None:
            self.priced += 1
            self.priced_cost += record.cost
        elif record.api != _NO_PROVIDER and (record.input_tokens, record.output_tokens) != (0, 0):
            self.unpriced += 1

    def length(self, record: CallRecord) -> None:
        """Count what a known length says of its forecast and its budget."""
        used = (record.output_tokens or 0) / max(record.n, 1)
        limit = used if record.truncated else record.ceiling or inf
        if record.strategy in CALIBRATED:
            tell(record, used, limit, self.told)
        budget = record.recommended
        if not budget:
            return
        if limit / budget < UNDER:
            self.untold += 1
            return
        use = (record.output_tokens or 0) / (max(record.n, 1) * budget)
        self.measured += 1
        self.use += use
        self.uses[bisect_right(USE_EDGES, use)] += 1
        self.over += use < OVER
        self.under += use > UNDER or record.truncated
        self.efficiency += 0.5 if record.truncated else efficiency_of(use)
        if record.strategy in CALIBRATED and record.confidence is not None:
            self.promised += 1
            self.confidence += record.confidence

    def merge(self, other: Tally) -> None:
        """Add another set of rows."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def figures(self, group: Group) -> Figures:
        """What the sums say."""
        sums = {name: self.tokens[name] if self.reported[name] else None for name in _TOKENS}
        costing = self.priced + self.unpriced
        measured = self.measured
        return Figures(
            group=group,
            calls=self.calls,
            attempts=self.attempts,
            failed=self.failed,
            input_tokens=sums["input_tokens"],
            output_tokens=sums["output_tokens"],
            reasoning_tokens=sums["reasoning_tokens"],
            cost=None if self.unpriced or not costing else self.priced_cost,
            priced_cost=self.priced_cost,
            priced_share=_share(self.priced, costing),
            unpriced=self.unpriced,
            estimated=self.estimated,
            estimated_share=_share(self.estimated, self.attempts),
            truncated=self.truncated,
            truncated_by_us=self.truncated_by_us,
            resent=self.resent,
            measured=measured,
            untold=self.untold,
            utilisation=_share(self.use, measured),
            accuracy=_share(measured - self.over - self.under, measured),
            over_allocated=_share(self.over, measured),
            under_allocated=_share(self.under, measured),
            efficiency=_share(self.efficiency, measured),
            promised=self.promised,
            attainable=_share(self.confidence, self.promised),
            uses=tuple(self.uses[index] for index in range(len(USE_EDGES) + 1)),
            calibration=coverage(self.told),
            modes=dict(sorted(self.modes.items())),
            arms=dict(sorted(self.arms.items())),
        )


_SUMS: Final = tuple(item.name for item in fields(Tally))


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
