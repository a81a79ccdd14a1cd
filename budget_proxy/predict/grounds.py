"""What a learned forecast rests on, in words: how many outcomes, of what, how lately."""

from __future__ import annotations

from typing import Final

from budget_proxy.predict.cases import FACTORS, GROUPS, Case
from budget_proxy.predict.fold import Fold

_TOLD: Final = tuple(
    (FACTORS.index(name), words)
    for name, words in (
        ("model and prompt", "of the same prompt to the same model"),
        ("prompt", "of the same prompt"),
        ("model and template", "of the same template to the same model"),
        ("template", "of the same template"),
    )
)


def reasons_of(fold: Fold, case: Case) -> tuple[str, ...]:
    """Say what a forecast of ``case`` rests on; never empty."""
    support, level = fold.support(case)
    if not level:
        return ("no history yet: a broad prior",)
    age = fold.lengths.age(fold.lengths.find(case.groups)[level - 1])
    reasons = [f"{support} outcomes by {GROUPS[level - 1]}, the newest {age} outcomes ago"]
    counts = fold.effects.look(fold.effects.find(case.factors))[1]
    alike = next(((counts[at], words) for at, words in _TOLD if counts[at]), None)
    if alike is not None:
        reasons.append(f"{alike[0]} {alike[1]}")
    ago = fold.drift.changed(case)
    if ago is not None:
        reasons.append(
            f"lengths of this group changed {ago} calls ago: a wider forecast for a while"
        )
    if fold.network is None:
        reasons.append("too few outcomes to fit networks")
    return tuple(reasons)
