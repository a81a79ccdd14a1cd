"""``budget-proxy suggest``: what could be set otherwise, applied and undone."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from budget_proxy.cli.answer import answer, check_printed, format_of
from budget_proxy.cli.options import (
    AsJson,
    Form,
    Out,
    StoreUrl,
    chosen,
    only,
    open_history,
    seconds_of,
)
from budget_proxy.errors import InvalidInput

if TYPE_CHECKING:
    from budget_proxy.analytics.suggestions.applying import Change
    from budget_proxy.analytics.suggestions.base import Kind, Scene, Suggestion
    from budget_proxy.store.base import Store

_SPAN: Final = "30d"
_BY: Final = {"agent": "agent", "task": "task_type", "model": "model"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="suggest")(suggest)


def suggest(
    *,
    kind: Annotated[
        str | None,
        typer.Option(
            "--kind", metavar="NAME",
            help="Only over-allocated, under-allocated, idle-cap, budget, model, cache, guidance "
            "or effort.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="agent|task|model", help="Add them up by that, too."),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="SPAN", help="The last 24h, 7d or 2w, else 30d.")
    ] = _SPAN,
    agent: Annotated[
        str | None, typer.Option("--agent", metavar="NAME", help="Only about this agent's calls.")
    ] = None,
    task_type: Annotated[
        str | None,
        typer.Option("--task-type", metavar="NAME", help="Only about calls of this kind."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Only about this model's calls.")
    ] = None,
    apply: Annotated[
        str | None,
        typer.Option("--apply", metavar="ID", help="Write this one into budget_proxy.toml."),
    ] = None,
    undo: Annotated[
        int | None,
        typer.Option("--undo", metavar="NUMBER", help="Put back what --apply has changed."),
    ] = None,
    applied: Annotated[
        bool, typer.Option("--applied", help="List what was applied, with its numbers.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --apply or --undo: only show the change.")
    ] = False,
    form: Form = None,
    out: Out = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Suggest settings and changes, with what they are worth and what speaks for them."""
    from budget_proxy.analytics.rendering.blocks import NAMES
    from budget_proxy.analytics.rendering.suggestions import suggestions
    from budget_proxy.analytics.suggestions.listing import listing, options_of

    told = format_of(form, out, as_json=as_json)
    changing = _changing(apply, undo, applied=applied, dry_run=dry_run)
    if changing:
        check_printed(changing, told, out)
    as_json = told == "json"
    grouping = chosen("--by", by or "agent", _BY)
    key = None if by is None else _BY[grouping]
    where = only(agent, task_type, model)
    kinds = _kinds(kind, where)
    options = options_of(since, store, where)
    now, history = time.time(), open_history(store, existing=True)
    try:
        if undo is not None:
            _put_back(history, undo, now, dry_run=dry_run, as_json=as_json)
        elif applied:
            _list_applied(history, as_json=as_json)
        else:
            scene, found = _found(history, now, since, kinds, where)
            if apply is not None:
                wanted = _wanted(found, apply, history)
                _apply(history, wanted, now, options, dry_run=dry_run, as_json=as_json)
                return
            listed = listing(history.url, scene, found, key, options)
            answer(
                told, out, lambda: listed,
                lambda: suggestions(listed, scene, since, NAMES[grouping]),
            )  # fmt: skip
    finally:
        history.close()


def _changing(apply: str | None, undo: int | None, *, applied: bool, dry_run: bool) -> str | None:
    """The option about settings, if any. Raises InvalidInput where they do not go together."""
    given = {"--apply": apply is not None, "--undo": undo is not None, "--applied": applied}
    asked = [name for name, there in given.items() if there]
    if len(asked) > 1:
        raise InvalidInput("give one of --apply, --undo and --applied")
    if dry_run and apply is None and undo is None:
        raise InvalidInput("--dry-run goes with --apply or --undo: to list changes nothing")
    return asked[0] if asked else None


def _kinds(kind: str | None, where: Mapping[str, str]) -> tuple[Kind, ...]:
    from budget_proxy.analytics.suggestions.base import KINDS
    from budget_proxy.analytics.suggestions.find import kinds_of

    return kinds_of(None if kind is None else chosen("--kind", kind, KINDS), where)


def _found(
    history: Store, now: float, since: str, kinds: tuple[Kind, ...], where: Mapping[str, str]
) -> tuple[Scene, tuple[Suggestion, ...]]:
    from budget_proxy.analytics.suggestions.find import scene_of, suggestions
    from budget_proxy.settings import load

    scene = scene_of(history, load(), now, now - seconds_of(since), **where)
    return scene, suggestions(scene, kinds)


def _wanted(found: Sequence[Suggestion], wanted: str, history: Store) -> Suggestion:
    for one in found:
        if one.id == wanted:
            return one
    for made in history.applied():
        if made.undone is None and json.loads(made.suggestion)["id"] == wanted:
            raise InvalidInput(
                f"{wanted} has been applied already, and is no suggestion any more; "
                f"`budget-proxy suggest --undo {made.id}` puts back what was there before"
            )
    known = ", ".join(one.id for one in found if one.setting) or "none"
    raise InvalidInput(f"there is no suggestion {wanted}; those that can be applied: {known}")


def _apply(
    history: Store, wanted: Suggestion, now: float, options: str, *, dry_run: bool, as_json: bool
) -> None:
    from budget_proxy.analytics.suggestions.applying import applied
    from budget_proxy.settings import FILE

    made = applied(history, wanted, Path(FILE), now, dry_run=dry_run)
    words = f" --store {shlex.quote(history.url)}" if "--store" in options else ""
    undoing = None if made.number is None else f"budget-proxy suggest --undo {made.number}{words}"
    _tell(made, undoing, dry_run=dry_run, as_json=as_json)


def _put_back(history: Store, number: int, now: float, *, dry_run: bool, as_json: bool) -> None:
    from budget_proxy.analytics.suggestions.applying import undone

    made = undone(history, number, now, dry_run=dry_run)
    _tell(made, None, dry_run=dry_run, as_json=as_json)


def _tell(made: Change, undoing: str | None, *, dry_run: bool, as_json: bool) -> None:
    """What was changed in the file, or would be."""
    from budget_proxy.analytics.rendering.blocks import visible
    from budget_proxy.analytics.suggestions.edits import diff
    from budget_proxy.cli.output import console, print_json

    text = diff(made.before or "", made.after or "", made.file)
    if as_json:
        print_json(
            {
                "file": made.file, "dry_run": dry_run, "number": made.number,
                "setting": asdict(made.setting), "diff": text, "undo": undoing,
                "in_force": None if dry_run else _in_force(made),
            }
        )  # fmt: skip
        return
    out = console()
    out.print(visible(text, keep="\n"), soft_wrap=True, end="")
    if dry_run:
        out.print("Nothing was written (--dry-run).")
        return
    out.print(f"Written to {made.file}. Processes that run take it up when they start anew.")
    if not _in_force(made):
        out.print("A BUDGET_PROXY_* variable says otherwise, and goes before the file.")
    if undoing is not None:
        out.print(f"To undo it: {undoing}", soft_wrap=True)


def _in_force(made: Change) -> bool:
    """Whether the settings as they are read now have what the file says."""
    from budget_proxy.analytics.suggestions.edits import value_at
    from budget_proxy.settings import load

    wanted: Any = value_at(made.after or "", made.setting.path)
    found: Any = load().model_dump()
    for name in made.setting.path:
        found = found.get(name) if isinstance(found, dict) else None
    return wanted is None or bool(found == wanted)


def _list_applied(history: Store, *, as_json: bool) -> None:
    from budget_proxy.analytics.rendering.blocks import visible
    from budget_proxy.cli.output import console, moment, print_json, table

    found = history.applied()
    if as_json:
        print_json({"store": history.url, "applied": [asdict(one) for one in found]})
        return
    if not found:
        console().print("Nothing was applied so far.")
        return
    rows = [
        (
            visible(f"{'.'.join(one.path)} = {one.after}"),
            str(one.id),
            moment(one.ts),
            "in force" if one.undone is None else f"undone {moment(one.undone)}",
        )
        for one in found
    ]
    console().print(table("Applied (times in UTC)", ("Setting", "number", "when", "now"), rows))
