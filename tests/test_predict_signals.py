"""What signals tell of a call, and that they tell nothing else."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.classify import classify_call
from budget_proxy.predict.asked import _ASKED, _SEEN
from budget_proxy.predict.grams import grams_of
from budget_proxy.predict.signals import (
    GRAMS,
    IDENTITIES,
    NUMBERS,
    Signals,
    decode,
    signals_of,
)
from budget_proxy.types import Call, Message

SALT = b"an installation's salt"
MOST = 600
TEXTS = st.text(max_size=300) | st.sampled_from(["", "Fix it.", "a" * 10_000, "\ud800", "\0"])
MESSAGES = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    TEXTS,
    images=st.integers(0, 10),
    attachments=st.integers(0, 10),
    tool_calls=st.integers(0, 10),
)
COUNTS = st.none() | st.integers(0, 2**53)
CALLS = st.builds(
    Call,
    st.just("id"),
    st.just("openai.chat"),
    st.just("model"),
    st.just(0.0),
    messages=st.lists(MESSAGES, max_size=6).map(tuple),
    tools=st.lists(st.text(max_size=20), max_size=4).map(tuple),
    input_chars=st.integers(0, 2**53),
    n=st.integers(1, 2**53),
    ceiling=COUNTS,
    thinking_budget=COUNTS,
    effort=st.none() | st.text(max_size=8) | st.just("high"),
    thinking=st.none() | st.sampled_from(["enabled", "disabled", "adaptive"]),
)


def call(*texts: str, **fields: Any) -> Call:
    """A call whose messages are a user's and an assistant's by turns."""
    roles = ("user", "assistant")
    messages = tuple(Message(roles[at % 2], text) for at, text in enumerate(texts))  # type: ignore[arg-type]
    return Call("id", "openai.chat", "model", 0.0, **{"messages": messages, **fields})


def encoded(of: Call, salt: bytes = SALT) -> bytes:
    """The signals of a call as they are stored."""
    return signals_of(of, classify_call(of.messages, None), salt)


def signals(of: Call, salt: bytes = SALT) -> Signals:
    """The signals of a call, decoded."""
    found = decode(encoded(of, salt))
    assert found is not None
    return found


def number(of: Call | str, name: str) -> float:
    """One numeric signal of a call, or of a single user message."""
    asked = call(of) if isinstance(of, str) else of
    return float(signals(asked).numbers[NUMBERS.index(name)])


def identity(of: Call, name: str, salt: bytes = SALT) -> int:
    """One identity of a call."""
    return signals(of, salt).identities[IDENTITIES.index(name)]


@given(CALLS)
def test_any_call_has_signals(made: Call) -> None:
    """Signals of any call fit in 600 bytes, decode, and hold finite numbers and sorted hashes."""
    stored = encoded(made)
    assert len(stored) <= MOST
    found = decode(stored)
    assert found is not None
    assert len(found.numbers) == len(NUMBERS)
    assert np.isfinite(found.numbers).all()
    assert np.abs(found.numbers).max() < 20
    assert len(found.identities) == len(IDENTITIES)
    assert len(found.grams) <= GRAMS
    assert (np.diff(found.grams.astype(int)) > 0).all()
    assert encoded(made) == stored


@given(CALLS, st.data())
def test_what_is_damaged_is_not_decoded(made: Call, data: st.DataObject) -> None:
    """A missing byte or a changed one makes signals unreadable, never other signals."""
    stored = bytearray(encoded(made))
    assert decode(b"") is None
    assert decode(bytes(stored[:-1])) is None
    assert decode(bytes(stored[: data.draw(st.integers(0, len(stored) - 1))])) is None
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= data.draw(st.integers(1, 255))
    assert decode(bytes(stored)) is None


def test_other_names_are_another_version() -> None:
    """Signals of other names or another order carry another version: old ones are not misread."""
    names = "|".join((*NUMBERS, *IDENTITIES))
    known = {4: "415cb8bdc648d06d"}
    assert known[encoded(call("x"))[0]] == blake2b(names.encode(), digest_size=8).hexdigest()


def test_another_salt_gives_other_hashes() -> None:
    """Two installations share the numbers of a call, but none of its identities."""
    asked = call("Write a poem about the sea in 3 lines.", tools=("search",))
    one, other = signals(asked), signals(asked, b"another salt")
    assert (one.numbers == other.numbers).all()
    known = {identity for identity in one.identities if identity}
    assert len(known) == 5
    assert not known & set(other.identities)
    assert one.grams.tolist() != other.grams.tolist()


@pytest.mark.parametrize("word", ["Constantinople", "Timbuktu", "4711-0815"])
def test_no_text_is_in_the_bytes(word: str) -> None:
    """No four letters of a rare word stand in the signals of a message that is full of it."""
    stored = encoded(call(f"{word} and {word}, or {word}", "Indeed.", word))
    for at in range(len(word) - 3):
        part = word[at : at + 4]
        for form in (part, part.lower(), part.upper()):
            assert form.encode() not in stored
            assert form.encode("utf-16-le") not in stored


@pytest.mark.parametrize(
    "text",
    [
        "\ud800 lone \udfff surrogates",
        "x" * 1_000_000,
        "1" * 1_000_000,
        " " * 100_000,
        "\n" * 100_000,
        "\0" * 5_000,
        "\N{ARABIC LETTER ALEF}\N{HEBREW LETTER ALEF} " * 2_000,
        "\N{GRINNING FACE}" * 3_000,
        "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 100_000,
    ],
)
def test_hostile_text(text: str) -> None:
    """Odd and huge texts give signals like any other."""
    found = signals(call(text))
    assert np.isfinite(found.numbers).all()
    assert len(encoded(call(text))) <= MOST


def test_identities_say_what_came_again() -> None:
    """Each identity stays while what it stands for does, and changes with it."""
    first = call("Fix task 17 in 'a.py'.", "Done.", "Now test /tmp/a.py in 20 s.")
    later = replace(first, messages=(*first.messages[:2], Message("user", "Test /b.py in 7 s.")))
    assert identity(first, "opening") == identity(later, "opening")
    assert identity(first, "prompt") != identity(later, "prompt")
    assert identity(first, "observation") != identity(later, "observation")
    assert identity(first, "system") == 0
    assert identity(replace(first, tools=("a", "b")), "system") == identity(
        replace(later, tools=("b", "a")), "system"
    )
    again = call("Fix task 99 in 'other.py'.")
    assert identity(again, "template") == identity(call(first.messages[0].text), "template")
    assert identity(again, "prompt") != identity(call(first.messages[0].text), "prompt")
    assert identity(again, "observation") == 0


def test_the_system_prompt_stays_what_it_is() -> None:
    """What the system says later in a conversation leaves the identity of its prompt."""
    system, user = Message("system", "You fix bugs."), Message("user", "Fix it.")
    first = call(messages=(system, user))
    later = call(messages=(system, user, Message("system", "Hurry."), Message("user", "Well?")))
    other = call(messages=(Message("system", "You write tests."), user))
    assert identity(first, "system") == identity(later, "system") != identity(other, "system")


def test_other_images_are_another_prompt() -> None:
    """The same question about another picture is not the same prompt."""
    shown = [call("What is this?", images=1, fingerprint=picture) for picture in (b"cat", b"dog")]
    assert identity(shown[0], "prompt") != identity(shown[1], "prompt")


def test_no_word_stands_for_two_cues() -> None:
    """Every word and phrase is listed once, or the later cue would hide the earlier."""
    listed = [
        phrase
        for table in (_ASKED, _SEEN)
        for text in table.values()
        for phrase in text.split(", ")
    ]
    assert sorted(set(listed)) == sorted(listed)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Give a brief answer.", "brief"),
        ("Explain it in detail.", "detailed"),
        ("Answer with only the number.", "nothing else"),
        ("Reply in one word.", "nothing else"),
        ("Think step by step.", "reasoned"),
        ("Show the results in a table.", "table"),
        ("Return valid JSON.", "json"),
        ("Write a Python function.", "code"),
        ("Find the remainder when N is divided by 7.", "maths"),
        ("Write an essay about bees.", "prose"),
        ("Translate this into French.", "rewritten"),
        ("Summarize the text below.", "summary"),
        ("Is water wet?", "yes or no"),
        ("What is water?", "open question"),
        ("Pick one:\nA) red\nB) blue\nC) green", "options"),
        ("<returncode>0</returncode>", "exit zero"),
        ("The command ended with exit code 2", "exit not zero"),
        ("cat: x: No such file or directory", "missing"),
        ("Traceback (most recent call last):\nValueError", "error"),
        ("3 passed in 0.1 s", "success"),
        ("What is $\\frac{1}{2}+1$?", "LaTeX"),
        ("1 + 1 = 2", "operators"),
        ('Fill in {"name": ..., "age": ...}', "keys"),
        ("12\n30", "largest number"),
        ("+ added\n- removed", "added lines"),
        ("src/a.py\nsrc/b.py", "path lines"),
        ("\N{CYRILLIC SMALL LETTER DE}\N{CYRILLIC SMALL LETTER A}", "other letters"),
        ("\N{CJK UNIFIED IDEOGRAPH-4E2D}\N{CJK UNIFIED IDEOGRAPH-56FD}", "Asian letters"),
    ],
)
def test_cues(text: str, name: str) -> None:
    """Each cue is found where it stands, and not in a plain sentence."""
    assert number(text, name) > 0
    assert number("Colours fade.", name) == 0


def test_a_wished_length_is_in_tokens() -> None:
    """Lengths wished for rank by what they would take, whatever unit they are given in."""
    texts = ("one sentence", "a 20-word answer", "in 3 sentences", "in 500 words", "in five pages")
    wishes = [number(f"Answer {text}", "wished tokens") for text in texts]
    assert wishes[1] < wishes[2] < wishes[3] < wishes[4]
    assert number("The book has 500 words", "wished tokens") == 0
    assert number("The server said status 404", "exit not zero") == 0
    assert number("List 10 animals", "wished items") > number("Give me five", "wished items") > 0


def test_settings_stand_in_order() -> None:
    """More effort, thinking and temperature are greater numbers; none set lies between."""
    efforts = [number(call("x", effort=effort), "effort") for effort in ("low", None, "high")]
    thinking = [number(call("x", thinking=kind), "thinking") for kind in ("disabled", None, "on")]
    heat = [number(call("x", temperature=at), "temperature") for at in (0.0, 0.5, None, 1.5, 9.0)]
    for found in (efforts, thinking, heat):
        assert found == sorted(found)
        assert len(set(found)) == len(found)
    for name, field in (("cap", "ceiling"), ("form fields", "schema_fields"), ("choices", "n")):
        assert number(call("x", **{field: 9}), name) > number(call("x", **{field: 2}), name)
    assert number(call("x", stream=True), "streamed") > number("x", "streamed")


def test_the_system_prompt_and_the_last_request_count_too() -> None:
    """Wishes in the system prompt count, and the user's own behind a tool's result."""
    asked = call("List the files.")
    told = replace(asked, messages=(Message("system", "Be brief."), *asked.messages))
    assert number(told, "brief") > number(asked, "brief") == 0
    failing = replace(asked, messages=(Message("system", "Report errors."), *asked.messages))
    assert number(failing, "error") == 0  # none was seen
    seen = call("Write a poem.", "", messages=(Message("user", "Write a poem."),))
    after = replace(seen, messages=(*seen.messages, Message("tool", "12 files")))
    assert number(after, "prose") > number("12 files", "prose") == 0
    assert number(after, "after a tool") == 1


def test_the_end_of_an_observation_counts() -> None:
    """Of a tool's long output the end is read, wherever the failure stands in it."""
    output = "line\n" * 20_000 + "bash: x: No such file or directory\nexit code 1"
    seen = call(messages=(Message("user", "Go."), Message("tool", output)))
    assert number(seen, "missing") > 0
    assert number(seen, "exit not zero") == 1


def test_a_long_text_keeps_words_of_both_ends() -> None:
    """Of a text with too many words, those of its beginning and end are kept alike."""
    words = [f"w{at}x" for at in range(3_000)]
    kept = set(signals(call(" ".join(words))).grams.tolist())
    assert len(kept) == GRAMS
    for end in (words[:40], words[-40:]):
        assert set(signals(call(" ".join(end))).grams.tolist()) <= kept


@given(
    st.lists(st.sampled_from([f"w{at}" for at in range(40)]), max_size=120).map(tuple),
    st.integers(60, 90),
)
def test_grams_are_those_a_plain_loop_finds(words: tuple[str, ...], most: int) -> None:
    """The kept hashes are the distinct ones met first when walking from both ends inwards."""
    everything = {word: set(grams_of((word,), SALT, 9).tolist()) for word in set(words)}
    kept = grams_of(words, SALT, most).tolist()
    whole = grams_of(words, SALT, 10_000).tolist()
    assert kept == sorted(set(kept))
    assert set(kept) <= set(whole)
    assert len(kept) == min(most, len(whole))
    if words:
        assert everything[words[0]] | everything[words[-1]] <= set(kept)
    if most > len(whole):
        assert set().union(*everything.values()) <= set(kept)
