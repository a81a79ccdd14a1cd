"""The list of behaviours in the documentation is the list that is run."""

from __future__ import annotations

from pathlib import Path

from tests.conformance import BEHAVIOURS

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"


def table() -> str:
    """The first table of docs/compatibility.md."""
    lines = ["| behaviour | what is done | calls |", "|---|---|---|"]
    lines += [f"| {one.id} | {one.text} | {one.calls} |" for one in BEHAVIOURS.values()]
    return "\n".join(lines)


def test_there_are_at_least_sixty() -> None:
    """Each with a name of its own, and a sentence that says what is done."""
    assert len(BEHAVIOURS) >= 60
    assert all(one.text.endswith(".") for one in BEHAVIOURS.values())


def test_the_page_lists_what_is_run() -> None:
    """In the same words and the same order: the page's first table is this one."""
    text = PAGE.read_text()
    assert text[text.index("\n| ") + 1 :].startswith(table() + "\n\n")
