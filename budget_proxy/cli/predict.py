"""``budget-proxy predict``: the tokens that a task will need, and what that rests on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from budget_proxy.cli.answer import answer, format_of
from budget_proxy.cli.options import Agent, AsJson, Form, Model, Out, StoreUrl
from budget_proxy.errors import InvalidInput


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
    form: Form = None,
    out: Out = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Predict the tokens that a task will need."""
    from budget_proxy.analytics.rendering.prediction import prediction
    from budget_proxy.assemble import Engine
    from budget_proxy.cli.options import store_url

    told = format_of(form, out, as_json=as_json)
    task = _task(text, descriptor)
    with Engine.open(store_url(store)) as engine:
        found = engine.predict(task, agent=agent, model=model, strategy=strategy)
    answer(told, out, lambda: found, lambda: prediction(found))


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
