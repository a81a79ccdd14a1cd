"""What an alarm shows in numbers: figures of the calls since its trouble began."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp
from statistics import fmean
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from budget_proxy.analytics import causes
from budget_proxy.analytics.signs import Signs
from budget_proxy.analytics.subject import Subject


class Shown(NamedTuple):
    """A call that an alarm is about; ``shift`` is its ln(tokens) less its group's usual mean."""

    call: Signs
    shift: float


Figures = tuple[dict[str, Any], int]
"""Numbers by name, and how many calls they are of."""


def figures_of(cause: str, shown: Sequence[Shown], subject: Subject) -> Figures:
    """The figures of an alarm in ``subject``."""
    return _FIGURES[cause](shown, subject)


def _lengths(shown: Sequence[Shown], _subject: Subject) -> Figures:
    shifts = [shift for call, shift in shown if call.length is not None]
    return {"factor": _factor(shifts), "calls": len(shifts)}, len(shifts)


def _price(shown: Sequence[Shown], _subject: Subject) -> Figures:
    prices = [call.price for call, _ in shown if call.price is not None]
    return {"factor": _factor(prices), "calls": len(prices)}, len(prices)


def _truncation(shown: Sequence[Shown], subject: Subject) -> Figures:
    answers = [call for call, _ in shown if call.cut is not None]
    cut = [call for call in answers if call.cut]
    return {
        "share": _share(len(cut), len(answers)),
        "calls": len(answers),
        "cut": len(cut),
        "ours": sum(call.ours for call in cut),
        "usual": subject.cut[1] / subject.cut[0],
    }, len(cut)


def _coverage(shown: Sequence[Shown], _subject: Subject) -> Figures:
    figures: dict[str, Any] = {"calls": len(shown)}
    for name in ("above_50", "above_90", "above_95"):
        told = [getattr(call, name) for call, _ in shown if getattr(call, name) is not None]
        figures[name] = _share(sum(told), len(told))
    return figures, len(shown)


def _estimated(shown: Sequence[Shown], _subject: Subject) -> Figures:
    told = [call.estimated for call, _ in shown if call.estimated is not None]
    return {"share": _share(sum(told), len(told)), "calls": len(told)}, sum(told)


def _spike(shown: Sequence[Shown], subject: Subject) -> Figures:
    costs = [call.cost for call, _ in shown if call.cost is not None]
    weight, total = subject.cost
    mean = fmean(costs) if costs else 0.0
    factor = mean * weight / total if total else 0.0
    return {"factor": factor, "calls": len(costs), "cost": mean}, len(costs)


def _budgets(_shown: Sequence[Shown], subject: Subject) -> Figures:
    measured = subject.late.measured
    return {**subject.late.figures(), "calls": measured}, measured


_FIGURES: Final[Mapping[str, Callable[[Sequence[Shown], Subject], Figures]]] = MappingProxyType(
    {
        causes.LONGER: _lengths,
        causes.SHORTER: _lengths,
        causes.PRICE: _price,
        causes.TRUNCATION: _truncation,
        causes.COVERAGE: _coverage,
        causes.ESTIMATED: _estimated,
        causes.SPIKE: _spike,
        causes.OVER: _budgets,
        causes.UNDER: _budgets,
        causes.EFFICIENCY: _budgets,
    }
)


def _factor(logarithms: Sequence[float]) -> float:
    return exp(fmean(logarithms)) if logarithms else 1.0


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
