"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from budget_proxy.analytics import periods
from budget_proxy.errors import ConfigError, InvalidInput

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from budget_proxy.store.base import Store

StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="The history, such as sqlite:///budget.db. Else BUDGET_PROXY_STORE or the settings "
        "file, else the user's data directory.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="table|json|markdown|html",
        help="table (for a terminal), json, markdown, or html: one file, with plots. Else by the "
        "name that --out gives.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write it there: .html, .md or .json."),
]
Agent = Annotated[str | None, typer.Option("--agent", metavar="NAME", help="Whose call it is.")]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="The model's name.")]
OnlyAgent = Annotated[
    str | None, typer.Option("--agent", metavar="NAME", help="Only this agent's calls.")
]
OnlyTaskType = Annotated[
    str | None, typer.Option("--task-type", metavar="NAME", help="Only calls of this kind.")
]
OnlyModel = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Only this model's calls.")
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--zone",
        metavar="ZONE",
        help="The time zone that days begin in, such as Europe/Berlin. Else the setting time_zone.",
    ),
]

seconds_of: Final = periods.seconds_of
"""What spans of time as options give them are in seconds."""

_FILE: Final = "sqlite:///"


def store_url(given: str | None) -> str:
    """The history's URL: as given, else the settings', else the default. Raises ConfigError."""
    if given is not None:
        return given
    from budget_proxy.settings import default_store, load

    return load().store or default_store()


def open_history(given: str | None, *, existing: bool = False) -> Store:
    """Open the history. Raises ConfigError, and StoreError where it cannot be used.

    With ``existing`` one that was named must be there already: reading makes no history.
    """
    from budget_proxy.store import open_store

    url = store_url(given)
    if existing and given is not None and url.startswith(_FILE) and not _path(url).exists():
        raise ConfigError(f"there is no history {url}")
    return open_store(url)


def only(agent: str | None, task_type: str | None, model: str | None) -> dict[str, Any]:
    """The columns by which some calls alone are asked for, and their values."""
    asked = {"agent": agent, "task_type": task_type, "model": model}
    return {name: value for name, value in asked.items() if value}


def zone_of(given: str | None) -> ZoneInfo:
    """The time zone: as given, else the settings'. Raises ConfigError, InvalidInput."""
    from zoneinfo import ZoneInfo

    from budget_proxy.settings import load

    try:
        return ZoneInfo(load().time_zone if given is None else given)
    except (KeyError, ValueError, OSError):  # OSError: the name of a directory
        raise InvalidInput(
            f"no time zone {given!r} is known; names are those of the IANA, such as Europe/Berlin"
        ) from None


def _path(url: str) -> Path:
    return Path(url.removeprefix(_FILE))


def chosen(option: str, given: str, known: Iterable[str]) -> Any:
    """What was given, if it is one of the known. Raises InvalidInput."""
    if given not in known:
        raise InvalidInput(f"{option} must be one of {', '.join(known)}, not {given!r}")
    return given


def day_began(text: str, zone: ZoneInfo) -> float:
    """When a day such as 2026-11-30 began in a time zone, in Unix seconds. Raises InvalidInput."""
    from datetime import datetime

    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(f"a day is written as 2026-11-30, not {text!r}") from None
