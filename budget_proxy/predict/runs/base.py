"""The nouns of runs: one settled call of a run, what a run will come to, an alarm about it."""

from __future__ import annotations

from bisect import bisect_left
from math import exp, log
from typing import Final, Literal, get_args

from budget_proxy.types import frozen

LEVELS: Final = (0.10, 0.25, 0.50, 0.75, 0.90)
"""The quantile levels of every forecast of a run."""

AlarmKind = Literal["runaway", "loop"]
ALARMS: Final = get_args(AlarmKind)


@frozen
class RunStep:
    """One settled call of a run. ``run`` is the caller's name of it, unique among all agents'.

    ``ts`` is when the call was made; ``cost`` (US dollars) is ``None`` where the price is not
    known; ``digest`` stands for what the call was about (``loops.digest_of``), 0 where not known.
    """

    run: str
    agent: str
    model: str
    input_tokens: int
    output_tokens: int
    ts: float
    cost: float | None = None
    task: str | None = None
    digest: int = 0


@frozen
class Used:
    """What a run has used so far: calls, tokens (input + output), output tokens, US dollars.

    ``cost`` is ``None`` where the price of any of its calls is not known.
    """

    turns: int = 0
    tokens: int = 0
    output_tokens: int = 0
    cost: float | None = 0.0


@frozen
class Quantiles:
    """A distribution at LEVELS; ``values`` never decrease."""

    values: tuple[float, ...]

    def at(self, level: float) -> float:
        """The value at ``level``, log-linear between LEVELS. Raises ValueError outside of them."""
        if not LEVELS[0] <= level <= LEVELS[-1]:
            raise ValueError(
                f"a run's quantiles are known from {LEVELS[0]} to {LEVELS[-1]}, not at {level}"
            )
        right = bisect_left(LEVELS, level)
        if LEVELS[right] == level:
            return self.values[right]
        low, high = self.values[right - 1], self.values[right]
        if low <= 0.0:
            return low
        share = (level - LEVELS[right - 1]) / (LEVELS[right] - LEVELS[right - 1])
        return exp(log(low) + share * (log(high) - log(low)))


@frozen
class RunTokens:
    """A RunForecast's ``tokens``, ``support`` and ``source`` alone."""

    tokens: Quantiles
    support: int
    source: str


@frozen
class RunForecast:
    """What a run comes to in all, if it makes another call: never less than what it has used.

    ``tokens`` are input + output, ``cost`` is US dollars and ``None`` where prices are not known.
    ``support`` counts the ended runs of the finest group that any are known of which got as far
    as this one; ``source`` names that group ("prior" where there is none).
    """

    tokens: Quantiles
    output_tokens: Quantiles
    turns: Quantiles
    cost: Quantiles | None
    used: Used
    support: int
    source: str
    reasons: tuple[str, ...]


@frozen
class RunAlarm:
    """A run that is not as runs of its agent are; raised once a run and kind.

    ``turn`` is the run's call that raised it, counted from 1. ``value`` passed ``limit``: turns or
    tokens of a runaway, calls in a row that repeat earlier ones of a loop.
    """

    kind: AlarmKind
    run: str
    agent: str
    turn: int
    measure: str
    value: int
    limit: int
    reason: str
