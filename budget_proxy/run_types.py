"""The nouns of runs that calls, sessions and plans carry. Imports nothing of ours.

What a run was given and has used is the ledger's (``ledger/runs.py``).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Extend:
    """So many tokens or US dollars more for a run, and why."""

    tokens: int = 0
    usd: float = 0.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What a session was told of its run's budget, and where: at the end of message ``at``.

    ``at`` counts the messages of the body's list from 0. ``step`` is how many per cent of the
    budget of ``run`` were used then; ``size`` is that budget in ``unit`` (nano-dollars if it is
    "usd"). ``id`` names the text; ``tokens`` is what it costs as input.
    """

    at: int
    id: str
    text: str
    tokens: int
    run: str
    unit: str
    size: int
    step: int


@dataclass(frozen=True, slots=True)
class RunOutlook:
    """How a call's run stood before it, and what it comes to if the call is made.

    ``tokens`` are p10, p50 and p90 of the run's total (input + output). ``left`` is what is left
    of the soft budget in tokens and in US dollars: of that of the run or of one above it,
    whichever is less; ``None`` where there is none. ``alarms`` are kinds: "loop", "runaway".
    """

    run: str
    tokens: tuple[float, float, float]
    left: int | None = None
    left_usd: float | None = None
    alarms: tuple[str, ...] = ()
