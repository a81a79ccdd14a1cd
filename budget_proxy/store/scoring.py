"""How well a budget was used, and what its forecast let one expect: in Python, and in SQL.

Expressions of SQL are over the columns of ``calls``; a test holds both equal.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from budget_proxy.store.alerts import Seen
from budget_proxy.types import LEVELS, CallRecord

OVER: Final = 0.50
UNDER: Final = 0.95

EFFICIENCIES: Final = ((0.75, 0.85, 1.0), (0.60, 0.95, 0.8), (0.50, 0.60, 0.6))
"""The efficiency of a use between two bounds, the first that holds; else OTHERWISE."""
UNDER_EFFICIENCY: Final = 0.5
OTHERWISE: Final = 0.3

_QUANTILES: Final = tuple(f"q{100 * level:.0f}" for level in LEVELS)


def efficiency_of(use: float) -> float:
    """The efficiency of one call by its use (mission.md section 3).

    1.0 within .75-.85; .8 within .60-.95; .6 within .50-.60; .5 above .95; .3 below .50.
    """
    if use > UNDER:
        return UNDER_EFFICIENCY
    for low, high, points in EFFICIENCIES:
        if low <= use <= high:
            return points
    return OTHERWISE


def _gain(before: float, edge: float, after: float) -> float:
    return efficiency_of((before + edge) / 2) - efficiency_of((edge + after) / 2)


_EDGES: Final = (OVER, 0.60, 0.75, 0.85, UNDER)
_GAINS: Final = tuple(
    _gain(before, edge, after)
    for before, edge, after in zip((0.0, *_EDGES), _EDGES, (*_EDGES[1:], 2.0), strict=False)
)
"""What P(use <= edge) adds to the expected efficiency, which is UNDER_EFFICIENCY without."""


def risk_of(record: CallRecord | Seen) -> float | None:
    """P(use > .95) by a row's quantiles; ``None`` where one is missing.

    Between two quantiles by the logarithm of the tokens, as ``Forecast.cdf``; for it stands
    (x - a) / (x + a), since SQL has none everywhere: that moves no probability by more than .015
    where a quantile is less than four times the one before. Below q50 it is .5, above q99 .01.
    """
    known = _known(record)
    if known is None or not record.recommended:
        return None
    return 1 - _cdf(UNDER * record.recommended, known, 0.0, LEVELS[0])


def expected_efficiency(record: CallRecord | Seen) -> float | None:
    """The mean of ``efficiency_of`` under a row's forecast; ``None`` where that is not whole.

    P(use <= .50) is what ``risk_of`` and the confidence leave; from there to q50 as between
    quantiles. So the probabilities of over, accurate and under are those that stand beside it.
    """
    known, risk = _known(record), risk_of(record)
    if known is None or risk is None or record.confidence is None:
        return None
    budget, most = float(record.recommended or 0), 1 - risk
    least = max(most - record.confidence, 0.0)
    below = (
        min(max(_cdf(edge * budget, known, OVER * budget, least), least), most)
        for edge in _EDGES[1:-1]
    )
    gains = zip(_GAINS, (least, *below, most), strict=True)
    return UNDER_EFFICIENCY + sum(gain * probability for gain, probability in gains)


def _known(record: CallRecord | Seen) -> list[float] | None:
    found = (record.q50, record.q75, record.q90, record.q95, record.q99)
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else None


def _cdf(tokens: float, known: list[float], start: float, least: float) -> float:
    """P(used <= tokens); ``least`` is it at ``start``, which lies below q50 if tokens do."""
    place = next((index for index, value in enumerate(known) if tokens < value), len(known))
    if place == len(known):
        return LEVELS[-1]
    low, at = (known[place - 1], LEVELS[place - 1]) if place else (start, least)
    high = known[place]
    share = (tokens - low) / (tokens + low) * (high + low) / (high - low)
    return at + share * (LEVELS[place] - at)


def efficiency_sql() -> str:
    """``efficiency_of`` of the column ``use``, of cut answers too."""
    bands = " ".join(f"WHEN use BETWEEN {a} AND {b} THEN {c}" for a, b, c in EFFICIENCIES)
    under = f"WHEN truncated OR use > {UNDER} THEN {UNDER_EFFICIENCY}"
    return f"CASE {under} {bands} ELSE {OTHERWISE} END"


def risk_sql() -> str:
    """``risk_of``."""
    lacks = f"{' + '.join(_QUANTILES)} IS NULL OR coalesce(recommended, 0) = 0"
    cdf = _cdf_sql(f"{UNDER} * recommended", f"{LEVELS[0]}")
    return f"CASE WHEN {lacks} THEN NULL ELSE 1 - {cdf} END"


def expected_sql() -> str:
    """``expected_efficiency``, of rows whose column ``risk`` is ``risk_of``."""
    most, least = "(1 - risk)", "max(1 - risk - confidence, 0.0)"
    terms = [str(UNDER_EFFICIENCY), f"{_GAINS[0]} * {least}"]
    for edge, gain in zip(_EDGES[1:-1], _GAINS[1:-1], strict=True):
        tokens, start = f"{edge} * recommended", f"{OVER} * recommended"
        begin = f"{least} + {_share_sql(tokens, start, _QUANTILES[0])} * ({LEVELS[0]} - {least})"
        terms.append(f"{gain} * min(max({_cdf_sql(tokens, begin)}, {least}), {most})")
    return " + ".join([*terms, f"{_GAINS[-1]} * {most}"])


def _cdf_sql(tokens: str, begin: str) -> str:
    """P(used <= tokens), which is ``begin`` below q50."""
    parts = [f"WHEN {tokens} < {_QUANTILES[0]} THEN {begin}"]
    for (at, to), (low, high) in zip(pairwise(LEVELS), pairwise(_QUANTILES), strict=True):
        share = _share_sql(tokens, low, high)
        parts.append(f"WHEN {tokens} < {high} THEN {at} + {share} * {to - at}")
    return f"CASE {' '.join(parts)} ELSE {LEVELS[-1]} END"


def _share_sql(tokens: str, low: str, high: str) -> str:
    return f"({tokens} - {low}) / ({tokens} + {low}) * ({high} + {low}) / ({high} - {low})"
