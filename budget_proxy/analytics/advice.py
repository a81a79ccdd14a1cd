"""What a projection says, in sentences: the trend, weekends, what moved most, what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log, log1p
from typing import Final

from budget_proxy.analytics.numbers import written
from budget_proxy.analytics.projection import Projection
from budget_proxy.analytics.reach import Reach
from budget_proxy.analytics.series import Measure, Series

_FORTNIGHT: Final = 14
_WEEK: Final = 7
_MOVED: Final = 0.1  # of the whole's pace: what moved less is not worth a sentence
_LIKELY: Final = 0.5
_NAMES: Final[dict[Measure, str]] = {"cost": "Spend", "tokens": "Token use", "calls": "Traffic"}


def advice(
    projection: Projection,
    whole: Series,
    groups: Sequence[Series],
    reaches: Mapping[Measure, Reach],
) -> tuple[str, ...]:
    """Sentences about the whole, its groups, and each limit."""
    return (
        *_trend(projection),
        *_weekend(projection),
        *_mover(whole, groups),
        *(line for measure, found in reaches.items() for line in _limit(found, measure)),
        *_unknown(projection),
    )


def _trend(projection: Projection) -> Iterator[str]:
    growth, name = projection.growth, _NAMES[projection.measure]
    if growth is None:
        return
    between = f"(95 %: {_signed(growth.low)} to {_signed(growth.high)})"
    if growth.low > 0:
        weeks = log(2) / log1p(growth.expected)
        more = f"; at that rate it doubles in {weeks:.0f} weeks" if weeks <= 52 else ""  # noqa: PLR2004 (a year)
        yield f"{name} is rising {100 * growth.expected:.1f} % a week {between}{more}."
    elif growth.high < 0:
        yield f"{name} is falling {-100 * growth.expected:.1f} % a week {between}."
    else:
        yield f"{name} shows no clear trend: {_signed(growth.expected)} a week {between}."


def _weekend(projection: Projection) -> Iterator[str]:
    share = projection.weekend
    if share is None or share.low <= 1 <= share.high:
        return
    yield (
        f"A weekend day comes to {100 * share.expected:.0f} % of a working day "
        f"(95 %: {100 * share.low:.0f} to {100 * share.high:.0f} %)."
    )


def _mover(whole: Series, groups: Sequence[Series]) -> Iterator[str]:
    """The group whose pace changed most between two fortnights, or two halves of less."""
    span = min(_FORTNIGHT, len(whole.amounts) // 2 // _WEEK * _WEEK)
    if not span or not groups:
        return
    found = [(one.group, one.last(2 * span)) for one in groups]
    paces = [(name, both[:span].mean(), both[span:].mean()) for name, both in found]
    name, before, after = max(paces, key=lambda pace: abs(pace[2] - pace[1]))
    if abs(after - before) < _MOVED * whole.last(2 * span).mean():
        return
    yield (
        f"{' / '.join(name)} moved most: {written(float(after), whole.measure)} a day in the last "
        f"{span} days, {written(float(before), whole.measure)} in the {span} before."
    )


def _limit(found: Reach, measure: Measure) -> Iterator[str]:
    if found.spent >= found.limit or found.probability < _LIKELY or found.saving is None:
        return
    yield (
        f"To keep to {written(found.limit, measure)}, the days left have to come to "
        f"{100 * found.saving:.0f} % less than projected."
    )


def _unknown(projection: Projection) -> Iterator[str]:
    known = projection.known
    if known is None or known >= 1:
        return
    if projection.measure == "cost":
        yield (
            f"{_rest(known)} of the attempts have no known price and are in no amount here: the "
            "whole comes to more. `--measure tokens` projects tokens."
        )
    else:
        yield f"{_rest(known)} of the attempts tell no tokens and are in no amount here."


def _rest(known: float) -> str:
    share = 100 * (1 - known)
    return f"{share:.0f} %" if share >= 1 else "Less than 1 %"


def _signed(share: float) -> str:
    percents = round(100 * share, 1) + 0.0  # no minus before a zero
    return f"{percents:+.1f} %" if percents else "0 %"
