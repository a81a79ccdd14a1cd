"""Texts are read once: split into words, looked up in one index of all cue tables.

A dictionary look-up a word costs a fraction of a scan with alternated patterns, and the cost
is bounded: only the ends of long texts are read. Fenced code is counted, not read for cues.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from budget_proxy.classify.cues import (
    INTERROGATIVES,
    LEAD_WEIGHT,
    LEAD_WORDS,
    PLACES,
    SCANNED,
    SYSTEM_TABLES,
    TABLES,
    Cue,
)

_WORD: Final = re.compile(r"\w+")
_ASCII_GAPS: Final = {at: " " for at in range(128) if not _WORD.fullmatch(chr(at))}
_LIST_ITEM: Final = re.compile(r"\n[ \t]{0,20}(?:[-*+•]|\d{1,3}[.)])[ \t]")
_FENCE: Final = "```"
_QUESTION_MARKS: Final = frozenset("?\N{FULLWIDTH QUESTION MARK}\N{ARABIC QUESTION MARK}")
_Found = tuple[str, Cue]


def _index() -> tuple[
    dict[str, list[_Found]], dict[str, dict[str, list[tuple[list[str], _Found]]]]
]:
    """Index single words by themselves, phrases by their first and then their second word."""
    words: dict[str, list[_Found]] = {}
    phrases: dict[str, dict[str, list[tuple[list[str], _Found]]]] = {}
    for table, cues in TABLES.items():
        for cue in cues:
            for phrase in cue.phrases:
                first, *rest = phrase.split()
                if rest:
                    seconds = phrases.setdefault(first, {})
                    seconds.setdefault(rest[0], []).append((rest[1:], (table, cue)))
                else:
                    words.setdefault(first, []).append((table, cue))
    return words, phrases


_WORDS, _PHRASES = _index()


@dataclass(slots=True)
class Hit:
    """Where a cue was found: its weight's factor, the place that gave it, and how often there."""

    factor: float
    place: str
    count: int


@dataclass(slots=True)
class Reading:
    """What a call's texts hold. ``hits`` by table; the rest describes the main text alone."""

    hits: dict[str, dict[Cue, Hit]] = field(default_factory=lambda: {name: {} for name in TABLES})
    characters: int = 0
    words: int = 0
    list_items: int = 0
    code_blocks: int = 0
    interrogative: bool = False
    question_mark: bool = False


def read(texts: Iterable[tuple[str, str, float]]) -> Reading:
    """Read (place, text, weight) triples; places are those of cues.PLACES.

    The first text of place "keyword" is the main one. ``weight`` multiplies the place's own.
    """
    reading = Reading()
    for place, text, weight in texts:
        head, tail = SCANNED[place]
        part = text if len(text) <= head + tail else _ends(text, head, tail)
        blocks = part.split(_FENCE) if _FENCE in part else [part]
        words = split(_prose(blocks))
        if place == "keyword" and not reading.characters:
            _shape(reading, text, part, blocks, words)
        _collect(reading, words, place, PLACES[place] * weight)
    return reading


def split(text: str) -> list[str]:
    """Lower-case words: runs of letters, digits and underscores."""
    if text.isascii():  # the same words, at a fifth of the pattern's cost
        return text.translate(_ASCII_GAPS).lower().split()
    return _WORD.findall(text.lower())


def _ends(text: str, head: int, tail: int) -> str:
    return text[:head] + "\n" + text[len(text) - tail :] if tail else text[:head]


def _prose(blocks: list[str]) -> str:
    """Join what stands outside closed fences; a fence left open opens nothing."""
    if len(blocks) == 1:
        return blocks[0]
    outside = blocks[::2] if len(blocks) % 2 else [*blocks[::2], blocks[-1]]
    return "\n".join(outside)


def _shape(reading: Reading, text: str, part: str, blocks: list[str], words: list[str]) -> None:
    reading.characters = len(text)
    reading.words = len(words)
    reading.list_items = len(_LIST_ITEM.findall("\n" + part))
    reading.code_blocks = (len(blocks) - 1) // 2
    reading.interrogative = bool(words) and words[0] in INTERROGATIVES
    reading.question_mark = part.rstrip()[-1:] in _QUESTION_MARKS


def _collect(reading: Reading, words: list[str], place: str, factor: float) -> None:
    lead = set(words[:LEAD_WORDS])
    counts = Counter(words)
    for word in [word for word in counts if word in _WORDS]:
        for found in _WORDS[word]:
            _note(reading, found, place, factor, counts[word], lead=word in lead)
    if _PHRASES.keys().isdisjoint(counts):
        return
    for at in [at for at, word in enumerate(words[:-1]) if word in _PHRASES]:
        for rest, found in _PHRASES[words[at]].get(words[at + 1], ()):
            if not rest or words[at + 2 : at + 2 + len(rest)] == rest:
                _note(reading, found, place, factor, 1, lead=at < LEAD_WORDS)


def _note(
    reading: Reading, found: _Found, place: str, factor: float, count: int, *, lead: bool
) -> None:
    table, cue = found
    if place == "system" and table not in SYSTEM_TABLES:
        return
    if lead and table == "task_type" and cue.weight >= LEAD_WEIGHT:
        factor *= 2
    hit = reading.hits[table].get(cue)
    if hit is None or (place != hit.place and factor > hit.factor):
        reading.hits[table][cue] = Hit(factor, place, count)
    elif place == hit.place:
        hit.count += count
        hit.factor = max(hit.factor, factor)
