"""The figures of a set of calls, from its sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from budget_proxy.analytics.calibration import (
    Coverage,
    Reliability,
    coverage,
    reliability,
)
from budget_proxy.store.measures import MODES, USE_EDGES
from budget_proxy.store.sums import SUMMED, Sums
from budget_proxy.types import LEVELS

Group = tuple[str, ...]

_TOKENS: Final = ("input", "output", "reasoning", "cache_read", "cache_write")
_SAME: Final = (
    "calls", "attempts", "failed", "priced", "unpriced", "estimated", "truncated",
    "truncated_by_us", "cut_tokens", "cut_cost", "resent", "measured", "untold", "promised",
    "expected", "guided", "guidance_tokens",
)  # fmt: skip
"""Counts that sums and figures call alike."""

_same: Final[Callable[[Sums], tuple[Any, ...]]] = attrgetter(*_SAME)


_USES: Final = tuple(f"use_{index + 1}" for index in range(len(USE_EDGES) + 1))
_TENTHS: Final = range(1, 11)
_promised: Final[Callable[[Sums], tuple[int, ...]]] = attrgetter(
    *(f"promised_{n}" for n in _TENTHS)
)
_SPREAD: Final = frozenset(
    {
        *_USES,
        *(f"{name}_{100 * level:.0f}" for name in ("told", "held") for level in LEVELS),
        *(f"{name}_{tenth}" for name in ("confidence", "accurate") for tenth in _TENTHS),
    }
)
PLAIN: Final = tuple(name for name in SUMMED if name not in _SPREAD)
"""The sums that figures without their spread are made of."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one group of calls; ``None`` where nothing was measured.

    Counts. ``calls`` counts first attempts, ``attempts`` all, ``failed`` those without an
    answer (error, cancelled); ``modes`` and ``arms`` count calls. Token sums are over the
    attempts that report them; ``cache_share`` is the part of the input that was read from the
    provider's cache. ``guided`` attempts carried a note of in all ``guidance_tokens``.

    Money. ``cost`` is the sum over all attempts, ``None`` if the price of any is unknown;
    ``priced_cost`` is the sum of the known ones, ``priced_share`` their share, ``unpriced``
    the number of the others. Recorded tasks and attempts without tokens have no price to know.

    Truncation. ``truncated`` counts cut attempts, ``truncated_by_us`` those cut by our cap,
    ``resent`` the calls that were sent again for it. The cut attempts put out ``cut_tokens`` for
    ``cut_cost`` (of those with a known price).

    Budgets. Use is output tokens / n / recommended, of a call's first answer with an exact
    length. ``measured`` calls have one; ``untold`` are left out because the cap in force lay
    below 95 % of the recommended budget, so that it and not the call decided. ``utilisation``
    is the mean use (a cut answer counts with the tokens seen: a lower bound), ``accuracy``
    the share with .50 <= use <= .95, ``over_allocated`` below, ``under_allocated`` above or
    cut; ``efficiency`` the mean of ``efficiency_of``. ``attainable`` is the accuracy that
    could be expected: the mean confidence of the ``promised`` calls, those among the measured
    that have a calibrated forecast. ``attainable_efficiency`` is the mean efficiency that the
    forecasts of the ``expected`` calls let one expect: all that are promised, but for those whose
    sums an earlier version made. ``uses`` counts use between USE_EDGES. ``budget`` is the mean
    recommended budget of the measured calls, in tokens an answer, ``used`` what they used of all
    their budgets together, ``reserve`` the mean reserve of an attempt.

    ``seconds`` is the mean time an attempt took, ``score`` the mean quality given by feedback.
    """

    group: Group
    calls: int
    attempts: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cache_share: float | None
    guided: int
    guidance_tokens: int
    cost: float | None
    priced_cost: float
    priced_share: float | None
    priced: int
    unpriced: int
    estimated: int
    estimated_share: float | None
    truncated: int
    truncated_by_us: int
    cut_tokens: int
    cut_cost: float
    resent: int
    measured: int
    untold: int
    utilisation: float | None
    used: float | None
    budget: float | None
    reserve: float | None
    accuracy: float | None
    over_allocated: float | None
    under_allocated: float | None
    efficiency: float | None
    promised: int
    attainable: float | None
    attainable_over: float | None
    attainable_under: float | None
    expected: int
    attainable_efficiency: float | None
    uses: tuple[int, ...]
    calibration: tuple[Coverage, ...]
    reliability: tuple[Reliability, ...]
    modes: Mapping[str, int]
    arms: Mapping[str, int]
    seconds: float | None
    score: float | None


def figures_of(sums: Sums, group: Group = (), *, spread: bool = True) -> Figures:
    """What sums say, under the name of a group; with ``spread`` how uses and promises spread.

    Without it ``uses``, ``calibration`` and ``reliability`` are empty, and PLAIN sums will do.
    """
    return Figures(
        group=group,
        **dict(zip(_SAME, _same(sums), strict=True)),
        **_tokens(sums),
        **_money(sums),
        **_budgets(sums),
        estimated_share=_share(sums.estimated, sums.attempts),
        reserve=_share(sums.reserve, sums.reserved),
        uses=tuple(getattr(sums, name) for name in _USES) if spread else (),
        calibration=coverage(sums) if spread else (),
        reliability=reliability(sums) if spread else (),
        modes=_known({mode: getattr(sums, mode) for mode in sorted(MODES)}),
        arms=_known({"holdout": sums.holdout, "treatment": sums.calls - sums.holdout}),
        seconds=_share(sums.seconds, sums.timed),
        score=_share(sums.score, sums.scored),
    )


def _tokens(sums: Sums) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{name}_tokens": getattr(sums, f"{name}_tokens")
        if getattr(sums, f"{name}_reported")
        else None
        for name in _TOKENS
    }
    told = sums.cache_read_reported and sums.input_tokens
    return found | {"cache_share": _share(sums.cache_read_tokens, told and sums.input_tokens)}


def _money(sums: Sums) -> dict[str, Any]:
    costing = sums.priced + sums.unpriced
    return {
        "cost": None if sums.unpriced or not costing else sums.cost,
        "priced_cost": sums.cost,
        "priced_share": _share(sums.priced, costing),
    }


def _budgets(sums: Sums) -> dict[str, Any]:
    measured = sums.measured
    return {
        "utilisation": _share(sums.utilisation, measured),
        "used": _share(sums.used, sums.recommended),
        "budget": _share(sums.recommended, measured),
        "accuracy": _share(measured - sums.over - sums.under, measured),
        "over_allocated": _share(sums.over, measured),
        "under_allocated": _share(sums.under, measured),
        "efficiency": _share(sums.efficiency, measured),
        "attainable_efficiency": _share(sums.expected_efficiency, sums.expected),
        **_attainable(sums),
    }


def _attainable(sums: Sums) -> dict[str, float | None]:
    """Rates as forecasts expected them: what is neither accurate nor under is over."""
    accurate = _share(sums.confidence, sums.promised)
    told = sum(_promised(sums))
    under = _share(sums.risk, told)  # not of rows that an earlier version folded
    over = None
    if accurate is not None and under is not None:
        under = min(under, 1.0 - accurate)
        over = 1.0 - accurate - under
    return {"attainable": accurate, "attainable_over": over, "attainable_under": under}


def _known(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _share(part: float, whole: int) -> float | None:
    return part / whole if whole else None
