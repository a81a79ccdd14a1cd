"""Strategies side by side on the same rows, and the control that must show no skill."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import tee
from typing import Final

from budget_proxy.predict.base import Predictor
from budget_proxy.predict.evaluate import Row, Scored, evaluate

SHUFFLED: Final = "shuffled"
"""The control's name: a strategy whose calls have the outcomes of other calls of their model."""

_SEED: Final = b"shuffled within model"


@dataclass(frozen=True, slots=True)
class Length:
    """What a row's call came to: tokens, or ``None``, and whether they were cut.

    ``reasoning`` is the part of them that was reasoning, where that is known.
    """

    model: str
    tokens: int | None
    censored: bool = False
    reasoning: int | None = None


def compare(
    rows: Iterable[Row],
    predictors: Sequence[Predictor],
    control: Predictor,
    lengths: Sequence[Length],
    clock: Callable[[], float],
) -> Iterator[tuple[Scored, ...]]:
    """Forecast, score and learn every row with each predictor, and last with the control.

    Rows are taken one by one, as ``evaluate`` does. ``control`` sees ``lengths[i]`` as the i-th
    row's outcome (``shuffled`` makes them), and is scored on it.
    """
    *copies, other = tee(rows, len(predictors) + 1)
    runs = [
        evaluate(copy, predictor, clock) for copy, predictor in zip(copies, predictors, strict=True)
    ]
    return zip(*runs, evaluate(_with(other, lengths), control, clock), strict=True)


def shuffled(lengths: Sequence[Length]) -> list[Length]:
    """The lengths that are known, permuted within each model by a keyed hash of their places.

    Rows without a length stay without one.
    """
    places: dict[str, list[int]] = {}
    for place, length in enumerate(lengths):
        if length.tokens is not None:
            places.setdefault(length.model, []).append(place)
    result = list(lengths)
    for its in places.values():
        for place, other in zip(its, sorted(its, key=_drawn), strict=True):
            result[place] = lengths[other]
    return result


def _drawn(place: int) -> bytes:
    return blake2b(place.to_bytes(8, "little"), key=_SEED, digest_size=8).digest()


def _with(rows: Iterable[Row], lengths: Sequence[Length]) -> Iterator[Row]:
    for row, length in zip(rows, lengths, strict=True):
        yield replace(
            row, tokens=length.tokens, censored=length.censored, reasoning=length.reasoning
        )
