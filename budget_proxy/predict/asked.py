"""Cues of the wanted length and form of an answer, and of what an agent has just seen.

Every word is looked up once, in one table, as ``classify.scan`` does; phrases are looked for
only where their first word stands.
"""

from __future__ import annotations

import math
from typing import Final

from budget_proxy.classify.scan import Words, places

_ASKED: Final = {
    "brief": (
        "brief, briefly, concise, concisely, short, shortly, succinct, succinctly, terse, tldr, "
        "quick, quickly, shorter, simple"
    ),
    "detailed": (
        "detailed, detail, details, comprehensive, comprehensively, thorough, thoroughly, "
        "extensive, elaborate, depth, exhaustive, long, longer, complete, full, fully, at length"
    ),
    "nothing else": (
        "only the, only a, only one, just the, only with, answer only, respond only, output only, "
        "reply only, only output, only return, return only, nothing else, no explanation, "
        "without explanation, do not explain, don t explain, no other text, one word, "
        "single word, single number, single letter, without any explanation"
    ),
    "reasoned": (
        "step by step, reasoning, reason, rationale, justify, show your, explain your, prove, "
        "proof, derive, think, thoughts, first reasoning, think through"
    ),
    "explanation": "explain, describe, discuss, why, how, understand, meaning, overview",
    "list": (
        "list, lists, bullet, bullets, enumerate, examples, ideas, tips, ways, steps, suggest, "
        "suggestions, recommend, recommendations, top"
    ),
    "table": "table, csv, spreadsheet, column, columns, markdown, tabular",
    "json": "json, yaml, xml, schema",
    "code": (
        "code, function, script, program, implement, python, javascript, typescript, java, rust, "
        "sql, html, css, regex, bash, algorithm, c, cpp, golang, api, react, query, django, "
        "command, implementation, snippet"
    ),
    "maths": (
        "solve, equation, integral, triangle, probability, polynomial, integer, integers, "
        "remainder, calculate, sum, product, prime, compute, theorem, radius, frac, sqrt, digit, "
        "real numbers, positive integers, circle, angle, perimeter, area, modulo, matrix, "
        "how many, how much, percent"
    ),
    "prose": (
        "essay, story, letter, article, poem, blog, speech, report, novel, chapter, lyrics, "
        "song, screenplay, scene, dialogue, fiction, fanfiction, post, proposal, stories, email"
    ),
    "rewritten": (
        "rewrite, paraphrase, translate, translation, correct, proofread, rephrase, improve, "
        "edit, reword, convert, grammar"
    ),
    "summary": "summarize, summarise, summary, abstract, key points, main points, tl dr",
    "label": (
        "classify, extract, label, identify, categorize, sentiment, detect, choose, select, "
        "pick, option, options, multiple choice, following is, true or false, yes or no"
    ),
    "role": "act as, pretend, roleplay, role play, you are, imagine, persona",
    "plan": (
        "plan, strategy, itinerary, schedule, guide, tutorial, design, roadmap, outline, "
        "curriculum, business, architecture"
    ),
    "comparison": "compare, contrast, difference, differences, versus, vs, pros and cons",
    "talk": "hello, hi, hey, thanks, thank, please, good morning, bye, chat",
    "continued": "continue, more, again, go on, keep going, next, proceed",
}
"""tuple[str, ...] and phrases, by what they tell of the wanted answer."""

_SEEN: Final = {
    "error": (
        "error, errors, exception, traceback, fatal, failed, failure, failures, fails, fail, "
        "cannot, invalid, undefined, unexpected, typeerror, valueerror, attributeerror, "
        "importerror, keyerror, syntaxerror, assertionerror, nameerror, modulenotfounderror"
    ),
    "missing": (
        "no such file, not found, does not exist, no module, no matches, no match, "
        "doesn t exist, filenotfounderror, can t open, permission denied, timed out, timeout"
    ),
    "success": "passed, ok, success, successfully, succeeded, done, passes, works",
    "tests": "test, tests, pytest, unittest, collected, testing, assert, ran, tox",
    "source": (
        "def, class, return, self, import, elif, raise, const, var, let, void, public, static, "
        "struct, func, fn, kwargs, args, none, null"
    ),
    "change": "diff, index, git, commit, patch, modified, changed, changes, insertions, replaced",
    "issue": (
        "description, expected, actual, behavior, behaviour, reproduce, bug, steps to reproduce, "
        "version, issue, acceptance"
    ),
}
"""tuple[str, ...] and phrases, by what they tell of what an agent has just seen."""

_UNITS: Final = {
    "word": 1.4, "words": 1.4, "sentence": 28.0, "sentences": 28.0, "line": 14.0, "lines": 14.0,
    "paragraph": 110.0, "paragraphs": 110.0, "page": 600.0, "pages": 600.0, "bullet": 30.0,
    "bullets": 30.0, "characters": 0.25, "tokens": 1.0,
}  # fmt: skip
"""About how many tokens one of them takes."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_LEADS: Final = _set(
    "in within about around approximately most least than exactly under over of to a an only "
    "minimum maximum between roughly write using single and be max min limit up below"
)
"""tuple[str, ...] before a number that make it a wish."""

_LISTING: Final = _set("list give name provide suggest generate write top create me")
_SPELT: Final = {
    "a": 1, "an": 1, "one": 1, "single": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6,
    "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twenty": 20, "few": 3, "couple": 2,
    "several": 4, "hundred": 100, "thousand": 1000,
}  # fmt: skip
_CLOSED: Final = _set("is are was were do does did can could will would should has have am may")
"""First words of a question that yes or no answers."""
_OPEN: Final = _set("what how why who whom whose when where which")
_EXITS: Final = _set("returncode exit_code exitcode code status")
_BARE: Final = _set("code status")
_EXITED: Final = _set("exit exited return returned error with")
"""tuple[str, ...] before a bare "code" or "status" that make it that of a command."""

_NUMBERED: Final = frozenset((*_UNITS, *_LISTING, *_EXITS))
"""tuple[str, ...] that tell more with the number beside them."""

WISHES: Final = (*_ASKED, "wished tokens", "wished items", "yes or no", "open question")
NAMES: Final = (*WISHES, *_SEEN, "exit zero", "exit not zero")

_SCALE: Final = 5.0
_MOST: Final = 100_000
_Phrases = dict[str, list[tuple[tuple[str, ...], int]]]
"""Phrases that begin alike: by their second word, what follows it, and the cues that they are."""


def _index() -> dict[str, tuple[int, _Phrases]]:
    """By first word: the cue it is by itself (or -1), and the phrases that it begins."""
    index: dict[str, tuple[int, _Phrases]] = {}
    for name, phrases in (_ASKED | _SEEN).items():
        cue = NAMES.index(name)
        for phrase in phrases.split(", "):
            first, *rest = phrase.split()
            single, begun = index.get(first, (-1, {}))
            if rest:
                begun.setdefault(rest[0], []).append((tuple(rest[1:]), cue))
            index[first] = single if rest else cue, begun
    for first in _NUMBERED:
        index.setdefault(first, (-1, {}))
    return index


_INDEX: Final = _index()
_WISHED, _ITEMS, _CLOSED_AT, _OPEN_AT = range(len(_ASKED), len(WISHES))
_ZERO, _NOT_ZERO = len(NAMES) - 2, len(NAMES) - 1


def asked_of(words: Words) -> list[float]:
    """The numbers of NAMES: logs of how often each cue stands in ``words``, and of wishes."""
    order, known = words
    counts: dict[int, int] = {}
    begun: dict[str, _Phrases] = {}
    numbered = set()
    for word in [word for word in known if word in _INDEX]:
        single, phrases = _INDEX[word]
        if single >= 0:
            counts[single] = counts.get(single, 0) + known[word]
        if phrases and not phrases.keys().isdisjoint(known.keys()):
            begun[word] = phrases
        if word in _NUMBERED:
            numbered.add(word)
    if begun:
        _count_phrases(order, begun, counts)
    found = [0.0] * len(NAMES)
    for cue, count in counts.items():
        found[cue] = math.log1p(count)
    if numbered:
        for at in places(order, numbered):
            _beside(order, at, found)
    for first in order[:1]:
        found[_CLOSED_AT] = float(first in _CLOSED)
        found[_OPEN_AT] = float(first in _OPEN)
    return found


def _count_phrases(
    order: tuple[str, ...], begun: dict[str, _Phrases], counts: dict[int, int]
) -> None:
    for at in places(order[:-1], begun):
        for rest, cue in begun[order[at]].get(order[at + 1], ()):
            if order[at + 2 : at + 2 + len(rest)] == rest:
                counts[cue] = counts.get(cue, 0) + 1


def _beside(words: tuple[str, ...], at: int, found: list[float]) -> None:
    """What a word tells together with a number beside it."""
    word = words[at]
    if word in _UNITS:
        found[_WISHED] = max(found[_WISHED], _wish(words, at))
    elif word in _LISTING:
        found[_ITEMS] = max(found[_ITEMS], _items(words, at))
    elif word in _EXITS:
        _exit(words, at, found)


def _number(word: str) -> int:
    """What a word counts; 0 for one that is no number."""
    if word.isdecimal():
        return min(int(word[:6]), _MOST)
    return _SPELT.get(word, 0)


def _wish(words: tuple[str, ...], at: int) -> float:
    """The log of the tokens that "in 3 sentences" or "a 500 word essay" wishes for."""
    number = _number(words[at - 1]) if at else 0
    if not number:
        return 0.0
    before = words[at - 2] if at > 1 else "in"
    singular = not words[at].endswith("s") and words[at - 1].isdecimal()
    if singular or before in _LEADS or before.isdecimal():
        return math.log1p(number * _UNITS[words[at]]) / _SCALE
    return 0.0


def _items(words: tuple[str, ...], at: int) -> float:
    """The log of the items that "list 10" or "give me five ideas" asks for."""
    for word in words[at + 1 : at + 3]:
        number = _number(word)
        if number > 1:
            return math.log1p(min(number, 1000)) / _SCALE
    return 0.0


def _exit(words: tuple[str, ...], at: int, found: list[float]) -> None:
    """What "exit code 1" or "<returncode>0" says."""
    if words[at] in _BARE and not (at and words[at - 1] in _EXITED):
        return
    after = words[at + 1] if at + 1 < len(words) else ""
    if after.isdecimal():
        found[_NOT_ZERO if after.strip("0") else _ZERO] = 1.0
