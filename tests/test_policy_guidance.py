"""The budget note: its numbers, words, place and identity."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.errors import InvalidInput
from budget_proxy.policy.base import VERSION
from budget_proxy.policy.guidance import bucket, compact, compose, detailed, place
from budget_proxy.types import LEVELS, Call, Characteristics, Forecast, Message, Override

FORECAST = Forecast(
    levels=LEVELS,
    values=(400.0, 600.0, 900.0, 1200.0, 2400.0),
    strategy="quantile",
    recommended=800,
    confidence=0.62,
    support=57,
)
TASK = Characteristics(complexity=45, task_type="bug-fix", uncertainty=0.5, criticality=0.7)


def call(*roles: str, past: bool = False) -> Call:
    """Make a call with one short message for each role."""
    messages = tuple(
        Message(role=role, text="x")  # type: ignore[arg-type]  # plain strings read better here
        for role in roles
    )
    return Call(
        id="c1",
        api="openai.chat",
        model="m",
        now=0.0,
        messages=messages,
        cache_past_system=past,
    )


@pytest.mark.parametrize(
    ("tokens", "shown"),
    [
        (-5, 64),
        (0, 64),
        (64, 64),
        (65, 91),  # 64 * 1.41421 = 90.51
        (91, 91),
        (92, 128),
        (129, 181),  # 128 * 1.41421 = 181.02
        (182, 256),
        (257, 362),  # 256 * 1.41421 = 362.04
        (363, 512),
        (513, 724),  # 512 * 1.41421 = 724.08
        (725, 1024),
        (30_000, 32_768),
    ],
)
def test_bucket_is_the_next_number_of_the_ladder(tokens: int, shown: int) -> None:
    """A count is shown as the next of 64 x 2^(k/2), never as less than 64."""
    assert bucket(tokens) == shown


@given(st.floats(min_value=64, max_value=1e7))
def test_bucket_never_shows_less_and_at_most_43_percent_more(tokens: float) -> None:
    """A bucket covers its count, by a factor of at most sqrt 2 (91/64 = 1.422 with rounding)."""
    shown = bucket(tokens)
    assert tokens <= shown <= 1.43 * tokens
    assert bucket(shown) == shown


@pytest.mark.parametrize("tokens", [math.inf, math.nan])
def test_bucket_refuses_what_is_no_count(tokens: float) -> None:
    """Infinity and NaN are errors, not an endless search."""
    with pytest.raises(InvalidInput, match="finite"):
        bucket(tokens)


def test_the_note_stands_in_the_system_prompt_by_default() -> None:
    """Without a cached prefix past the system prompt the place is the system prompt."""
    assert place(call("system", "user", "user")) == ("system", 0)


def test_the_note_stands_in_the_newest_user_message_past_a_shared_prefix() -> None:
    """With a cached prefix past the system prompt it ends the newest user message."""
    assert place(call("system", "user", "tool", "user", past=True)) == ("user", 1)


def test_the_note_falls_back_to_the_system_prompt_without_user_messages() -> None:
    """A call without any user message has no other place than the system prompt."""
    assert place(call("system", past=True)) == ("system", 0)


def test_compact_states_the_aim_and_what_comes_before_it() -> None:
    """The compact note is these bytes; changing them means raising policy.base.VERSION."""
    assert compact(450) == (
        "<budget>Aim for about 512 output tokens in all, reasoning included. Correctness and the "
        "required format come first: go over if the task needs it.</budget>"
    )


@given(st.floats(min_value=0, max_value=1e7))
def test_compact_costs_at_most_60_tokens(tokens: float) -> None:
    """At a conservative 3.2 characters a token the compact note stays within 60 tokens."""
    assert len(compact(tokens)) / 3.2 <= 60


@pytest.mark.parametrize("text", [compact(512), detailed(512, TASK, FORECAST)])
def test_no_form_orders_a_cut(text: str) -> None:
    """Neither form uses the words of a hard limit."""
    words = text.lower().replace("not a limit", "")
    for order in ("must", "limit", "maximum", "at most", "truncate", "stop", "do not exceed"):
        assert order not in words


def test_detailed_has_every_part_with_coarse_numbers() -> None:
    """The detailed note holds the mission's parts, each number as worked out here."""
    # .6 * 512 = 307 -> 362, below q50 = 400: more than half need more
    # 1.5 * 512 = 768 -> 1024, between q90 = 900 and q95 = 1200:
    #   ln(1024/900) / ln(1200/900) = .129 / .288 = .449; .90 + .449 * .05 = .922; risk .078 -> 10 %
    # uncertainty .5: thinking 25 + 5; criticality .7: reflection 15 + 5; execution 40 - 10 = 30
    # 57 calls -> 50; confidence .62 -> 60 %
    assert detailed(450, TASK, FORECAST).splitlines() == [
        "<budget>",
        "# Token budget: about 512 output tokens in all, reasoning included",
        (
            "An aim, not a limit: correctness and the required format come first; "
            "go over if the task needs it."
        ),
        "Task: bug-fix, complexity medium",
        "Phases: thinking 30 %, planning 20 %, execution 30 %, reflection 20 %",
        "Alternative: about 362 tokens; over 50 % of such answers need more",
        "Alternative: about 1024 tokens; about 10 % of such answers need more",
        "Warning: this task is important. Save tokens on wording, not on checks.",
        "Use more when requirements conflict, a check fails or the required output is long.",
        "Use fewer when the answer is short, known or asked for in brief; never pad.",
        "Tip (complexity medium): settle the approach in a few lines, then carry it out.",
        "Tip (criticality medium): check the result once before you finish.",
        "Tip (confidence medium): the estimate is fair; expect to land somewhat off it.",
        "History: at least 50 earlier calls like this one",
        "Efficiency [######----] confidence about 60 % in this budget",
        "</budget>",
    ]


def test_detailed_is_byte_stable_within_its_coarse_cells() -> None:
    """Calls that differ only below the coarseness get the same bytes."""
    near = replace(TASK, complexity=59, uncertainty=0.45, criticality=0.8, novelty=0.1)
    drifted = replace(
        FORECAST,
        values=(410.0, 610.0, 880.0, 1210.0, 2300.0),
        recommended=1000,
        confidence=0.57,
        support=99,
    )
    assert detailed(400, near, drifted) == detailed(512, TASK, FORECAST)


@pytest.mark.parametrize(
    ("criticality", "warning"),
    [(0.6, ""), (0.61, "this task is important"), (0.81, "this task is critical")],
)
def test_detailed_warns_on_critical_tasks_only(criticality: float, warning: str) -> None:
    """A warning stands above criticality .6, a stronger one above .8."""
    text = detailed(512, replace(TASK, criticality=criticality), FORECAST)
    assert ("Warning:" in text) is bool(warning)
    assert warning in text


@pytest.mark.parametrize(
    ("complexity", "level"), [(29, "low"), (30, "medium"), (59, "medium"), (60, "high")]
)
def test_detailed_names_the_complexity_in_words(complexity: float, level: str) -> None:
    """Complexity is low below 30, high from 60 on, with the tip that goes with it."""
    text = detailed(512, replace(TASK, complexity=complexity), FORECAST)
    assert f"Task: bug-fix, complexity {level}" in text
    assert f"Tip (complexity {level}): " in text


@pytest.mark.parametrize(
    ("support", "words"),
    [
        (0, "no earlier calls like this one; estimated from the task alone"),
        (1, "fewer than 20 earlier calls like this one"),
        (19, "fewer than 20 earlier calls like this one"),
        (20, "at least 20 earlier calls like this one"),
        (199, "at least 100 earlier calls like this one"),
        (10**6, "at least 10000 earlier calls like this one"),
    ],
)
def test_detailed_states_its_history_in_coarse_steps(support: int, words: str) -> None:
    """The support is named by the step it has reached."""
    text = detailed(512, TASK, replace(FORECAST, support=support))
    assert f"History: {words}\n" in text


@pytest.mark.parametrize(
    ("confidence", "level", "bar", "words"),
    [
        (0.04, "low", "----------", "under 10 %"),
        (0.34, "low", "###-------", "about 30 %"),
        (0.35, "medium", "####------", "about 40 %"),
        (0.65, "high", "#######---", "about 70 %"),
        (1.0, "high", "##########", "over 90 %"),
    ],
)
def test_detailed_shows_confidence_to_the_nearest_ten(
    confidence: float, level: str, bar: str, words: str
) -> None:
    """Tip, bar and words follow the rounded confidence; nothing claims 0 or 100 %."""
    text = detailed(512, TASK, replace(FORECAST, confidence=confidence))
    assert f"Tip (confidence {level}): " in text
    assert f"Efficiency [{bar}] confidence {words} in this budget" in text


def test_detailed_never_shows_a_number_below_the_floor() -> None:
    """At the smallest budget no lower alternative is offered; the higher one is 128."""
    text = detailed(10, TASK, FORECAST)
    # .6 * 64 = 38 -> 64, no alternative; 1.5 * 64 = 96 -> 128
    offered = [line for line in text.splitlines() if line.startswith("Alternative")]
    assert offered == ["Alternative: about 128 tokens; over 50 % of such answers need more"]


def test_a_forecast_of_one_number_gives_sensible_risks() -> None:
    """With the same number at every level, less is risky and more is safe."""
    flat = replace(FORECAST, values=(512.0,) * 5)
    text = detailed(512, TASK, flat)
    assert "about 362 tokens; over 50 % of such answers need more" in text
    assert "about 1024 tokens; under 10 % of such answers need more" in text


def test_a_risk_never_reads_as_certainty() -> None:
    """A forecast that starts at a low level says "over 90 %" at most."""
    low = replace(FORECAST, levels=(0.01, 0.5), values=(400.0, 600.0))
    assert "about 362 tokens; over 90 % of such answers need more" in detailed(512, TASK, low)


def test_compose_off_gives_nothing() -> None:
    """The form "off" composes no note."""
    assert compose("off", call("user"), TASK, FORECAST, 450) is None


def test_compose_identifies_the_note_by_version_and_text() -> None:
    """The id is the 8-byte blake2b of policy version and text; the cost is a quarter of it."""
    note = compose("compact", call("system", "user", past=True), TASK, FORECAST, 450)
    assert note is not None
    assert note.text == compact(512)
    digest = hashlib.blake2b(f"{VERSION}\0{note.text}".encode(), digest_size=8).hexdigest()
    assert note.id == digest
    assert (note.place, note.index) == ("user", 0)
    assert note.tokens == 39  # 154 characters / 4 = 38.5


def test_compose_gives_one_id_to_a_bucket_and_another_to_the_next() -> None:
    """Targets of one bucket share note and id; the next bucket has its own."""
    notes = [compose("compact", call("user"), TASK, FORECAST, target) for target in (363, 512, 513)]
    ids = [note.id for note in notes if note is not None]
    assert ids[0] == ids[1] != ids[2]


def test_compose_detailed_carries_the_detailed_text() -> None:
    """The form "detailed" composes the long note in its place."""
    note = compose("detailed", call("system", "user"), TASK, FORECAST, 450)
    assert note is not None
    assert note.text == detailed(512, TASK, FORECAST)
    assert note.place == "system"


def test_the_documentation_shows_the_real_notes() -> None:
    """docs/guidance.md quotes both forms as they are sent."""
    page = (Path(__file__).parent.parent / "docs" / "guidance.md").read_text(encoding="utf-8")
    assert compact(512) in page
    assert detailed(512, TASK, FORECAST) in page


@pytest.mark.parametrize(
    ("cap", "aim"), [(362, "362"), (361, "256"), (200, "181"), (64, "64"), (63, None)]
)
def test_the_note_never_asks_for_more_than_the_callers_own_cap(cap: int, aim: str | None) -> None:
    """A target of 300 is shown as 362, or as the highest bucket that the cap leaves."""
    in_body = replace(call("user"), ceiling=cap)
    by_override = replace(call("user"), override=Override(cap=cap))
    for asked in (in_body, by_override):
        note = compose("compact", asked, TASK, FORECAST, 300.0)
        if aim is None:
            assert note is None
        else:
            assert note is not None
            assert f"about {aim} output tokens" in note.text
