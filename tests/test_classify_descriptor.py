"""Descriptors are checked at the boundary: every wrong value is named, every gap is fine."""

from __future__ import annotations

from typing import Any

import pytest

from budget_proxy.classify.descriptor import FIELDS, Descriptor, parse, story_complexity
from budget_proxy.errors import InvalidInput


def test_every_field_is_optional_and_none_is_absent() -> None:
    """Nothing given, everything None, and empty texts all mean the same."""
    assert parse({}) == Descriptor()
    assert parse(dict.fromkeys(FIELDS)) == Descriptor()
    empty = {"description": "", "type": " ", "complexity": "", "priority": "", "labels": []}
    assert parse(empty) == Descriptor()


def test_a_full_descriptor_is_read() -> None:
    """Each field ends where it belongs, words and aliases mapped by the tables."""
    read = parse({
        "description": "d", "type": "Bug", "complexity": "Medium", "domain": "DB",
        "domains": ["front-end", "System Design"], "story_points": 5, "priority": "P1",
        "labels": ("x", None, "y"), "subtasks": [{"title": "a"}, "b"],
    })  # fmt: skip
    assert read == Descriptor(
        description="d", task_type="bug-fix", complexity=60.0,
        domains=frozenset({"database", "frontend", "architecture"}), story_points=5.0,
        criticality=0.7, labels=("x", "y", "DB", "front-end", "System Design"), subtasks=2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Feature", "code-generation"),
        ("bug", "bug-fix"),
        ("Code_Review", "review"),
        ("code generation", "code-generation"),
        ("  Data  Entry ", "data entry"),
        ("ÉPIC\x00\ud800", "épic"),
        ("x" * 300, "x" * 40),
    ],
)
def test_types_are_ours_or_kept_in_lower_case(given: str, kept: str) -> None:
    """Known types and aliases become ours; any other text is kept, shortened and printable."""
    assert parse({"type": given}).task_type == kept


@pytest.mark.parametrize(
    ("given", "criticality"),
    [("High", 0.7), ("critical", 0.9), ("URGENT", 0.9), ("medium", 0.4), ("low", 0.2),
     ("P0", 0.9), ("p4", 0.1), (1, 0.9), (5, 0.1), ("3", 0.4)],
)  # fmt: skip
def test_priorities_in_words_levels_and_numbers(given: Any, criticality: float) -> None:
    """Words, P-levels and numbers (1 the most urgent) name the same five steps."""
    assert parse({"priority": given}).criticality == criticality


@pytest.mark.parametrize(
    ("points", "complexity"),
    [(0, 0), (1, 10), (2, 20), (3, 35), (4, 42.5), (5, 50), (8, 65), (13, 80), (21, 95), (99, 95)],
)
def test_story_points_follow_the_table(points: float, complexity: float) -> None:
    """Fibonacci points stand in the table; 4 lies halfway between 3 and 5."""
    assert story_complexity(points) == complexity


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("text", "task descriptor must be an object .* not str"),
        ([], "task descriptor must be an object .* not list"),
        ({"colour": 1}, "no field 'colour'; it knows description, type"),
        ({1: 1}, "no field '1'"),
        ({"description": 5}, "description must be a text, not 5"),
        ({"description": b"x"}, "description must be a text, not bytes"),
        ({"type": ["bug"]}, "type must be a text, not list"),
        ({"complexity": 101}, "complexity must be a number from 0 to 100 .* not 101"),
        ({"complexity": -1}, "complexity must be a finite number >= 0, not -1"),
        ({"complexity": float("nan")}, "complexity must be a finite number >= 0, not nan"),
        ({"complexity": True}, "complexity must be a number from 0 to 100 .* not True"),
        ({"complexity": "huge"}, "complexity must be .* low, simple, .* not 'huge'"),
        ({"complexity": [1]}, "complexity must be a number .* not list"),
        ({"domain": 1}, "domain must be a text or a list of texts, not 1"),
        ({"domains": [1]}, "domains entry must be a text, not 1"),
        ({"domains": {"auth": 1}}, "domains must be a text or a list of texts, not dict"),
        ({"domains": b"auth"}, "domains must be a text or a list of texts, not bytes"),
        ({"story_points": "5"}, "story_points must be a number >= 0, not str"),
        ({"story_points": True}, "story_points must be a number >= 0, not True"),
        ({"story_points": float("inf")}, "story_points must be a finite number >= 0, not inf"),
        ({"priority": "someday"}, "priority must be one of critical, .* not 'someday'"),
        ({"priority": 6}, "priority must be one of .* not '6'"),
        ({"priority": 1.5}, "priority must be one of .* not 1.5"),
        ({"priority": True}, "priority must be one of .* not True"),
        ({"labels": 3}, "labels must be a text or a list of texts, not 3"),
        ({"subtasks": -1}, "subtasks must be a list of subtasks or their number, not -1"),
        ({"subtasks": "two"}, "subtasks must be a list of subtasks or their number, not str"),
    ],
)
def test_wrong_values_are_named(wrong: Any, message: str) -> None:
    """The error names the field, says what came and what is wanted."""
    with pytest.raises(InvalidInput, match=message):
        parse(wrong)


def test_unknown_domains_are_labels() -> None:
    """A domain that is none of the seven is no error: it is read like a label."""
    read = parse({"domains": ["payments", "auth"]})
    assert read.domains == {"auth"}
    assert read.labels == ("payments", "auth")
