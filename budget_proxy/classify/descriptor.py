"""A task descriptor, checked: what a caller says of a task beside or in place of messages.

Every field is optional and ``None`` counts as absent. A wrong type or value is the caller's
error and is answered by an InvalidInput that names the field, what came and what is wanted.
The words that trackers use (priorities, types, domains) are mapped here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from budget_proxy.classify.cues import DOMAINS, TASK_TYPES
from budget_proxy.errors import InvalidInput

FIELDS: Final = (
    "description", "type", "complexity", "domain", "domains", "story_points", "priority",
    "labels", "subtasks",
)  # fmt: skip
TYPE_LENGTH: Final = 40
"""Task types that are not ours are kept, in lower case, up to this many characters."""

COMPLEXITY_WORDS: Final = MappingProxyType({
    "trivial": 10.0, "low": 25.0, "simple": 25.0, "easy": 25.0, "medium": 60.0,
    "moderate": 60.0, "normal": 60.0, "high": 85.0, "complex": 85.0, "hard": 85.0,
    "very high": 95.0,
})  # fmt: skip

STORY_POINTS: Final = ((0, 0), (1, 10), (2, 20), (3, 35), (5, 50), (8, 65), (13, 80), (21, 95))
"""Story points and their complexity; between them linear, above the last as the last."""

PRIORITIES: Final = MappingProxyType({
    "critical": 0.9, "blocker": 0.9, "urgent": 0.9, "highest": 0.9, "p0": 0.9, "1": 0.9,
    "high": 0.7, "major": 0.7, "p1": 0.7, "2": 0.7,
    "medium": 0.4, "normal": 0.4, "moderate": 0.4, "default": 0.4, "p2": 0.4, "3": 0.4,
    "low": 0.2, "minor": 0.2, "p3": 0.2, "4": 0.2,
    "lowest": 0.1, "trivial": 0.1, "p4": 0.1, "5": 0.1,
})  # fmt: skip
"""Criticality by priority. Bare numbers as trackers count: 1 is the most urgent."""

TYPE_ALIASES: Final = MappingProxyType({
    "feature": "code-generation", "story": "code-generation", "enhancement": "code-generation",
    "improvement": "code-generation", "implementation": "code-generation",
    "code": "code-generation", "coding": "code-generation", "codegen": "code-generation",
    "bug": "bug-fix", "bugfix": "bug-fix", "fix": "bug-fix", "defect": "bug-fix",
    "hotfix": "bug-fix", "incident": "bug-fix", "debugging": "bug-fix",
    "refactor": "refactoring", "cleanup": "refactoring", "tech-debt": "refactoring",
    "test": "testing", "tests": "testing", "qa": "testing",
    "code-review": "review", "pr-review": "review", "audit": "review",
    "docs": "documentation", "doc": "documentation", "writing": "documentation",
    "research": "analysis", "investigation": "analysis", "spike": "analysis",
    "q&a": "question", "ask": "question", "chat": "conversation",
})  # fmt: skip

DOMAIN_ALIASES: Final = MappingProxyType({
    "back-end": "backend", "server": "backend", "api": "backend", "front-end": "frontend",
    "ui": "frontend", "ux": "frontend", "web": "frontend", "db": "database", "sql": "database",
    "data": "database", "authentication": "auth", "authorization": "auth", "security": "auth",
    "test": "testing", "tests": "testing", "qa": "testing", "infrastructure": "devops",
    "infra": "devops", "ops": "devops", "ci": "devops", "design": "architecture",
    "system-design": "architecture",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A checked descriptor. ``criticality`` is the priority's; ``labels`` are texts to scan."""

    description: str = ""
    task_type: str | None = None
    complexity: float | None = None
    domains: frozenset[str] = frozenset()
    story_points: float | None = None
    criticality: float | None = None
    labels: tuple[str, ...] = ()
    subtasks: int = 0


NOTHING_GIVEN: Final = Descriptor()


def parse(descriptor: Mapping[str, Any]) -> Descriptor:
    """Check a descriptor. Raises InvalidInput on an unknown field or a wrong value."""
    if not isinstance(descriptor, Mapping):
        raise _wrong("task descriptor", descriptor, "an object such as {'description': '…'}")
    unknown = [str(name)[:40] for name in descriptor if name not in FIELDS]
    if unknown:
        raise InvalidInput(
            f"task descriptor has no field {unknown[0]!r}; it knows {', '.join(FIELDS)}"
        )
    given = {name: value for name, value in descriptor.items() if value is not None}
    named = _texts("domain", given.get("domain")) + _texts("domains", given.get("domains"))
    known = [_canonical(name, DOMAIN_ALIASES) for name in named]
    return Descriptor(
        description=_text("description", given.get("description", "")),
        task_type=_task_type(given.get("type")),
        complexity=_complexity(given.get("complexity")),
        domains=frozenset(name for name in known if name in DOMAINS),
        story_points=_number("story_points", given.get("story_points")),
        criticality=_priority(given.get("priority")),
        labels=_texts("labels", given.get("labels")) + named,
        subtasks=_count(given.get("subtasks")),
    )


def story_complexity(points: float) -> float:
    """Complexity (0-100) of a story-point estimate, by the table STORY_POINTS."""
    below = STORY_POINTS[0]
    for above in STORY_POINTS[1:]:
        if points <= above[0]:
            share = (points - below[0]) / (above[0] - below[0])
            return below[1] + share * (above[1] - below[1])
        below = above
    return float(below[1])


def _wrong(name: str, value: Any, wanted: str) -> InvalidInput:
    shown = value if isinstance(value, int | float) else type(value).__name__
    return InvalidInput(f"{name} must be {wanted}, not {shown}")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(f"task descriptor's {name}", value, "a text")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Sequence | set | frozenset) or isinstance(value, bytes | bytearray):
        raise _wrong(f"task descriptor's {name}", value, "a text or a list of texts")
    return tuple(_text(f"{name} entry", item) for item in value if item is not None)


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(f"task descriptor's {name}", value, "a number >= 0")
    if not (math.isfinite(value) and value >= 0):
        raise _wrong(f"task descriptor's {name}", value, "a finite number >= 0")
    return float(value)


def _complexity(value: Any) -> float | None:
    wanted = f"a number from 0 to 100 or one of {', '.join(COMPLEXITY_WORDS)}"
    if isinstance(value, str):
        word = _plain(value)
        if not word:
            return None
        if word not in COMPLEXITY_WORDS:
            raise InvalidInput(f"task descriptor's complexity must be {wanted}, not {value[:40]!r}")
        return COMPLEXITY_WORDS[word]
    if isinstance(value, Mapping | Sequence | bool):
        raise _wrong("task descriptor's complexity", value, wanted)
    number = _number("complexity", value)
    if number is not None and number > 100:  # noqa: PLR2004 (the scale's end, in the message)
        raise _wrong("task descriptor's complexity", value, wanted)
    return number


def _priority(value: Any) -> float | None:
    wanted = f"one of {', '.join(PRIORITIES)}"
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _wrong("task descriptor's priority", value, wanted)
    word = _plain(str(value))
    if not word:
        return None
    if word not in PRIORITIES:
        raise InvalidInput(f"task descriptor's priority must be {wanted}, not {word[:40]!r}")
    return PRIORITIES[word]


def _task_type(value: Any) -> str | None:
    if value is None:
        return None
    text = "".join(sign for sign in _text("type", value)[:200] if sign.isprintable())
    word = _plain(text)[:TYPE_LENGTH].rstrip()
    if not word:
        return None
    known = _canonical(word, TYPE_ALIASES)
    return known if known in TASK_TYPES else word


def _count(value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return len(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _wrong("task descriptor's subtasks", value, "a list of subtasks or their number")
    return value


def _plain(text: str) -> str:
    return " ".join(text.split()).lower()


def _canonical(word: str, aliases: Mapping[str, str]) -> str:
    name = _plain(word).replace(" ", "-").replace("_", "-")
    return aliases.get(name, name)
