from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from budget_proxy.cli.diff import Change, changes
from budget_proxy.types import Body, Guidance, Patch, Thinking
from budget_proxy.wire import DIALECTS, Context
from budget_proxy.wire.single import default_model, single_message
from tests.makers import plan

SECRET = "the launch code is 0000"
NOTE = Guidance("g1", "<budget>Aim for about 512 output tokens in all.</budget>")


def _diff(before: Body, after: Body, patch: Patch | None = None) -> list[Change]:
    return changes(before, plan(body=after, patch=patch or Patch(guidance=NOTE)))


def test_equal_bodies_differ_in_nothing() -> None:
    """Also where they are different objects."""
    assert _diff({"model": "m", "messages": []}, {"model": "m", "messages": []}) == []


def test_a_number_that_was_added_is_shown_with_its_path() -> None:
    """Leaves of an added object stand alone; sizes are bytes of JSON."""
    found = _diff({"model": "m"}, {"model": "m", "max_tokens": 2000, "thinking": {"budget": 100}})
    assert found == [
        Change("$.max_tokens", "added", 0, 4, 2000),
        Change("$.thinking.budget", "added", 0, 3, 100),
    ]


def test_of_a_prompt_with_a_note_only_the_note_is_shown() -> None:
    """The text before it is the caller's."""
    before = {"messages": [{"role": "system", "content": SECRET}]}
    after = {"messages": [{"role": "system", "content": f"{SECRET}\n\n{NOTE.text}"}]}
    (found,) = _diff(before, after)
    assert (found.path, found.change) == ("$.messages[0].content", "changed")
    assert found.value == NOTE.text
    assert found.size_after > found.size_before == len(SECRET) + 2


def test_an_inserted_message_does_not_make_the_others_look_changed() -> None:
    """What both lists end with is left out."""
    user = {"role": "user", "content": SECRET}
    found = _diff({"m": [user]}, {"m": [{"role": "system", "content": NOTE.text}, user]})
    assert [one.path for one in found] == ["$.m[0].role", "$.m[0].content"]
    assert [one.value for one in found] == [None, NOTE.text]


def test_steering_words_of_ours_are_shown_others_are_not() -> None:
    """A text that no patch of ours holds is never repeated."""
    patch = Patch(effort="low", thinking=Thinking("disabled"), model="gpt-5.4")
    after = {"effort": "low", "thinking": {"type": "disabled"}, "model": "gpt-5.4", "x": SECRET}
    found = {one.path: one.value for one in _diff({"model": "auto"}, after, patch)}
    assert found == {
        "$.model": "gpt-5.4", "$.effort": "low", "$.thinking.type": "disabled", "$.x": None,
    }  # fmt: skip


def test_what_was_removed_or_became_another_kind_is_told_without_its_value() -> None:
    """Sizes only."""
    found = _diff({"gone": SECRET, "kind": SECRET}, {"kind": [SECRET, NOTE.text]})
    assert [(one.path, one.change, one.value) for one in found] == [
        ("$.gone", "removed", None), ("$.kind", "changed", None),
    ]  # fmt: skip


def test_a_text_that_became_blocks_tells_of_what_came_to_it() -> None:
    """As where a note stands beside the user's own words."""
    blocks = [{"type": "text", "text": SECRET}, {"type": "text", "text": NOTE.text}]
    found = _diff({"content": SECRET}, {"content": blocks})
    assert [(one.path, one.change, one.value) for one in found] == [
        ("$.content[1].type", "added", None), ("$.content[1].text", "added", NOTE.text),
    ]  # fmt: skip


def test_lists_that_differ_in_the_middle_are_one_change() -> None:
    """Which item became which cannot be told."""
    (found,) = _diff({"a": [1, 2, 9]}, {"a": [1, 3, 4, 9]})
    assert (found.path, found.change, found.value) == ("$.a", "changed", None)


@pytest.mark.parametrize("api", DIALECTS)
@pytest.mark.parametrize("place", ["system", "user"])
def test_whatever_a_dialect_writes_the_prompt_is_never_in_the_diff(api: str, place: Any) -> None:
    """Guidance, cap, effort and usage, written by the real dialects."""
    body = single_message(api, SECRET, model=default_model(api), stream=True, cap=4000)
    dialect = DIALECTS[api]
    call = dialect.read(body, Context("c1", 0.0))
    note = replace(NOTE, place=place)
    patch = Patch(cap=1000, guidance=note, effort="low", include_usage=True)
    from budget_proxy.wire.models import capabilities

    written = dialect.write(body, call, patch, capabilities(api, "", call.model))
    found = changes(body, plan(body=written.body, patch=patch))
    assert SECRET.encode() not in orjson.dumps(found)
    assert NOTE.text in [one.value for one in found]
    assert {one.path.split(".")[1].split("[")[0] for one in found} == set(written.added)
