"""Runs as a weighted sample of how one like them goes on, open ones counted as lower bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LEAST = 1e-300


def jumps(turns: Floats, ended: Floats, weights: Floats) -> Floats:
    """How probable each of n runs is as the one that a new run is like: (n,), adding up to 1.

    Kaplan and Meier (1958), weighted (Beran 1981): an open run, of which only a lower bound of
    turns is known, hands its weight on to those that went further. ``ended`` is the probability
    that a run is over. The longest runs of all count as ended.
    """
    order = np.argsort(turns, kind="stable")
    w, over = weights[order], ended[order]
    over = np.where(turns[order] == turns[order[-1]], 1.0, over)
    reached = np.add.accumulate(w[::-1])[::-1]
    hazard = w * over / np.maximum(reached, _LEAST)
    before = np.empty(len(w))
    before[0] = 1.0
    np.multiply.accumulate(np.maximum(1.0 - hazard[:-1], 0.0), out=before[1:])
    found = np.empty(len(w))
    found[order] = before * hazard
    return found


def log_quantiles(values: Floats, weights: Floats, levels: Sequence[float] | Floats) -> Floats:
    """Ln of the quantiles of positive values (n,) with weights that are not all 0."""
    order = np.argsort(values)
    sizes = weights[order]
    reached = np.add.accumulate(sizes)
    places = (reached - 0.5 * sizes) / reached[-1]
    return np.interp(levels, places, np.log(values[order]))
