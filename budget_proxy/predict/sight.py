"""What is seen of one call before it is made, by all that was learned until then."""

from __future__ import annotations

from typing import NamedTuple

from budget_proxy.predict.effects import Told


class Sight(NamedTuple):
    """What is seen of a call by all that is known at the time: ln(tokens), and what came before.

    ``centre`` is by all effects, ``coarse`` without those of one text or one run, and so are
    ``total`` and ``plain``, the sums of effects in them. What effects ``told`` is by FACTORS,
    ``before`` by the numbers of sessions, ``lately`` by those of pace.
    """

    centre: float
    coarse: float
    total: float
    plain: float
    told: Told
    before: tuple[float, ...]
    lately: tuple[float, ...]
