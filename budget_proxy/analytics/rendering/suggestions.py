"""Suggestions in words and numbers: an overview, sums, and what speaks for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from budget_proxy.analytics.numbers import dollars, short, whole
from budget_proxy.analytics.rendering.blocks import (
    MOST_ROWS,
    Block,
    Command,
    Document,
    Entry,
    Note,
    Table,
    visible,
)
from budget_proxy.analytics.suggestions.base import Scene, Suggestion
from budget_proxy.analytics.suggestions.budgets import LEARNING
from budget_proxy.analytics.suggestions.listing import Listing
from budget_proxy.analytics.suggestions.totals import Total

_OVERLAP: Final = Note(
    "Suggestions about the same calls overlap: sums are at most what both are worth."
)


def suggestions(found: Listing, scene: Scene, since: str, added_up: str) -> Document:
    """What was found in a scene, which is of the last ``since``.

    ``added_up`` names the groups of the sums, such as "Agent".
    """
    told = f"of the last {since}"
    sections = tuple(map(tuple, _sections(found, scene, told, added_up)))
    return Document("Suggestions", told, sections, head=(f"History {found.store}",))


def _sections(found: Listing, scene: Scene, told: str, added_up: str) -> Iterator[Sequence[Block]]:
    listed, calls = found.suggestions, sum(one.calls for one in scene.sums)
    if not listed:
        text = (
            f"Nothing to suggest from {whole(calls)} calls {told}. Suggestions need 50 calls of a "
            "kind, and a bound that holds, not only a mean."
        )
        if scene.strategy in LEARNING:
            text += (
                f" Of how budgets are made there is nothing to suggest either: the strategy is "
                f"{scene.strategy} already, which learns from this history."
            )
        yield [Note(text)]
        return
    yield [Note(f"{whole(calls)} calls in {found.days:.1f} days; figures are for a month of 30.")]
    yield [_overview(listed)]
    if found.by is not None:
        yield [_totals(found.by, added_up), _OVERLAP]
    for one in listed[:MOST_ROWS]:
        yield [_entry(one), *([Command(one.command)] if one.command else [])]
    if len(listed) > MOST_ROWS:
        yield [Note(f"and {len(listed) - MOST_ROWS} more: --json has them all, --kind fewer")]


def _overview(found: Sequence[Suggestion]) -> Table:
    rows = tuple(
        (_whose(one), one.kind, short(one.tokens), _money(one), one.confidence, one.id)
        for one in found[:MOST_ROWS]
    )
    columns = ("Agent / task / model", "kind", "tokens", "money", "conf.", "id")
    return Table(f"{len(found)} suggestions", columns, rows, left=2)


def _totals(found: Sequence[Total], added_up: str) -> Table:
    rows = tuple(
        (
            visible(one.group) or "(all)",
            str(one.suggestions),
            short(one.reserved),
            short(one.tokens),
            f"{dollars(one.money[0])} to {dollars(one.money[1])}",
            str(one.unpriced),
        )
        for one in found
    )
    columns = ("count", "reserved", "tokens", "money", "unknown")
    return Table("Added up", (added_up, *columns), rows)


def _entry(one: Suggestion) -> Entry:
    tokens = f"{whole(one.tokens)} {one.of} tokens; " if one.of else ""
    said = {
        "": visible(one.text),
        "Do:": visible(one.action),
        "Worth:": f"{tokens}{_money(one)}. {one.worth}",
        "Sure:": f"{one.confidence} (n = {whole(one.n)}); {one.effort}",
    }
    if one.calls:
        said["Calls:"] = ", ".join(map(visible, one.calls))
    return Entry(f"{one.id}  {one.kind}  {_whose(one)}", tuple(said.items()))


def _whose(one: Suggestion) -> str:
    return visible(" / ".join(part or "*" for part in (one.agent, one.task_type, one.model)))


def _money(one: Suggestion) -> str:
    if one.money is None:
        return "$ unknown"
    low, high = map(dollars, one.money)
    return low if low == high else f"{low} to {high}"
