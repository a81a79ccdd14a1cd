"""Characteristics against sums worked out by hand from the tables of docs/classify.md."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.classify import classify, classify_call, classify_task, cues
from budget_proxy.errors import InvalidInput
from budget_proxy.types import Characteristics, Message

TIMES = "\N{MULTIPLICATION SIGN}"


def of(text: str) -> Characteristics:
    """Classify one user message."""
    return classify([Message("user", text)])


def found(task: Characteristics, name: str) -> tuple[str, ...]:
    """The evidence of one characteristic, as "place:cue count"."""
    return tuple(item.replace(TIMES, " ") for item in task.evidence[name])


def padded(text: str, length: int) -> str:
    """``text`` and filler words that are no cues, ``length`` characters in all."""
    return (text + " zzz" * length)[:length]


def test_a_bug_report_by_hand() -> None:
    """A report of 250 characters scores as the tables say."""
    task = of(padded("Fix the login bug: sometimes the checkout fails in production.", 250))
    assert task.task_type == "bug-fix"  # (fix 3 + bug 3) x 2 as lead + fails 1.5 = 13.5
    assert task.domains == {"auth"}  # login 1
    assert task.complexity == 36.0  # bug-fix 30 + 6 x log2(1 + 250/250) = 6
    assert task.uncertainty == 0.45  # .30 + sometimes .15
    assert task.criticality == 0.6  # .30 + production .15 + checkout .15
    assert not task.creative
    assert not task.architecture
    assert task.novelty == 1.0


def test_evidence_names_cues_with_their_counts() -> None:
    """Evidence lists the names of the cues found and how often, by characteristic."""
    task = of("Fix the login bug: sometimes the fix fails in production.")
    assert found(task, "task_type") == ("keyword:fix 2", "keyword:bug 1", "keyword:failure 1")
    assert found(task, "domains") == ("keyword:auth 1",)
    assert found(task, "uncertainty") == ("keyword:irregular 1",)
    assert found(task, "criticality") == ("keyword:production 1",)
    assert found(task, "complexity") == ("structure:characters 57",)
    assert "creative" not in task.evidence


def test_structure_by_hand() -> None:
    """List items, code blocks, images and tools add their points up to their limits."""
    text = padded("Refactor:\n- one\n- two\n* three\n1. four\n```\nfix bug\n```\n", 750)
    messages = [Message("user", text, images=1)]
    plain = classify(messages, tools=["a", "b"])
    # refactoring 35 + 6 x log2(1 + 750/250) = 12 + 4 list items 8 + 1 code block 4
    # + images 5 + tools 2 = 66
    assert plain.complexity == 66.0
    assert plain.task_type == "refactoring"  # what stands in the code block is not read
    assert plain.uncertainty == 0.25  # .30 - .05 for three list items or more
    many = classify(messages, images=7, tools=["t"] * 30)
    assert many.complexity == 69.0  # tools at most 5 instead of 2; images 5 at most


def test_complexity_cues_by_hand() -> None:
    """Complexity cues add up, once each, between -20 and +30."""
    hard = of(padded("Implement a scalable, distributed, concurrent, thorough parser", 250))
    # code-generation 30 + length 6 + limit 30 (8 scale + 10 distributed + 8 concurrency
    # + 8 thorough + 6 algorithm = 40)
    assert hard.complexity == 66.0
    easy = of(padded("Fix a simple, simple, small typo in the bug", 250))
    # bug-fix 30 + length 6 - limit 20 (8 simple + 5 small + 10 trivial = 23)
    assert easy.complexity == 16.0


@pytest.mark.parametrize(
    ("text", "task_type"),
    [
        ("Write a small python function that gets all the links of a website", "code-generation"),
        ("How can I fix this error in my code?", "bug-fix"),
        ("Please refactor the order module so that it reads better", "refactoring"),
        ("Write unit tests for the parser with pytest", "testing"),
        ("Review this pull request and give feedback", "review"),
        ("Write a readme and docstrings for this library", "documentation"),
        ("Compare the two data sets and summarize the trends", "analysis"),
        ("What is the capital of Australia?", "question"),
        ("If 6 potatoes make 36 fries, who ate 12 of them?", "question"),
        ("hello there, thanks for yesterday", "conversation"),
        ("Was ist die Hauptstadt?", "question"),
        ("これは何ですか?", "question"),
        ("これは何ですか\N{FULLWIDTH QUESTION MARK}", "question"),
        ("Write a poem about the sea", "conversation"),
        ("zzz", "conversation"),
    ],
)
def test_task_types_of_plain_prompts(text: str, task_type: str) -> None:
    """Ordinary prompts get the type a reader would give them."""
    assert of(text).task_type == task_type


def test_a_tie_goes_to_the_earlier_type() -> None:
    """Of equal sums the type that stands first in the list wins."""
    tied = of("crash pytest traceback; rename it, decouple it")
    # bug-fix: crash 2 x 2 + traceback 2 x 2 = 8; refactoring: rename 2 x 2 + decouple 2 x 2 = 8
    assert tied.task_type == "bug-fix"


def test_a_sum_below_the_threshold_decides_nothing() -> None:
    """One weak cue does not make a type: 1.5 for "code" is below 2."""
    assert of("the code").task_type == "conversation"
    assert of("the code?").task_type == "question"
    assert of("python code").task_type == "code-generation"  # 1.5 + language 1 = 2.5


def test_a_lead_cue_counts_double_and_a_late_one_does_not() -> None:
    """The first 12 words weigh double: an order there beats a stronger mention later."""
    filler = "zzz " * 12
    # write tests 4 + test 1 = 5 stand late both times, against debug 3 x 2 = 6 and debug 3
    assert of("Debug it. " + filler + "write tests").task_type == "bug-fix"
    assert of(filler + "Debug it. write tests").task_type == "testing"


def test_the_newest_message_outweighs_the_opening_and_the_system_prompt() -> None:
    """Places weigh 1, .5 and .25; a system prompt decides only what the user leaves open."""
    system = Message("system", "You are a code review assistant.")
    review = classify([system, Message("user", "here it comes")])
    # system: (code review 4 + review 3) x 2 x .25 = 3.5
    assert review.task_type == "review"
    assert found(review, "task_type") == ("system:review 1", "system:code review 1")
    other = classify([system, Message("user", "Fix the bug")])  # (3 + 3) x 2 = 12
    assert other.task_type == "bug-fix"
    later = classify([Message("user", "Fix the bug"), Message("user", "go on")])
    assert later.task_type == "bug-fix"  # opening: 12 x .5 = 6
    assert found(later, "task_type") == ("opening:fix 1", "opening:bug 1")


def test_a_system_prompt_says_nothing_of_urgency() -> None:
    """Security talk in a system prompt does not make each of its calls critical."""
    system = Message("system", "Never leak credentials; security incident, urgent!")
    task = classify([system, Message("user", "zzz")])
    assert task.criticality == 0.3


def test_tool_output_as_newest_message_weighs_half() -> None:
    """A newest message that looks like a tool's output yields to the opening one."""
    opening = Message("user", "Refactor it")
    seen = Message("user", "<output>test failed: error, crash, traceback</output>")
    # opening: 4 x 2 = 8; output: (crash 2 x 2 + traceback 2 x 2 + failed 1.5 + error 1.5) / 2 = 5.5
    assert classify([opening, seen]).task_type == "refactoring"
    assert classify([seen]).task_type == "bug-fix"


def test_without_user_messages_the_last_text_stands_in() -> None:
    """A call of a system prompt alone is read from that."""
    task = classify([Message("system", "Translate this code"), Message("assistant", "")])
    assert task.task_type == "refactoring"  # "translate this code" 2 x 2


@pytest.mark.parametrize("messages", [[], [Message("user", "")], [Message("user", "", images=2)]])
def test_nothing_to_read_gives_the_neutral_values(messages: list[Message]) -> None:
    """Empty calls and calls of images only are conversations of little complexity."""
    task = classify(messages)
    images = sum(message.images for message in messages)
    assert task.task_type == "conversation"
    assert task.complexity == 5.0 + (5.0 if images else 0.0)  # conversation 5, images 5
    assert (task.uncertainty, task.criticality) == (0.3, 0.3)


def test_brief_orders_are_uncertain_brief_questions_are_not() -> None:
    """Fewer than 8 words add .15, save in a question or a conversation."""
    assert of("Fix the bug").uncertainty == 0.45
    assert of("How much is 1+1?").uncertainty == 0.3


def test_creativity_needs_cues_of_one_in_all() -> None:
    """One word of .5, such as story, is not creative; with vivid (.5), or poem (1), it is."""
    assert not of("a 3-story building").creative
    assert of("a vivid story").creative
    assert of("a poem").creative


def test_architecture_is_the_domain_of_that_name() -> None:
    """The flag follows the domain: 1 for microservices, .5 for scalability alone."""
    assert of("split it into microservices").architecture
    assert not of("mind scalability").architecture


def test_only_the_ends_of_a_long_message_are_read() -> None:
    """Of a megabyte the first and last 4,000 characters are scanned; the length counts whole."""
    filler = "zzz " * 125_000
    end = of(filler + "fix the bug")
    middle = of(filler + "fix the bug " + filler)
    assert end.task_type == "bug-fix"  # 3 + 3, late
    assert middle.task_type == "conversation"
    assert middle.complexity == 35.0  # conversation 5 + length, at most 30


def test_a_task_from_a_descriptor_by_hand() -> None:
    """The mission's example: complexity 65 and priority High are taken as given."""
    task = classify_task({"complexity": 65, "priority": "High"})
    assert task.complexity == 65.0
    assert task.criticality == 0.7
    assert task.uncertainty == 0.3
    assert found(task, "complexity") == ("descriptor:complexity 1",)
    assert found(task, "criticality") == ("descriptor:priority 1",)


def test_story_points_and_subtasks_by_hand() -> None:
    """Story points weigh .7 against the text's .3, and stand alone where there is no text."""
    assert classify_task({"story_points": 8}).complexity == 65.0
    told = classify_task({
        "description": padded("Refactor", 250), "story_points": 8, "subtasks": ["a", "b", "c"],
    })  # fmt: skip
    # .7 x 65 = 45.5; .3 x (refactoring 35 + length 6 + subtasks 12 = 53) = 15.9
    assert told.complexity == 61.4
    assert told.uncertainty == 0.2  # .30 - .10 for the subtasks


def test_labels_are_read_as_cues() -> None:
    """Labels count like text: domains, criticality and creativity come from them too."""
    task = classify_task({"labels": ["security", "back-end", "creative"], "domains": ["payments"]})
    assert task.criticality == 0.6  # .30 + security .15 + payments .15
    assert task.domains == {"backend"}
    assert task.creative
    assert found(task, "domains") == ("label:backend 1",)


def test_the_descriptor_wins_and_the_text_fills_the_gaps() -> None:
    """Given both, what the descriptor says stands, and the rest is read from the messages."""
    messages = [Message("user", "Fix the login bug in production")]
    task = classify_call(messages, {"type": "feature", "priority": "low", "complexity": 12.5})
    assert task.task_type == "code-generation"
    assert task.complexity == 12.5
    assert task.criticality == 0.35  # low .2 + production .15
    assert task.domains == {"auth"}
    assert classify_call(messages, None) == classify(messages)
    assert classify_call(messages, {}) == classify(messages)


def test_a_wrong_descriptor_is_an_error_with_messages_too() -> None:
    """classify_call hands the descriptor's errors to the caller."""
    with pytest.raises(InvalidInput, match="story_points must be a number"):
        classify_call([], {"story_points": "many"})


NAMES = {cue.name for table in cues.TABLES.values() for cue in table} | set(cues.STRUCTURE)
NAMES |= {"characters", "interrogative", "question mark", "brief"}


@given(st.lists(st.text(max_size=300), max_size=4), st.text(max_size=200))
def test_any_text_gives_valid_values_and_only_our_names(texts: list[str], system: str) -> None:
    """Whatever the text, values lie in their ranges and evidence holds none of it."""
    messages = [Message("system", system), *(Message("user", text) for text in texts)]
    task = classify(messages)
    assert 0.0 <= task.complexity <= 100.0
    assert all(0.0 <= value <= 1.0 for value in (task.uncertainty, task.criticality))
    assert task.task_type in cues.TASK_TYPES
    assert task.domains <= set(cues.DOMAINS)
    assert classify(messages) == task
    shown = [name for names in task.evidence.values() for name in names]
    assert {name.partition(":")[2].rpartition(TIMES)[0] for name in shown} <= NAMES


@pytest.mark.parametrize("text", ["\ud800 fix", "\x00" * 50, "`" * 5000, "🙂" * 3000, "- " * 9000])
def test_odd_texts_do_not_raise(text: str) -> None:
    """Lone surrogates, null bytes, open fences and symbols are read like any other text."""
    assert of(text).task_type in cues.TASK_TYPES
