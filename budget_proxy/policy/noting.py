"""What a model is told of its run's budget, and when: at coarse steps, once each.

Each note is a function of the budget and the step alone, so that it is the same bytes wherever it
is made. Where it stands is the session's to remember (``run_types.Note``): at the end of the newest
message, which no provider has cached yet.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import Final

from budget_proxy.policy.base import VERSION
from budget_proxy.run_types import Note
from budget_proxy.types import frozen

STEPS: Final = (50, 75, 90, 100)
"""Per cent of a budget that are used when it is told of."""

_NANO: Final = 1_000_000_000
_DIGITS: Final = 2


@frozen
class Share:
    """How far one budget is used: that of ``run``, in "tokens" or nano-dollars ("usd")."""

    run: str
    unit: str
    size: int
    used: int

    @property
    def step(self) -> int:
        """The highest of STEPS that is reached, 0 before the first."""
        return max((step for step in STEPS if 100 * self.used >= step * self.size), default=0)


def next_note(shares: Iterable[Share], told: Iterable[Note], at: int) -> Note | None:
    """What a session is to be told at message ``at``, if anything, after what it was ``told``.

    Of several budgets (tokens and money, a run and those above it) the one that is used up
    farthest.
    """
    known = list(told)
    due = [share for share in shares if _is_due(share, known)]
    if not due:
        return None
    share = max(due, key=lambda one: (one.step, one.used / max(one.size, 1)))
    wider = any(note.run == share.run and note.unit == share.unit for note in known)
    extended = wider and all(
        note.size < share.size for note in known if (note.run, note.unit) == (share.run, share.unit)
    )
    text = text_of(share.unit, share.size, share.step, extended=extended)
    return Note(
        at=at,
        id=hashlib.blake2b(f"{VERSION}\0{text}".encode(), digest_size=8).hexdigest(),
        text=text,
        tokens=math.ceil(len(text) / 4),
        run=share.run,
        unit=share.unit,
        size=share.size,
        step=share.step,
    )


def text_of(unit: str, size: int, step: int, *, extended: bool = False) -> str:
    """The note in words: how much is used and left, in coarse numbers, and what to do."""
    whole = f"about {_amount(unit, size)}"
    left = _amount(unit, size * (100 - step) // 100)
    if step >= STEPS[-1]:
        said = f"The budget of this run, {whole} for all its calls, is used up. "
        return f"<budget>{said}Finish now with what you have; say what is missing.</budget>"
    if extended:
        start = f"The budget of this run was extended to {whole} for all its calls"
        told = f"{start}: up to {left} are left. "
    else:
        told = f"{step} % of the budget of this run ({whole} for all its calls) are used, up to "
        told += f"{left} are left. "
    return f"<budget>{told}{_ADVICE[step]}</budget>"


_ADVICE: Final = {
    0: "Use what the task needs.",
    50: "Keep to what the task needs.",
    75: "Plan to finish within it: the most important part first.",
    90: "Finish with what you have; say what is missing.",
}


def _is_due(share: Share, told: list[Note]) -> bool:
    same = [note for note in told if (note.run, note.unit) == (share.run, share.unit)]
    if not same:
        return share.step > 0
    largest = max(note.size for note in same)
    if share.size > largest:
        return True
    return share.step > max(note.step for note in same if note.size == largest)


def _amount(unit: str, amount: int) -> str:
    """Two digits that count: ``12,000 tokens``, ``$0.35``."""
    if unit == "usd":
        dollars = _coarse(amount / _NANO)
        return f"${dollars:,.2f}" if dollars >= 0.1 else f"${dollars:.2g}"  # noqa: PLR2004 (cents)
    return f"{_coarse(amount):,.0f} tokens"


def _coarse(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
