"""``budget-proxy suggest``: what could be set otherwise, applied and undone."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from budget_proxy.cli.options import AsJson, StoreUrl, open_history, seconds_of
from budget_proxy.cli.suggested import key_of, show, visible
from budget_proxy.errors import InvalidInput

if TYPE_CHECKING:
    from budget_proxy.analytics.suggestions.applying import Change
    from budget_proxy.analytics.suggestions.base import Kind, Scene, Suggestion
    from budget_proxy.store.base import Store

_SPAN: Final = "30d"


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
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Suggest settings and changes, with what they are worth and what speaks for them."""
    from budget_proxy.analytics.suggestions.listing import listing, options_of
    from budget_proxy.cli.output import print_json

    _check(apply, undo, applied=applied, dry_run=dry_run)
    kinds, key = _kinds(kind), None if by is None else key_of(by)
    now, history = time.time(), open_history(store, existing=True)
    where = {name: value for name, value in (("agent", agent), ("model", model)) if value}
    options = options_of(since, store, where)
    try:
        if undo is not None:
            _put_back(history, undo, now, dry_run=dry_run, as_json=as_json)
        elif applied:
            _list_applied(history, as_json=as_json)
        else:
            scene, found = _found(history, now, since, kinds, where)
            if apply is not None:
                chosen = _chosen(found, apply)
                _apply(history, chosen, now, options, dry_run=dry_run, as_json=as_json)
            elif as_json:
                print_json(listing(history.url, scene, found, key, options))
            else:
                show(history.url, scene, found, by, options, since)
    finally:
        history.close()


def _check(apply: str | None, undo: int | None, *, applied: bool, dry_run: bool) -> None:
    """Raise InvalidInput where the options do not go together."""
    if (apply is not None) + (undo is not None) + applied > 1:
        raise InvalidInput("give one of --apply, --undo and --applied")
    if dry_run and apply is None and undo is None:
        raise InvalidInput("--dry-run goes with --apply or --undo: to list changes nothing")


def _kinds(kind: str | None) -> tuple[Kind, ...]:
    from budget_proxy.analytics.suggestions.base import KINDS

    chosen = tuple(one for one in KINDS if kind in {None, one})
    if not chosen:
        raise InvalidInput(f"--kind must be one of {', '.join(KINDS)}, not {kind!r}")
    return chosen


def _found(
    history: Store, now: float, since: str, kinds: tuple[Kind, ...], where: Mapping[str, str]
) -> tuple[Scene, tuple[Suggestion, ...]]:
    from budget_proxy.analytics.suggestions.find import scene_of, suggestions
    from budget_proxy.settings import load

    scene = scene_of(history, load(), now, now - seconds_of(since), **where)
    return scene, suggestions(scene, kinds)


def _chosen(found: Sequence[Suggestion], wanted: str) -> Suggestion:
    for one in found:
        if one.id == wanted:
            return one
    known = ", ".join(one.id for one in found if one.setting) or "none"
    raise InvalidInput(f"there is no suggestion {wanted}; those that can be applied: {known}")


def _apply(
    history: Store, chosen: Suggestion, now: float, options: str, *, dry_run: bool, as_json: bool
) -> None:
    from budget_proxy.analytics.suggestions.applying import applied
    from budget_proxy.settings import FILE

    made = applied(history, chosen, Path(FILE), now, dry_run=dry_run)
    words = f" --store {shlex.quote(history.url)}" if "--store" in options else ""
    undoing = None if made.number is None else f"budget-proxy suggest --undo {made.number}{words}"
    _tell(made, undoing, dry_run=dry_run, as_json=as_json)


def _put_back(history: Store, number: int, now: float, *, dry_run: bool, as_json: bool) -> None:
    from budget_proxy.analytics.suggestions.applying import undone

    made = undone(history, number, now, dry_run=dry_run)
    _tell(made, None, dry_run=dry_run, as_json=as_json)


def _tell(made: Change, undoing: str | None, *, dry_run: bool, as_json: bool) -> None:
    """What was changed in the file, or would be."""
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
