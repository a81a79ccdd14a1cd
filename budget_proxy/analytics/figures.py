"""The figures of a set of calls, from its sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from operator import add, attrgetter, sub
from typing import Any, Final

from budget_proxy.analytics.calibration import (
    Coverage,
    Reliability,
    coverage,
    reliability,
)
from budget_proxy.store.measures import MODES, USE_EDGES
from budget_proxy.store.sums import SUMMED, Sums
from budget_proxy.types import LEVELS, frozen

Group = tuple[str, ...]

_TOKENS: Final = ("input", "output", "reasoning", "cache_read", "cache_write")
_SAME: Final = (
    "calls", "attempts", "failed", "priced", "unpriced", "estimated", "truncated",
    "truncated_by_us", "cut_tokens", "cut_cost", "resent", "measured", "untold", "promised",
    "expected", "guided", "guidance_tokens",
)  # fmt: skip
"""Counts that sums and figures call alike."""

_USES: Final = tuple(f"use_{index + 1}" for index in range(len(USE_EDGES) + 1))
_TENTHS: Final = range(1, 11)
_PROMISED: Final = tuple(f"promised_{tenth}" for tenth in _TENTHS)
_SPREAD: Final = frozenset(
    {
        *_USES,
        *(f"{name}_{100 * level:.0f}" for name in ("told", "held") for level in LEVELS),
        *(f"{name}_{tenth}" for name in ("confidence", "accurate") for tenth in _TENTHS),
    }
)
_UNTOLD: Final = frozenset({"folded", "limited", "ceiling"})
PLAIN: Final = tuple(name for name in SUMMED if name not in _SPREAD | _UNTOLD)
"""The sums that figures without their spread are made of."""

_read: Final[Callable[[Sums], tuple[Any, ...]]] = attrgetter(*PLAIN)
_Columns = dict[str, tuple[Any, ...]]
"""Some sums by their names: of each the values of one set of calls after the other."""


@frozen
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
    return figures_of_each((sums,), group, spread=spread)[0]


def figures_of_each(
    parts: Sequence[Sums], group: Group = (), *, spread: bool = True
) -> list[Figures]:
    """The same of many sums of one group: column by column, since there may be thousands."""
    column: _Columns = dict(zip(PLAIN, zip(*map(_read, parts), strict=True), strict=True))
    columns = {
        "group": [group] * len(parts),
        **{name: column[name] for name in _SAME},
        **_tokens(column),
        **_money(column),
        **_budgets(column),
        **_spread(parts if spread else (), len(parts)),
        "estimated_share": _shares(column["estimated"], column["attempts"]),
        "reserve": _shares(column["reserve"], column["reserved"]),
        "modes": _known(column, *sorted(MODES)),
        "arms": _known(
            {
                "holdout": column["holdout"],
                "treatment": list(map(sub, column["calls"], column["holdout"])),
            },
            "holdout", "treatment",
        ),
        "seconds": _shares(column["seconds"], column["timed"]),
        "score": _shares(column["score"], column["scored"]),
    }  # fmt: skip
    return list(map(Figures, *(columns[name] for name in _FIELDS)))


def _spread(parts: Sequence[Sums], count: int) -> dict[str, Sequence[Any]]:
    if not parts:
        return dict.fromkeys(("uses", "calibration", "reliability"), [()] * count)
    return {
        "uses": [tuple(getattr(sums, name) for name in _USES) for sums in parts],
        "calibration": [coverage(sums) for sums in parts],
        "reliability": [reliability(sums) for sums in parts],
    }


def _tokens(column: _Columns) -> dict[str, Sequence[Any]]:
    found: dict[str, Sequence[Any]] = {
        f"{name}_tokens": [
            tokens if reported else None
            for tokens, reported in zip(
                column[f"{name}_tokens"], column[f"{name}_reported"], strict=True
            )
        ]
        for name in _TOKENS
    }
    told = [
        reported and tokens
        for reported, tokens in zip(
            column["cache_read_reported"], column["input_tokens"], strict=True
        )
    ]
    return found | {"cache_share": _shares(column["cache_read_tokens"], told)}


def _money(column: _Columns) -> dict[str, Sequence[Any]]:
    cost, unpriced = column["cost"], column["unpriced"]
    costing = list(map(add, column["priced"], unpriced))
    return {
        "cost": [
            None if lacking or not count else amount
            for amount, lacking, count in zip(cost, unpriced, costing, strict=True)
        ],
        "priced_cost": cost,
        "priced_share": _shares(column["priced"], costing),
    }


def _budgets(column: _Columns) -> dict[str, Sequence[Any]]:
    measured, over, under = column["measured"], column["over"], column["under"]
    return {
        "utilisation": _shares(column["utilisation"], measured),
        "used": _shares(column["used"], column["recommended"]),
        "budget": _shares(column["recommended"], measured),
        "accuracy": _shares(map(sub, map(sub, measured, over), under), measured),
        "over_allocated": _shares(over, measured),
        "under_allocated": _shares(under, measured),
        "efficiency": _shares(column["efficiency"], measured),
        "attainable_efficiency": _shares(column["expected_efficiency"], column["expected"]),
        **_attainable(column),
    }


def _attainable(column: _Columns) -> dict[str, Sequence[Any]]:
    """Rates as forecasts expected them: what is neither accurate nor under is over."""
    accurate = _shares(column["confidence"], column["promised"])
    told = map(sum, zip(*(column[name] for name in _PROMISED), strict=True))
    risk = _shares(column["risk"], told)  # not of rows that an earlier version folded
    under = [
        least if least is None or share is None else min(least, 1.0 - share)
        for share, least in zip(accurate, risk, strict=True)
    ]
    over = [
        None if share is None or least is None else 1.0 - share - least
        for share, least in zip(accurate, under, strict=True)
    ]
    return {"attainable": accurate, "attainable_over": over, "attainable_under": under}


def _known(column: Mapping[str, Sequence[int]], *names: str) -> list[dict[str, int]]:
    """Counts by their names, but for those that are 0."""
    return [
        {name: count for name, count in zip(names, counts, strict=True) if count}
        for counts in zip(*(column[name] for name in names), strict=True)
    ]


def _shares(parts: Iterable[float], wholes: Iterable[int]) -> list[float | None]:
    return [part / whole if whole else None for part, whole in zip(parts, wholes, strict=True)]


_FIELDS: Final = tuple(field.name for field in fields(Figures))
