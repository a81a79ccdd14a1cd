"""What one call tells a watch: how far its answer and cost lay from what was expected of them.

Arithmetic on one row; what is usual for the calls like it is the subject's to know.
"""

from __future__ import annotations

from math import erfc, exp, log, pi, sqrt
from typing import Final, NamedTuple

from budget_proxy.store.alerts import Seen
from budget_proxy.store.measures import CALIBRATED
from budget_proxy.store.scoring import (
    OVER,
    UNDER,
    UNDER_EFFICIENCY,
    efficiency_of,
    expected_efficiency,
)
from budget_proxy.types import NO_ANSWER, NO_PROVIDER

PLAIN: Final = 0.5
"""What counts as attainable where a forecast promises nothing: the origin's own accuracy."""

FITTING: Final = 0.85
MISSING: Final = 0.40
"""The efficiency of a budget that fits, and of one that does not, if forecasts tell no more."""

_Q90: Final = 1.2815515655446004  # the standard normal's
_NARROWEST: Final = 0.15
_ROOT: Final = sqrt(2.0)
_PEAK: Final = 1.0 / sqrt(2.0 * pi)
_FARTHEST: Final = 5.0


class Use(NamedTuple):
    """How a budget was used: ``share`` of it.

    ``promised`` is the accuracy, ``expected`` the efficiency that the forecast let one expect.
    """

    share: float
    fits: bool
    over: bool
    under: bool
    efficiency: float
    promised: float
    expected: float


class Signs(NamedTuple):
    """What one attempt tells; ``None`` where it cannot.

    ``length`` is ln(used / q50) in units of the forecast's own spread: a standard normal, were
    forecasts perfect; of a cut answer what is expected above its cap. ``tokens`` is ln(used);
    ``above_50``, ``above_90``, ``above_95`` say whether the quantile was exceeded. ``cut`` is
    told by every answer, ``estimated`` by every attempt that may have used tokens.

    What is usual says more: ``level`` is how far ``tokens`` lies from its group's mean, in
    standard deviations, ``price`` is ln(cost / what was to be expected).
    """

    row: int
    ts: float
    length: float | None
    tokens: float
    above_50: bool | None
    above_90: bool | None
    above_95: bool | None
    use: Use | None
    cut: bool | None
    ours: bool
    estimated: bool | None
    cost: float | None
    level: float | None = None
    price: float | None = None


def signs(row: Seen, *, first: bool) -> Signs:
    """Read a row. ``first`` says whether it holds its call's first answer: others are resends."""
    answered = row.finish_reason not in NO_ANSWER
    length = None
    tokens = 0.0
    above: tuple[bool | None, bool | None, bool | None] = (None, None, None)
    use = None
    if first and answered and row.exact and row.output_tokens:
        used = row.output_tokens / max(row.n, 1)
        limit = used if row.truncated else row.ceiling or _NO_LIMIT
        if row.q50 is not None and row.q90 is not None and row.strategy in CALIBRATED:
            length = _length(row, used)
            tokens = log(max(used, 1.0))
            above = _above(row, used, limit)
        if row.recommended and limit >= UNDER * row.recommended:
            use = _use(row, used / row.recommended)
    return Signs(
        row.id,
        row.ts,
        length,
        tokens,
        *above,
        use,
        row.truncated if answered and first else None,
        row.cut_by_us,
        not row.exact if row.finish_reason != "error" else None,
        row.cost if answered else None,
    )


def is_unpriced(row: Seen) -> bool:
    """Whether an attempt has a price that nobody knows."""
    used = (row.input_tokens, row.output_tokens)
    return row.cost is None and row.api != NO_PROVIDER and used != (0, 0)


_NO_LIMIT: Final = float("inf")


def _length(row: Seen, used: float) -> float:
    middle = max(row.q50 or 1.0, 1.0)
    spread = max(log(max(row.q90 or 1.0, middle) / middle) / _Q90, _NARROWEST)
    length = min(log(max(used, 1.0) / middle) / spread, _FARTHEST)
    return _beyond(length) if row.truncated else length


def _beyond(bound: float) -> float:
    """The mean of a standard normal above ``bound``."""
    bound = max(bound, -_FARTHEST)
    return 2.0 * _PEAK * exp(-0.5 * bound * bound) / erfc(bound / _ROOT)


def _above(row: Seen, used: float, limit: float) -> tuple[bool | None, bool | None, bool | None]:
    """As ``calibration.tell``: a call whose cap lay below a quantile cannot tell of it."""
    cut = row.truncated
    first, second, third = (
        None if value is None or limit < value else used > value or cut
        for value in (row.q50, row.q90, row.q95)
    )
    return first, second, third


def _use(row: Seen, share: float) -> Use:
    promised, expected = PLAIN, None
    if row.strategy in CALIBRATED and row.confidence is not None:
        promised, expected = row.confidence, expected_efficiency(row)
    if expected is None:
        expected = MISSING + (FITTING - MISSING) * promised
    under = share > UNDER or row.truncated
    over = share < OVER and not under
    efficiency = UNDER_EFFICIENCY if row.truncated else efficiency_of(share)
    return Use(share, not (over or under), over, under, efficiency, promised, expected)
