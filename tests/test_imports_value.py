from __future__ import annotations

from typing import Any

import pytest

from budget_proxy.errors import InvalidInput
from budget_proxy.store.imports import value
from budget_proxy.store.recorded import ImpossibleUsage

NOON = 1_772_452_800.0  # 2026-03-02 12:00 UTC


@pytest.mark.parametrize(
    ("written", "ts"),
    [
        ("2026-03-02T12:00:00Z", NOON),
        ("2026-03-02 12:00:00.250000", NOON + 0.25),
        ("2026-03-02 12:00:00.25", NOON + 0.25),
        ("2026-03-02 13:00:00+01", NOON),
        ("2026-03-02T07:00:00-0500", NOON),
        ("2026-03-02 12:00:00 UTC", NOON),
        ("2026-03-02", NOON - 43_200),
        (NOON, NOON),
        (NOON * 1000, NOON),
        (str(int(NOON)), NOON),
        (f"{NOON * 1000:.0f}", NOON),
        ("", None),
        (None, None),
    ],
)
def test_times_in_any_spelling(written: Any, ts: float | None) -> None:
    """ISO 8601 with a space or a T, with a zone or in UTC; seconds and milliseconds."""
    assert value.moment({"at": written}, "at") == ts


@pytest.mark.parametrize("written", ["yesterday", "2026-13-01", [1], {}, True, "1.2.3"])
def test_what_is_no_time_is_told_by_its_field(written: Any) -> None:
    """And not by its content."""
    with pytest.raises(InvalidInput, match=r"^at must be") as caught:
        value.moment({"at": written}, "at")
    assert "yesterday" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "count"),
    [(5, 5), (5.0, 5), ("5", 5), ("5.0", 5), (" 5 ", 5), (0, 0), ("", None), (None, None)],
)
def test_counts(written: Any, count: int | None) -> None:
    """As numbers and as tables write them; zero is a count, and absence is none."""
    assert value.whole({"n": written}, "m", "n") == count


@pytest.mark.parametrize("written", [-1, 1.5, "-3", "2.25"])
def test_impossible_counts(written: Any) -> None:
    """Below zero, or in fractions."""
    with pytest.raises(ImpossibleUsage, match=r"^n must be a whole number"):
        value.whole({"n": written}, "m", "n")


@pytest.mark.parametrize("written", ["many", True, [5], {"a": 1}, "nan", "1e999"])
def test_what_is_no_number(written: Any) -> None:
    """Is an error that names the field, not its content."""
    with pytest.raises(InvalidInput, match=r"^n must be a number, not"):
        value.whole({"n": written}, "n")


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ([{"role": "user", "content": "hi"}], ({"role": "user", "content": "hi"},)),
        ('[{"role": "user", "content": "hi"}]', ({"role": "user", "content": "hi"},)),
        ({"messages": [{"role": "user", "content": "hi"}]}, ({"role": "user", "content": "hi"},)),
        ({"role": "user", "content": "hi"}, ({"role": "user", "content": "hi"},)),
        ("hi", ({"role": "user", "content": "hi"},)),
        ("[not json", ({"role": "user", "content": "[not json"},)),
        ("", ()),
        ({}, ()),
        (None, ()),
        (7, ()),
        ([1, None, {"content": "no role"}], ()),
    ],
)
def test_prompts_in_any_form(prompt: Any, read: tuple[Any, ...]) -> None:
    """Messages as a list, within an object, as JSON in a text, or one plain text."""
    assert value.messages(prompt) == read
