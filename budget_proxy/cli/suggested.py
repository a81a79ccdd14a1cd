"""Suggestions as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from budget_proxy.errors import InvalidInput

if TYPE_CHECKING:
    from rich.table import Table

    from budget_proxy.analytics.suggestions.base import Scene, Suggestion

_BY: Final = {"agent": "agent", "task": "task_type", "model": "model"}
_NAMES: Final = {"agent": "Agent", "task": "Task type", "model": "Model"}
_MOST: Final = 20


def key_of(by: str) -> str:
    """The field of suggestions that ``--by`` names. Raises InvalidInput."""
    if by not in _BY:
        raise InvalidInput(f"--by must be one of {', '.join(_BY)}, not {by!r}")
    return _BY[by]


def show(
    url: str,
    scene: Scene,
    found: Sequence[Suggestion],
    by: str | None,
    options: str,
    since: str,
) -> None:
    """Print an overview, and each suggestion with what speaks for it."""
    from budget_proxy.analytics.suggestions.listing import command
    from budget_proxy.cli.output import console, whole

    out = console()
    calls = sum(one.calls for one in scene.sums)
    out.print(f"History {url}", soft_wrap=True)
    if not found:
        out.print(
            f"Nothing to suggest from {whole(calls)} calls of the last {since}. Suggestions need "
            "50 calls of a kind, and a bound that holds, not only a mean."
        )
        return
    out.print(f"{whole(calls)} calls in {scene.days:.1f} days; figures are for a month of 30.\n")
    out.print(_overview(found))
    if by is not None:
        out.print()
        out.print(_totals(found, by))
        out.print("Suggestions about the same calls overlap: sums are at most what both are worth.")
    for one in found[:_MOST]:
        out.print()
        for line in _lines(one, out.width):
            out.print(line)
        applying = command(one, options)
        if applying is not None:
            out.print(f"  {applying}", soft_wrap=True)
    if len(found) > _MOST:
        out.print(f"\nand {len(found) - _MOST} more: --json has them all, --kind fewer")


def _overview(found: Sequence[Suggestion]) -> Table:
    from budget_proxy.cli.output import short, table

    rows = [
        (_whose(one), one.kind, short(one.tokens), _money(one), one.confidence, one.id)
        for one in found[:_MOST]
    ]
    columns = ("Agent / task / model", "kind", "tokens", "money", "conf.", "id")
    return table(f"{len(found)} suggestions", columns, rows, left=2)


def _totals(found: Sequence[Suggestion], by: str) -> Table:
    from budget_proxy.analytics.suggestions.totals import totals
    from budget_proxy.cli.output import dollars, short, table

    rows = [
        (
            visible(one.group) or "(all)",
            str(one.suggestions),
            short(one.reserved),
            short(one.tokens),
            f"{dollars(one.money[0])} to {dollars(one.money[1])}",
            str(one.unpriced),
        )
        for one in totals(found, _BY[by])
    ]
    columns = ("count", "reserved", "tokens", "money", "unknown")
    return table("Added up", (_NAMES[by], *columns), rows)


def _lines(one: Suggestion, width: int) -> list[str]:
    from budget_proxy.cli.output import whole

    tokens = f"{whole(one.tokens)} {one.of} tokens; " if one.of else ""
    said = {
        "": visible(one.text),
        "Do:": visible(one.action),
        "Worth:": f"{tokens}{_money(one)}. {one.worth}",
        "Sure:": f"{one.confidence} (n = {whole(one.n)}); {one.effort}",
    }
    if one.calls:
        said["Calls:"] = ", ".join(map(visible, one.calls))
    lines = [f"{one.id}  {one.kind}  {_whose(one)}"]
    for name, text in said.items():
        first, later = f"  {name:7}" if name else "  ", " " * (9 if name else 2)
        lines += wrap(text, width, initial_indent=first, subsequent_indent=later)
    return lines


def _whose(one: Suggestion) -> str:
    return visible(" / ".join(part or "*" for part in (one.agent, one.task_type, one.model)))


def _money(one: Suggestion) -> str:
    from budget_proxy.cli.output import dollars

    if one.money is None:
        return "$ unknown"
    low, high = map(dollars, one.money)
    return low if low == high else f"{low} to {high}"


def visible(text: str, keep: str = "") -> str:
    """A text that others chose, without what would steer a terminal."""
    return "".join(
        sign if sign.isprintable() or sign in keep else sign.encode("unicode_escape").decode()
        for sign in text
    )
