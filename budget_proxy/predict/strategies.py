"""Strategies by name, as settings and the command line give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from budget_proxy.errors import InvalidInput
from budget_proxy.predict.base import Fitting, Predictor
from budget_proxy.predict.fitting import Refits, refit
from budget_proxy.predict.fixed import Fixed
from budget_proxy.predict.heuristic import Heuristic
from budget_proxy.predict.learned import SHAPES, Learned
from budget_proxy.predict.quantile import Quantile
from budget_proxy.predict.rolling import Rolling
from budget_proxy.predict.similarity import Similarity

NAMES: Final = (
    "auto", "learned", "heuristic", "similarity", "quantile", "rolling", "fixed:N",
)  # fmt: skip

BASELINES: Final = (
    "heuristic", "similarity", "quantile", "rolling", "fixed:4096", "fixed:15000",
)  # fmt: skip
"""What every strategy is compared with."""

_FIXED: Final = "fixed:"


def make(name: str, *, window: int = 10_000) -> Predictor:
    """Make a predictor; ``window`` is the number of outcomes that those with one remember.

    ``auto`` is the best there is: ``learned``. Raises InvalidInput for an unknown name.
    """
    makers: dict[str, Callable[[], Predictor]] = {
        "auto": lambda: Learned(window=window),
        "heuristic": Heuristic,
        "learned": lambda: Learned(window=window),
        "quantile": Quantile,
        "rolling": Rolling,
        "similarity": lambda: Similarity(window=window),
    }
    if name in makers:
        return makers[name]()
    tokens = name.removeprefix(_FIXED)
    if name.startswith(_FIXED) and tokens.isascii() and tokens.isdigit():
        return Fixed(int(tokens))
    raise InvalidInput(f"unknown strategy {name!r}; known are {', '.join(NAMES)} (N in tokens)")


def fitting(name: str) -> Fitting:
    """How a strategy is fitted. Raises InvalidInput where it is not."""
    if name in {"auto", Learned.name}:
        return Fitting(refit, lambda: Refits().refit, SHAPES)
    raise InvalidInput(f"the strategy {name!r} is not fitted")
