"""``budget-proxy keys``: who may call the proxy, and what for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from budget_proxy.cli.options import AsJson, StoreUrl, open_history, seconds_of
from budget_proxy.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    from budget_proxy.store.base import Store
    from budget_proxy.store.issuing import IssuedKey, ListedKey

_LONGEST_SPAN: Final = 12
"""Characters of a span of time, as HTTP takes them."""
_NEAR: Final = 2 * 86_400.0
_ROOM: Final = 13

Id = Annotated[str, typer.Argument(metavar="ID", help="The key's id, such as bk_3f9a…; see list.")]


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    group = typer.Typer(
        help="Virtual keys: who may call the proxy, and what for.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.callback()(_group)
    for command in (create, rotate, revoke, show):
        group.command(name=command.__name__)(command)
    group.command(name="list")(list_keys)
    app.add_typer(group, name="keys")


def _group() -> None:
    """Virtual keys: who may call the proxy, and what for."""


def create(
    *,
    name: Annotated[str, typer.Option("--name", help="Whose key it is, or what for.")],
    role: Annotated[
        str,
        typer.Option(
            "--role",
            metavar="caller|approver|admin",
            help="caller: calls; approver: and reads /v1/budget; admin: and changes what is there.",
        ),
    ] = "caller",
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models", metavar="PATTERN", help="Only these models, as 'gpt-5*'; repeatable."
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="SPAN", help="After 30m, 24h, 90d, 12w. Else never."),
    ] = None,
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. It is shown this once, on stdout alone."""
    from budget_proxy.cli.options import chosen
    from budget_proxy.store import issuing
    from budget_proxy.store.keys import ROLES

    chosen("--role", role, ROLES)
    seconds = None if expires is None else _span("--expires", expires)
    with _history(store, existing=False) as history:
        first = not history.keys_since()
        made = issuing.create(
            history, name, time.time(),
            role=chosen("--role", role, ROLES), models=tuple(models or ()), seconds=seconds,
        )  # fmt: skip
        url = history.url
    if as_json:
        _print_json(made)
        return
    _hand_out(made, f"Key {made.key.id} ({made.key.name}, {made.key.role}) in {url}.")
    if first:
        typer.echo(
            "It is the first: every caller of a proxy on this history now needs one.", err=True
        )


def rotate(
    id_: Id,
    *,
    grace: Annotated[
        str,
        typer.Option("--grace", metavar="SPAN", help="How long the one until now still holds."),
    ] = "0s",
    store: StoreUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give a key a new secret. It is shown this once, on stdout alone."""
    from budget_proxy.cli.output import moment
    from budget_proxy.store import issuing

    seconds = _span("--grace", grace)
    with _history(store) as history:
        made = issuing.rotate(history, id_, time.time(), grace=seconds)
    if as_json:
        _print_json(made)
        return
    until = made.key.former_until
    holds = "no more" if until is None else f"until {moment(until)} UTC"
    _hand_out(made, f"Key {made.key.id} ({made.key.name}) anew; the one until now holds {holds}.")


def revoke(id_: Id, *, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """End a key, for good and at once."""
    from budget_proxy.cli.output import moment
    from budget_proxy.store import issuing

    with _history(store) as history:
        key = issuing.revoke(history, id_, time.time())
    if as_json:
        _print_json(key)
    else:
        typer.echo(f"Key {key.id} ({key.name}) is revoked since {moment(key.revoked)} UTC.")


def show(id_: Id, *, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Show one key; never its secret, of which nothing but a hash is kept."""
    from budget_proxy.cli.output import NONE, console, facts, moment
    from budget_proxy.store import issuing

    with _history(store) as history:
        key = issuing.find(history, id_, time.time())
    if as_json:
        _print_json(key)
        return
    rows = {
        "Id": key.id, "Name": key.name, "Role": key.role, "State": key.state,
        "Models": _models(key), "Created": f"{moment(key.created)} UTC",
        "Expires": "never" if key.expires is None else f"{moment(key.expires)} UTC",
        "Rotated": NONE if key.rotated is None else f"{moment(key.rotated)} UTC",
        "Revoked": NONE if key.revoked is None else f"{moment(key.revoked)} UTC",
    }  # fmt: skip
    if key.former_until is not None:
        rows["Secret before"] = f"holds until {moment(key.former_until)} UTC"
    console().print(facts(rows))


def list_keys(*, store: StoreUrl = None, as_json: AsJson = False) -> None:
    """List every key, those that are in force no more too."""
    from budget_proxy.cli.output import console, table
    from budget_proxy.proxy.health import shown
    from budget_proxy.store import issuing

    with _history(store) as history:
        found = issuing.listing(history, shown(history.url), time.time())
    if as_json:
        _print_json(found)
    elif not found.keys:
        typer.echo("There are no keys: a proxy on this history listens on loopback only.")
    else:
        rows = [
            (key.name, key.id, key.role, key.state, _ends(key.expires), _cut(_models(key)))
            for key in found.keys
        ]
        columns = ("Name", "id", "role", "state", "expires", "models")
        console().print(table("Keys", columns, rows, left=6))


@contextmanager
def _history(given: str | None, *, existing: bool = True) -> Iterator[Store]:
    """The history that keys are kept in. Raises ConfigError, StoreError."""
    history = open_history(given, existing=existing)
    try:
        if history.url == "memory:":
            raise ConfigError("a history in memory keeps no keys: name a file with --store")
        yield history
    finally:
        history.close()


def _span(option: str, text: str) -> float:
    if len(text) > _LONGEST_SPAN:
        raise InvalidInput(f"{option} takes a span such as 24h or 90d, not {text[:40]!r}")
    return seconds_of(text)


def _models(key: ListedKey) -> str:
    return ", ".join(key.models) or "every"


def _cut(text: str) -> str:
    """As much as there is room for: ids are never cut."""
    return text if len(text) <= _ROOM else text[: _ROOM - 1] + "…"


def _ends(ts: float | None) -> str:
    """The day; or day and time (UTC), without the year, where that is near enough to matter."""
    from budget_proxy.cli.output import moment

    if ts is None:
        return "never"
    return moment(ts)[5:] if abs(ts - time.time()) < _NEAR else moment(ts).partition(" ")[0]


def _hand_out(made: IssuedKey, note: str) -> None:
    """The secret on stdout, all else on stderr."""
    typer.echo(note, err=True)
    typer.echo("Give the line below to its caller as the API key; it is not shown again.", err=True)
    typer.echo(made.secret)


def _print_json(value: object) -> None:
    from budget_proxy.cli.output import print_json

    print_json(value)
