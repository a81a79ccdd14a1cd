"""Texts are read once: split into words, looked up in one index of all cue tables.

A dictionary look-up a word costs a fraction of a scan with alternated patterns, and the cost
is bounded: only the ends of long texts are read. Fenced code is counted, not read for cues.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import compress
from typing import Final, NamedTuple

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
_ASCII: Final = (
    "".join(sign.lower() if _WORD.fullmatch(sign) else " " for sign in map(chr, range(128)))
    .encode()
    .ljust(256)
)
"""What becomes of each byte of an ASCII text: a small letter, a digit, or a gap."""
_LIST_ITEM: Final = re.compile(r"\n[ \t]{0,20}(?:[-*+•]|\d{1,3}[.)])[ \t]")
_FENCE: Final = "```"
_QUESTION_MARKS: Final = frozenset("?\N{FULLWIDTH QUESTION MARK}\N{ARABIC QUESTION MARK}")


class Words(NamedTuple):
    """The words of a text in order, and how often each stands in it."""

    order: tuple[str, ...]
    counts: Counter[str]


class _Known(NamedTuple):
    """A cue of a table; ``leads`` says that it counts double among a text's first words."""

    table: str
    cue: Cue
    leads: bool


_Phrases = dict[str, list[tuple[tuple[str, ...], _Known]]]
"""Phrases that begin alike: by their second word, what follows it, and what they are."""


def _index() -> dict[str, tuple[list[_Known], _Phrases]]:
    """Index every first word: what it is by itself, and the phrases that it begins."""
    index: dict[str, tuple[list[_Known], _Phrases]] = {}
    for table, cues in TABLES.items():
        for cue in cues:
            known = _Known(table, cue, table == "task_type" and cue.weight >= LEAD_WEIGHT)
            for phrase in cue.phrases:
                first, *rest = phrase.split()
                words, phrases = index.setdefault(first, ([], {}))
                if rest:
                    phrases.setdefault(rest[0], []).append((tuple(rest[1:]), known))
                else:
                    words.append(known)
    return index


_INDEX: Final = _index()


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


@dataclass(frozen=True, slots=True)
class _Part:
    """What one text holds by itself: its shape, and the cues in it as they were found."""

    words: int
    list_items: int
    code_blocks: int
    interrogative: bool
    question_mark: bool
    found: tuple[tuple[_Known, int, bool], ...]
    """Each with how often it was found, and whether it counts double."""


def read(texts: Iterable[tuple[str, str, float]]) -> Reading:
    """Read (place, text, weight) triples; places are those of cues.PLACES.

    The first text of place "keyword" is the main one. ``weight`` multiplies the place's own.
    """
    reading = Reading()
    for place, text, weight in texts:
        head, tail = SCANNED[place]
        part = _part(text if len(text) <= head + tail else _ends(text, head, tail))
        if place == "keyword" and not reading.characters:
            _shape(reading, text, part)
        _collect(reading, part, place, PLACES[place] * weight)
    return reading


@lru_cache(maxsize=256)
def _part(text: str) -> _Part:
    """Read one text. System prompts come again with every call, openings with every turn."""
    blocks = text.split(_FENCE) if _FENCE in text else [text]
    words = split(_prose(blocks))
    return _Part(
        words=len(words.order),
        list_items=len(_LIST_ITEM.findall("\n" + text)),
        code_blocks=(len(blocks) - 1) // 2,
        interrogative=any(word in INTERROGATIVES for word in words.order[:1]),
        question_mark=text.rstrip()[-1:] in _QUESTION_MARKS,
        found=tuple(_found(words)),
    )


@lru_cache(maxsize=2)
def split(text: str) -> Words:
    """Lower-case words: runs of letters, digits and underscores.

    Those of the last texts are kept: a call's are asked for by classify and by its signals.
    More of them would only keep memory from being used again while the processor has it at hand.
    """
    if text.isascii():  # the same words, at a fifth of the pattern's cost
        found = text.encode().translate(_ASCII).decode().split()
    else:
        found = _WORD.findall(text.lower())
    return Words(tuple(found), Counter(found))


def places(order: Sequence[str], wanted: Container[str]) -> list[int]:
    """Where one of the words that are wanted stands."""
    return list(compress(range(len(order)), map(wanted.__contains__, order)))


def _ends(text: str, head: int, tail: int) -> str:
    return text[:head] + "\n" + text[len(text) - tail :] if tail else text[:head]


def _prose(blocks: list[str]) -> str:
    """Join what stands outside closed fences; a fence left open opens nothing."""
    if len(blocks) == 1:
        return blocks[0]
    outside = blocks[::2] if len(blocks) % 2 else [*blocks[::2], blocks[-1]]
    return "\n".join(outside)


def _shape(reading: Reading, text: str, part: _Part) -> None:
    reading.characters = len(text)
    reading.words = part.words
    reading.list_items = part.list_items
    reading.code_blocks = part.code_blocks
    reading.interrogative = part.interrogative
    reading.question_mark = part.question_mark


def _found(words: Words) -> Iterator[tuple[_Known, int, bool]]:
    """Look all words up, then all phrases."""
    order, counts = words
    lead = order[:LEAD_WORDS]
    begun: dict[str, _Phrases] = {}
    for word in [word for word in counts if word in _INDEX]:
        singles, phrases = _INDEX[word]
        for known in singles:
            yield known, counts[word], known.leads and word in lead
        if phrases and not phrases.keys().isdisjoint(counts.keys()):
            begun[word] = phrases
    if not begun:
        return
    for at in places(order[:-1], begun):
        for rest, known in begun[order[at]].get(order[at + 1], ()):
            if not rest or order[at + 2 : at + 2 + len(rest)] == rest:
                yield known, 1, known.leads and at < LEAD_WORDS


def _collect(reading: Reading, part: _Part, place: str, factor: float) -> None:
    system, by_table = place == "system", reading.hits
    for (table, cue, _), count, doubled in part.found:
        if system and table not in SYSTEM_TABLES:
            continue
        weight = 2 * factor if doubled else factor
        hits = by_table[table]
        hit = hits.get(cue)
        if hit is None or (place != hit.place and weight > hit.factor):
            hits[cue] = Hit(weight, place, count)
        elif place == hit.place:
            hit.count += count
            hit.factor = max(hit.factor, weight)
