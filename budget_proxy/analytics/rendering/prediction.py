"""A prediction in words and numbers: the budget, its phases, others, and similar tasks."""

from __future__ import annotations

from typing import Final

from budget_proxy.analytics.numbers import moment, percent, whole
from budget_proxy.analytics.rendering.blocks import (
    Block,
    Document,
    Facts,
    Note,
    Table,
    named,
    visible,
)
from budget_proxy.types import Prediction

_SIMILAR: Final = 5


def prediction(found: Prediction) -> Document:
    """What a task will need, and what that rests on."""
    recommended = (
        f"{whole(found.recommended)} tokens "
        f"(confidence {percent(found.confidence)}, strategy {found.strategy})"
    )
    sections: tuple[tuple[Block, ...], ...] = (
        (),
        (_facts(found),),
        (_alternatives(found),),
        (_similar(found),),
    )
    return Document("Prediction", recommended, sections, head=(f"Recommended: {recommended}",))


def _facts(found: Prediction) -> Facts:
    kind, parts = found.characteristics, found.breakdown
    phases = (
        f"{name} {whole(tokens)}"
        for name, tokens in (
            ("thinking", parts.thinking), ("planning", parts.planning),
            ("execution", parts.execution), ("reflection", parts.reflection),
        )
    )  # fmt: skip
    rows = {
        "Task": f"{visible(kind.task_type)}, complexity {kind.complexity:.0f}, "
        f"domains {', '.join(sorted(kind.domains)) or 'none'}",
        "": f"novelty {kind.novelty:.2f}, uncertainty {kind.uncertainty:.2f}, "
        f"criticality {kind.criticality:.2f}",
        "Phases": ", ".join(phases),
        "Because": visible("; ".join(found.reasons)),
    }
    return Facts(tuple(rows.items()))


def _alternatives(found: Prediction) -> Table:
    rows = tuple(
        (other.label, whole(other.tokens), percent(other.risk)) for other in found.alternatives
    )
    return Table("Alternatives", ("budget", "tokens", "would not suffice"), rows)


def _similar(found: Prediction) -> Block:
    if not found.similar:
        return Note("No similar tasks in the history.")
    columns = ("task type", "when (UTC)", "call", "similarity", "used")
    rows = tuple(
        (
            named(one.task_type),
            moment(one.ts),
            named(one.call_id[:12]),
            f"{one.similarity:.2f}",
            whole(one.used),
        )
        for one in found.similar[:_SIMILAR]
    )
    return Table("Similar tasks", columns, rows, left=3)
