"""What is seen of one call before it is made, by all that was learned until then."""

from __future__ import annotations

from typing import NamedTuple


class Sight(NamedTuple):
    """What is seen of a call by all that is known at the time: ln(tokens), and what came before.

    ``centre`` is by all effects, ``coarse`` without those of one text or one run, and so are
    ``total`` and ``plain``, the sums of effects in them. ``effects``, ``counts`` of outcomes and
    ``spreads`` are by FACTORS, ``before`` by the numbers of sessions, ``lately`` by those of pace.
    """

    centre: float
    coarse: float
    total: float
    plain: float
    rows: list[int]
    effects: list[float]
    counts: list[int]
    spreads: list[float]
    before: tuple[float, ...]
    lately: tuple[float, ...]
