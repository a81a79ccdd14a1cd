"""A call's characteristics, from its messages, from a descriptor, or from both.

Deterministic, and bounded in cost by ``scan``. The numbers are in ``cues`` and docs/classify.md.
Every value carries its evidence: names of our cues with counts, never the text they stood in.
Novelty stays 1.0 here; only a predictor with a history can tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from budget_proxy.classify import cues
from budget_proxy.classify.descriptor import (
    NOTHING_GIVEN,
    Descriptor,
    parse,
    story_complexity,
)
from budget_proxy.classify.evidence import Evidence, Hits, Sources, one
from budget_proxy.classify.scan import Reading, read
from budget_proxy.types import Characteristics, Message

_Scored = tuple[float, Sources]
_Text = tuple[str, str, float]
_TALK: Final = frozenset({"question", "conversation"})


def classify(
    messages: Sequence[Message], *, images: int = 0, tools: Sequence[str] = ()
) -> Characteristics:
    """Tell from the messages alone. ``images`` counts those of the whole call."""
    return _characteristics(_texts(messages), NOTHING_GIVEN, _images(messages, images), len(tools))


def classify_task(descriptor: Mapping[str, Any]) -> Characteristics:
    """Tell from a task descriptor. Raises InvalidInput on a wrong one."""
    return _characteristics([], parse(descriptor), 0, 0)


def classify_call(
    messages: Sequence[Message],
    descriptor: Mapping[str, Any] | None,
    *,
    images: int = 0,
    tools: Sequence[str] = (),
) -> Characteristics:
    """Tell from both: the descriptor's values win, the texts fill its gaps.

    Raises InvalidInput on a wrong descriptor.
    """
    given = parse(descriptor) if descriptor is not None else NOTHING_GIVEN
    return _characteristics(_texts(messages), given, _images(messages, images), len(tools))


def _characteristics(
    texts: list[_Text], given: Descriptor, images: int, tools: int
) -> Characteristics:
    labels = [("label", "\n".join(given.labels), 1.0)] if given.labels else []
    described = [("keyword", given.description, 1.0)] if given.description else []
    reading = read([*described, *texts, *labels])
    task_type, by_type = _task_type(reading, given)
    domains, by_domain = _domains(reading, given)
    complexity, by_complexity = _complexity(reading, given, task_type, images, tools)
    uncertainty, by_uncertainty = _uncertainty(reading, given, task_type)
    criticality, by_criticality = _criticality(reading, given)
    creative, by_creative = _weigh(reading.hits["creative"])
    evidence = {
        "task_type": by_type, "domains": by_domain, "complexity": by_complexity,
        "uncertainty": by_uncertainty, "criticality": by_criticality, "creative": by_creative,
    }  # fmt: skip
    return Characteristics(
        complexity=complexity,
        domains=domains,
        task_type=task_type,
        uncertainty=uncertainty,
        criticality=criticality,
        creative=creative >= cues.CREATIVE_THRESHOLD,
        architecture="architecture" in domains,
        evidence=Evidence(evidence),
    )


def _texts(messages: Sequence[Message]) -> list[_Text]:
    """Order the newest user message, the opening one if it is another, and the system prompt."""
    spoken = [message for message in messages if message.role == "user" and message.text]
    newest = spoken[-1] if spoken else next((m for m in reversed(messages) if m.text), None)
    if newest is None:
        return []
    texts = [("keyword", newest.text, 1.0)]
    if spoken and spoken[0] is not newest:
        if newest.text.lstrip()[:1] in cues.OBSERVATION:
            texts = [("keyword", newest.text, 0.5), ("opening", spoken[0].text, 2.0)]
        else:
            texts.append(("opening", spoken[0].text, 1.0))
    system = next((m for m in messages if m.role == "system" and m.text), None)
    if system is not None and system is not newest:
        texts.append(("system", system.text, 1.0))
    return texts


def _images(messages: Sequence[Message], images: int) -> int:
    return max(images, sum(message.images for message in messages))


def _task_type(reading: Reading, given: Descriptor) -> tuple[str, Sources]:
    if given.task_type is not None:
        return given.task_type, (one("descriptor", "type"),)
    scores = dict.fromkeys(cues.TASK_TYPES, 0.0)
    hits = reading.hits["task_type"]
    for cue, hit in hits.items():
        scores[cue.key] += cue.weight * hit.factor
    asked = {
        "interrogative": int(reading.interrogative), "question mark": int(reading.question_mark),
    }  # fmt: skip
    scores["question"] += cues.INTERROGATIVE_WEIGHT * asked["interrogative"]
    scores["question"] += cues.QUESTION_MARK_WEIGHT * asked["question mark"]
    best = max(scores, key=scores.__getitem__)  # the first of equals
    if scores[best] < cues.TYPE_THRESHOLD:
        best = "question" if any(asked.values()) else "conversation"
    found = {cue: hit for cue, hit in hits.items() if cue.key == best}
    return best, (found, ("structure", asked)) if best == "question" else (found,)


def _domains(reading: Reading, given: Descriptor) -> tuple[frozenset[str], Sources]:
    if given.domains:
        return given.domains, (one("descriptor", "domains", len(given.domains)),)
    scores = dict.fromkeys(cues.DOMAINS, 0.0)
    hits = reading.hits["domains"]
    for cue, hit in hits.items():
        scores[cue.key] += cue.weight * hit.factor
    found = frozenset(name for name, score in scores.items() if score >= cues.DOMAIN_THRESHOLD)
    return found, ({cue: hit for cue, hit in hits.items() if cue.key in found},)


def _complexity(
    reading: Reading, given: Descriptor, task_type: str, images: int, tools: int
) -> _Scored:
    if given.complexity is not None:
        return given.complexity, (one("descriptor", "complexity"),)
    structure = {
        "list items": reading.list_items, "code blocks": reading.code_blocks,
        "images": images, "tools": tools, "subtasks": given.subtasks,
    }  # fmt: skip
    shape = sum([_at_most(n, *cues.STRUCTURE[name]) for name, n in structure.items() if n])
    length = cues.LENGTH_POINTS * math.log2(1 + reading.characters / cues.LENGTH_UNIT)
    words, sources = _weigh(reading.hits["complexity"], cues.COMPLEXITY_CUES)
    base = cues.COMPLEXITY_BASE.get(task_type, cues.COMPLEXITY_BASE_OTHER)
    points = base + min(length, cues.LENGTH_LIMIT) + shape + words
    sources += (("structure", {"characters": reading.characters, **structure}),)
    if given.story_points is not None:
        sources += (one("descriptor", "story points"),)
        told = story_complexity(given.story_points)
        written = reading.characters or given.subtasks
        points = cues.STORY_SHARE * told + (1 - cues.STORY_SHARE) * points if written else told
    return round(min(max(points, 0.0), 100.0), 1), sources


def _uncertainty(reading: Reading, given: Descriptor, task_type: str) -> _Scored:
    points, sources = _weigh(reading.hits["uncertainty"])
    brief, brief_points = cues.UNCERTAINTY_BRIEF
    listed, listed_points = cues.UNCERTAINTY_LISTED
    if 0 < reading.words < brief and task_type not in _TALK:
        points += brief_points
        sources += (one("structure", "brief"),)
    if reading.list_items >= listed:
        points += listed_points
        sources += (one("structure", "list items", reading.list_items),)
    if given.subtasks:
        points += cues.UNCERTAINTY_SUBTASKS
        sources += (one("structure", "subtasks", given.subtasks),)
    return _unit(cues.UNCERTAINTY_BASE + points), sources


def _criticality(reading: Reading, given: Descriptor) -> _Scored:
    points, sources = _weigh(reading.hits["criticality"], cues.CRITICALITY_CUES)
    if given.criticality is None:
        return _unit(cues.CRITICALITY_BASE + points), sources
    return _unit(given.criticality + points), (one("descriptor", "priority"), *sources)


def _weigh(hits: Hits, limits: tuple[float, float] = (-math.inf, math.inf)) -> _Scored:
    """Add up the weights of the cues found, each once, within ``limits``."""
    total = sum([cue.weight * hit.factor for cue, hit in hits.items()])
    return min(max(total, limits[0]), limits[1]), (hits,)


def _at_most(count: int, each: int, limit: int) -> int:
    return min(count * each, limit)


def _unit(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 3)
