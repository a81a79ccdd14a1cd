"""Texts are split and read as docs/classify.md says."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.classify.scan import read, split


@given(st.text(alphabet=st.characters(codec="ascii"), max_size=200))
def test_ascii_text_is_split_as_the_pattern_would(text: str) -> None:
    """The fast way for ASCII gives the very words that the pattern gives."""
    assert split(text).order == tuple(re.findall(r"\w+", text.lower()))


def test_other_scripts_are_split_into_words() -> None:
    """Letters of any script make words."""
    assert split("Größe, naïve — 東京!").order == ("größe", "naïve", "東京")


def test_closed_fences_are_counted_and_not_read() -> None:
    """Two closed blocks count as two, and their words are not among those read."""
    reading = read([("keyword", "a ```b c``` d ```e``` f", 1.0)])
    assert reading.code_blocks == 2
    assert reading.words == 3


def test_an_open_fence_opens_nothing() -> None:
    """A fence that is never closed leaves the text after it to be read."""
    reading = read([("keyword", "a ```b``` c ``` d e", 1.0)])
    assert reading.code_blocks == 1
    assert reading.words == 4


def test_list_items_are_lines_with_a_mark() -> None:
    """Bullets and numbers at the start of a line make items; dashes within one do not."""
    reading = read([("keyword", "- a\n  * b\n12. c\n3) d\n-e\nx - y\n1 z", 1.0)])
    assert reading.list_items == 4


def test_only_the_main_text_gives_the_shape() -> None:
    """Length, words and question mark are those of the first keyword text."""
    reading = read([
        ("keyword", "what is it?", 1.0), ("keyword", "and so on", 1.0), ("label", "x", 1.0),
    ])  # fmt: skip
    assert (reading.characters, reading.words) == (11, 3)
    assert reading.interrogative
    assert reading.question_mark


def test_a_phrase_matches_word_by_word() -> None:
    """Phrases of two and three words match in order only, through any punctuation."""
    found = read([("keyword", "Data-loss! Loss of data. Site is down; the site is not down", 1.0)])
    counts = {cue.name: hit.count for cue, hit in found.hits["criticality"].items()}
    assert counts == {"data loss": 1, "outage": 1}


def test_a_phrase_at_the_very_end_matches() -> None:
    """The last words of a text are looked at like the others."""
    found = read([("keyword", "no data loss", 1.0)])
    assert [cue.name for cue in found.hits["criticality"]] == ["data loss"]


def test_a_cue_counts_where_it_weighs_most() -> None:
    """Found in two places, a cue keeps the greater factor and that place's count."""
    texts = [("keyword", "zzz " * 20 + "bug", 0.5), ("opening", "bug bug", 2.0)]
    hits = read(texts).hits["task_type"]
    shown = {cue.name: (hit.place, hit.factor, hit.count) for cue, hit in hits.items()}
    # keyword 1 x .5; opening .5 x 2 = 1, twice as lead
    assert shown == {"bug": ("opening", 2.0, 2)}


def test_a_later_lead_raises_the_factor_of_the_same_place() -> None:
    """A cue met late in one text and early in another of the same place counts as lead."""
    texts = [("keyword", "zzz " * 20 + "bug", 1.0), ("keyword", "bug", 1.0)]
    hits = read(texts).hits["task_type"]
    assert [(hit.factor, hit.count) for hit in hits.values()] == [(2.0, 2)]
