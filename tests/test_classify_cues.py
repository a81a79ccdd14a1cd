"""The cue tables are sound, and docs/classify.md shows exactly them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from budget_proxy.classify import cues, descriptor

PAGE = Path(__file__).parents[1] / "docs" / "classify.md"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"
NAMES = {
    "task_type": "Task types", "domains": "Domains", "complexity": "Complexity",
    "uncertainty": "Uncertainty", "criticality": "Criticality", "creative": "Creativity",
}  # fmt: skip
SCALES: dict[str, Iterable[tuple[object, object]]] = {
    "Base complexity by task type": [
        *cues.COMPLEXITY_BASE.items(), ("any other", cues.COMPLEXITY_BASE_OTHER),
    ],
    "Complexity in words": descriptor.COMPLEXITY_WORDS.items(),
    "Complexity of story points (between them linear)": descriptor.STORY_POINTS,
    "Criticality by priority": descriptor.PRIORITIES.items(),
    "Task type aliases": descriptor.TYPE_ALIASES.items(),
    "Domain aliases": descriptor.DOMAIN_ALIASES.items(),
    "First words that ask": [(word, "question") for word in sorted(cues.INTERROGATIVES)],
}  # fmt: skip


def test_docs_show_exactly_the_tables() -> None:
    """docs/classify.md holds every cue, weight and scale of the code, and no other."""
    text = PAGE.read_text(encoding="utf-8")
    shown = text[text.index(BEGIN) + len(BEGIN) : text.index(END)]
    assert shown == render(), "run: python tests/test_classify_cues.py"


@pytest.mark.parametrize("table", cues.TABLES)
def test_no_phrase_stands_twice_under_a_key(table: str) -> None:
    """Within a table, no phrase points twice to the same key, so no weight counts twice."""
    phrases = [(cue.key, phrase) for cue in cues.TABLES[table] for phrase in cue.phrases]
    assert sorted(phrases) == sorted(set(phrases))


def test_phrases_are_written_as_they_are_read() -> None:
    """Every phrase is made of lower-case words only, else it could never match."""
    for table in cues.TABLES.values():
        for cue in table:
            for phrase in cue.phrases:
                words = phrase.split(" ")
                assert phrase == phrase.lower()
                assert all(word.isascii() and word.isalnum() for word in words), phrase


def test_keys_are_the_known_task_types_and_domains() -> None:
    """Task-type and domain cues point to known names, and every name has a cue and a base."""
    assert {cue.key for cue in cues.TASK_TYPE} == set(cues.TASK_TYPES)
    assert {cue.key for cue in cues.DOMAIN} == set(cues.DOMAINS)
    assert set(cues.COMPLEXITY_BASE) == set(cues.TASK_TYPES)


def test_aliases_lead_to_known_names() -> None:
    """Descriptor aliases end at our own task types and domains."""
    assert set(descriptor.TYPE_ALIASES.values()) <= set(cues.TASK_TYPES)
    assert set(descriptor.DOMAIN_ALIASES.values()) <= set(cues.DOMAINS)


def test_high_priority_stays_below_the_critical_step() -> None:
    """The origin's example needs "High" above .6 and not above .8, "critical" above .8."""
    assert 0.6 < descriptor.PRIORITIES["high"] <= 0.8 < descriptor.PRIORITIES["critical"]


def render() -> str:
    """The tables as docs/classify.md shows them."""
    parts = [_cue_table(NAMES[name], table) for name, table in cues.TABLES.items()]
    parts += [_scale(title, rows) for title, rows in SCALES.items()]
    parts.append(_numbers())
    return "\n".join(parts)


def _cue_table(title: str, table: Iterable[cues.Cue]) -> str:
    lines = [f"### {title}", "", "| for | cue | weight | phrases |", "|---|---|---|---|"]
    lines += [
        f"| {cue.key} | {cue.name} | {cue.weight:g} | {', '.join(cue.phrases)} |" for cue in table
    ]
    return "\n".join(lines) + "\n"


def _scale(title: str, rows: Iterable[tuple[object, object]]) -> str:
    by_value: dict[str, list[str]] = {}
    for name, value in rows:
        shown = f"{value:g}" if isinstance(value, int | float) else str(value)
        by_value.setdefault(shown, []).append(str(name))
    lines = [f"### {title}", "", "| given | is |", "|---|---|"]
    lines += [f"| {', '.join(names)} | {value} |" for value, names in by_value.items()]
    return "\n".join(lines) + "\n"


def _numbers() -> str:
    lines = ["### Numbers", "", "| name | value |", "|---|---|"]
    for name, value in vars(cues).items():
        if name.isupper() and isinstance(value, int | float | tuple) and "Cue" not in str(value):
            lines.append(f"| {name} | {value} |")
    for name in ("PLACES", "SCANNED", "STRUCTURE"):
        for key, value in getattr(cues, name).items():
            lines.append(f"| {name} {key} | {value} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    before, after = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END) :]
    PAGE.write_text(before + render() + after, encoding="utf-8")
