"""``budget-proxy predict``: the tokens that a task will need, and what that rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from budget_proxy.cli.options import Agent, AsJson, Model, StoreUrl
from budget_proxy.errors import InvalidInput

if TYPE_CHECKING:
    from budget_proxy.types import Prediction

_SIMILAR: Final = 5


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="predict")(predict)


def predict(
    text: Annotated[
        str | None, typer.Argument(metavar="[TEXT]", help="The task, in words.", show_default=False)
    ] = None,
    *,
    descriptor: Annotated[
        str | None,
        typer.Option(
            "--descriptor",
            metavar="JSON|@FILE",
            help="The task as a descriptor: description, type, complexity, domain, story_points, "
            "priority, labels, subtasks.",
        ),
    ] = None,
    agent: Agent = None,
    model: Model = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            "--strategy",
            metavar="NAME",
            help="Another strategy: learned, quantile, rolling, similarity, heuristic or fixed:N.",
        ),
    ] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Predict the tokens that a task will need."""
    from budget_proxy.assemble import Engine
    from budget_proxy.cli.options import store_url
    from budget_proxy.cli.output import print_json

    task = _task(text, descriptor)
    with Engine.open(store_url(store)) as engine:
        found = engine.predict(task, agent=agent, model=model, strategy=strategy)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _task(text: str | None, descriptor: str | None) -> dict[str, Any]:
    """The descriptor of the task that the command line names. Raises InvalidInput."""
    import orjson

    if descriptor is None:
        if not text:
            raise InvalidInput('say what the task is: budget-proxy predict "fix the login bug"')
        return {"description": text}
    source = descriptor
    if descriptor.startswith("@"):
        try:
            source = Path(descriptor[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"the descriptor {descriptor[1:]} cannot be read: {error}") from None
    try:
        task = orjson.loads(source)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"the descriptor is no valid JSON: {error}") from None
    if not isinstance(task, dict):
        raise InvalidInput('a descriptor is an object, such as {"type": "bug-fix"}')
    if text:
        if "description" in task:
            raise InvalidInput("the task is described twice: leave out TEXT or description")
        task["description"] = text
    return task


def _show(found: Prediction) -> None:
    from budget_proxy.cli.output import console, facts, moment, percent, table, whole

    kind, parts = found.characteristics, found.breakdown
    out = console()
    out.print(
        f"Recommended: {whole(found.recommended)} tokens "
        f"(confidence {percent(found.confidence)}, strategy {found.strategy})\n"
    )
    phases = (
        f"{name} {whole(tokens)}"
        for name, tokens in (
            ("thinking", parts.thinking), ("planning", parts.planning),
            ("execution", parts.execution), ("reflection", parts.reflection),
        )
    )  # fmt: skip
    rows = {
        "Task": f"{kind.task_type}, complexity {kind.complexity:.0f}, "
        f"domains {', '.join(sorted(kind.domains)) or 'none'}",
        "": f"novelty {kind.novelty:.2f}, uncertainty {kind.uncertainty:.2f}, "
        f"criticality {kind.criticality:.2f}",
        "Phases": ", ".join(phases),
        "Because": "; ".join(found.reasons),
    }
    out.print(facts(rows))
    out.print()
    others = [
        (other.label, whole(other.tokens), percent(other.risk)) for other in found.alternatives
    ]
    out.print(table("Alternatives", ("budget", "tokens", "would not suffice"), others))
    out.print()
    if not found.similar:
        out.print("No similar tasks in the history.")
        return
    columns = ("task type", "when (UTC)", "call", "similarity", "used")
    similar = [
        (one.task_type, moment(one.ts), one.call_id[:12], f"{one.similarity:.2f}", whole(one.used))
        for one in found.similar[:_SIMILAR]
    ]
    out.print(table("Similar tasks", columns, similar, left=3))
