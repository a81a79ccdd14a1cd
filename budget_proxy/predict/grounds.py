"""What a learned forecast rests on, in words: how many outcomes, of what, how lately."""

from __future__ import annotations

from typing import Final

from budget_proxy.predict.cases import FACTORS, GROUPS, Case
from budget_proxy.predict.fold import Fold, Support
from budget_proxy.predict.sight import Sight

_TOLD: Final = tuple(
    (FACTORS.index(name), words)
    for name, words in (
        ("model and prompt", "of the same prompt to the same model"),
        ("prompt", "of the same prompt"),
        ("model and template", "of the same template to the same model"),
        ("template", "of the same template"),
    )
)


def reasons_of(fold: Fold, case: Case, seen: Sight, support: Support) -> tuple[str, ...]:
    """Say what a forecast of ``case`` rests on; never empty."""
    outcomes, level, age = support
    if not level:
        return ("no history yet: a broad prior",)
    reasons = [f"{outcomes} outcomes by {GROUPS[level - 1]}, the newest {age} outcomes ago"]
    for at, words in _TOLD:
        if count := seen.told.counts[at]:
            reasons.append(f"{count} {words}")
            break
    ago = fold.drift.changed(case)
    if ago is not None:
        reasons.append(
            f"lengths of this group changed {ago} calls ago: a wider forecast for a while"
        )
    if fold.network is None:
        reasons.append("too few outcomes to fit networks")
    return tuple(reasons)
