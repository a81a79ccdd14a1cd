from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from budget_proxy.types import (
    Capabilities,
    Guidance,
    Message,
    Outcome,
    Override,
    Patch,
    Thinking,
    Usage,
)
from budget_proxy.wire import DIALECTS, Written
from budget_proxy.wire.models import capabilities
from tests.wire_bodies import ANTHROPIC_STREAM, anthropic_body, changed, read

API = "anthropic.messages"
CLAUDE = DIALECTS[API]
NOTE = Guidance("g1", "Aim for 512 tokens.")
MARK = {"cache_control": {"type": "ephemeral"}}


def _write(body: dict[str, Any], patch: Patch, override: Override | None = None) -> Written:
    given = copy.deepcopy(body)
    known = capabilities(API, "api.anthropic.com", str(body.get("model")))
    call = replace(read(API, body, "api.anthropic.com"), override=override or Override())
    written = CLAUDE.write(body, call, patch, known)
    assert body == given, "the body handed in is never changed"
    return written


def _plain(**fields: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-5",
        "max_tokens": 4000,
        "messages": [{"role": "user", "content": "Hi"}],
        **fields,
    }


def test_reads_a_whole_conversation() -> None:
    """System blocks, tool calls and results, hidden thinking, an image, the cap."""
    call = read(API, anthropic_body())
    assert len(call.messages) == 17
    assert call.messages[:7] == (
        Message("system", "You are a careful assistant.\nRules.", cached=True),
        Message("user", "What is in this picture?", images=1),
        Message("assistant", "A pixel."),
        Message("user", "And the weather in Riga?"),
        Message("assistant", "", tool_calls=1),
        Message("tool", "4 degrees, rain"),
        Message("assistant", "Four degrees and rain."),
    )
    assert (call.ceiling, call.starts, call.usage_asked) == (4000, False, True)
    assert (call.tools, call.images, call.cache_past_system) == (("weather",), 1, False)


def test_counts_the_characters_that_are_billed() -> None:
    """System, text, tool input and results, tools; thinking and image data are not."""
    content = [
        {"type": "thinking", "thinking": "x" * 99},
        {"type": "tool_use", "name": "f", "input": {"a": 1}},
    ]
    result = [{"type": "tool_result", "content": [{"type": "text", "text": "fghi"}]}]
    body = _plain(
        system="abc",
        messages=[
            {"role": "user", "content": "de"},
            {"role": "assistant", "content": content},
            {"role": "user", "content": result},
        ],
        tools=[{"name": "f"}],
    )
    parts = ["abc", "de", '{"a":1}', "fghi", '[{"name":"f"}]']
    assert read(API, body).input_chars == sum(map(len, parts))


def test_tool_results_and_text_in_one_message() -> None:
    """Results that a user message carries stand before it as a tool message of their own."""
    content = [
        {"type": "tool_result", "content": "ok", "is_error": False},
        {"type": "text", "text": "Go on."},
        {"type": "document", "source": {"type": "text", "data": "Page."}},
        {"type": "document", "source": {"type": "base64", "data": "AAAA"}},
    ]
    call = read(API, _plain(messages=[{"role": "user", "content": content}]))
    assert call.messages == (
        Message("tool", "ok"),
        Message("user", "Go on.\nPage.", attachments=2),
    )


def test_server_tool_results_of_the_assistant() -> None:
    """What a server tool found belongs to the assistant's own turn."""
    content = [
        {"type": "text", "text": "Found:"},
        {"type": "web_search_tool_result", "content": [{"type": "text", "text": "a page"}]},
    ]
    call = read(API, _plain(messages=[{"role": "assistant", "content": content}]))
    assert call.messages == (Message("assistant", "Found:\na page"),)
    assert not call.starts


@pytest.mark.parametrize(
    ("fields", "attribute", "expected"),
    [
        ({"system": "Rules."}, "system", "Rules."),
        ({"system": None}, "system", ""),
        ({"system": 5}, "system", ""),
        ({"max_tokens": 0}, "ceiling", 0),
        ({"max_tokens": 0}, "cappable", False),
        ({"max_tokens": "4"}, "ceiling", None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "thinking", "enabled"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "thinking_budget", 2048),
        ({"thinking": {"type": "adaptive"}}, "thinking", "adaptive"),
        ({"output_config": {"effort": "low"}}, "effort", "low"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "schema", True),
        ({"output_format": {"type": "json_schema"}}, "schema", True),
        ({"tool_choice": {"type": "any"}}, "forced_tool", True),
        ({"tool_choice": {"type": "tool", "name": "f"}}, "forced_tool", True),
        ({"tool_choice": {"type": "auto"}}, "forced_tool", False),
        ({"tool_choice": {"type": ["odd"]}}, "forced_tool", False),
        ({"tools": [{"type": "custom", "name": "c"}]}, "resendable", True),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "resendable", True),
        ({"tools": [{"type": "web_search_20250305", "name": "s"}]}, "resendable", False),
        ({"tools": [{"type": "code_execution_20260120"}]}, "resendable", False),
        ({"mcp_servers": [{"type": "url"}]}, "resendable", False),
        ({"mcp_servers": []}, "resendable", True),
        ({"container": "c_1"}, "resendable", False),
        ({"thread": {"id": "t_1"}}, "conversation", "t_1"),
        ({"thread": {"id": "t_1"}}, "starts", False),
    ],
)
def test_reads_parameters(fields: dict[str, Any], attribute: str, expected: Any) -> None:
    """Every parameter that bears on the budget is read."""
    assert getattr(read(API, _plain(**fields)), attribute) == expected


def test_cache_marker_past_the_system_prompt() -> None:
    """Only a marker before the newest user message's last block shares such a prefix."""
    book, why = {"type": "text", "text": "book"}, {"type": "text", "text": "why?"}
    shared = _plain(messages=[{"role": "user", "content": [{**book, **MARK}, why]}])
    assert read(API, shared).cache_past_system
    at_the_end = _plain(messages=[{"role": "user", "content": [book, {**why, **MARK}]}])
    assert not read(API, at_the_end).cache_past_system
    automatic = _plain(**MARK)
    assert not read(API, automatic).cache_past_system


def test_empty_patch_writes_nothing() -> None:
    """An empty patch gives an equal body and names nothing."""
    assert _write(anthropic_body(), Patch()) == Written(anthropic_body(), ())


def test_only_what_is_ours_changes() -> None:
    """Cap, thinking, effort, and guidance as a block of its own after the cached one."""
    body = anthropic_body()
    patch = Patch(cap=2000, thinking=Thinking("adaptive"), effort="low", guidance=NOTE)
    written = _write(body, patch)
    assert changed(body, written.body) == {"max_tokens", "thinking", "output_config", "system[2]"}
    assert written.body["max_tokens"] == 2000
    assert written.body["thinking"] == {"type": "adaptive"}
    assert written.body["output_config"] == {"effort": "low"}
    assert written.body["system"][2] == {"type": "text", "text": NOTE.text}
    assert written.added == ("max_tokens", "thinking", "output_config", "system")


@pytest.mark.parametrize(
    ("max_tokens", "cap", "expected"), [(4000, 500, 500), (400, 500, 400), (0, 500, 0)]
)
def test_cap(max_tokens: int, cap: int, expected: int) -> None:
    """The cap is only ever lowered, and a prewarm call stays one."""
    assert _write(_plain(max_tokens=max_tokens), Patch(cap=cap)).body["max_tokens"] == expected


def test_our_cap_leaves_the_callers_thinking_budget_alone() -> None:
    """A cap of ours below it goes unwritten; above it, it is written."""
    body = _plain(max_tokens=8000, thinking={"type": "enabled", "budget_tokens": 3000})
    assert _write(body, Patch(cap=2500)).body == body
    assert _write(body, Patch(cap=2500)).patch.cap is None
    fits = _write(body, Patch(cap=3001))
    assert (fits.patch.cap, fits.body["thinking"]) == (3001, body["thinking"])


@pytest.mark.parametrize(
    ("max_tokens", "budget", "cap", "expected"),
    [
        (8000, 2000, 4000, (4000, 2000)),  # fits as it is
        (8000, 6000, 4000, (4000, 2000)),  # halved to the cap
        (8000, 4000, 4000, (4000, 2000)),  # equal to the cap is too much
        (8000, 6000, 1500, (1500, 1024)),  # the least there is
        (8000, 6000, 1024, (8000, 6000)),  # no room: the cap is left alone
        (8000, 9000, 4000, (4000, 9000)),  # interleaved thinking has no such rule
        (3000, 2000, 4000, (3000, 2000)),  # nothing to lower
    ],
)
def test_the_callers_cap_beside_the_callers_thinking_budget(
    max_tokens: int, budget: int, cap: int, expected: tuple[int, int]
) -> None:
    """After lowering 1,024 <= budget_tokens < max_tokens holds, or nothing was lowered."""
    thinking = {"type": "enabled", "budget_tokens": budget, "display": "omitted"}
    body = _plain(max_tokens=max_tokens, thinking=thinking)
    written = _write(body, Patch(cap=cap), override=Override(cap=cap))
    got = written.body["max_tokens"], written.body["thinking"]["budget_tokens"]
    assert got == expected
    assert written.patch.cap == (got[0] if got[0] != max_tokens else None)
    assert written.patch.thinking is None, "the thinking is the caller's own"
    assert written.body["thinking"]["display"] == "omitted"
    assert ("thinking" in written.added) is (got[1] != budget)
    assert ("max_tokens" in written.added) is (got[0] != max_tokens)


@pytest.mark.parametrize(
    ("model", "thinking", "fields", "expected"),
    [
        ("claude-sonnet-4-5", Thinking("enabled", 2048), {}, {"budget_tokens": 2048}),
        ("claude-sonnet-4-5", Thinking("enabled", 9000), {}, {"budget_tokens": 3999}),
        ("claude-sonnet-4-5", Thinking("enabled", 500), {}, None),
        ("claude-sonnet-4-5", Thinking("enabled", 2048), {"max_tokens": 1024}, None),
        ("claude-sonnet-4-5", Thinking("enabled", 2048), {"temperature": 0.5}, None),
        ("claude-3-7", Thinking("enabled", 2000), {"temperature": 1}, {"budget_tokens": 2000}),
        ("claude-sonnet-4-5", Thinking("enabled", 2048), {"tool_choice": {"type": "any"}}, None),
        ("claude-sonnet-4-5", Thinking("adaptive"), {}, None),
        ("claude-sonnet-4-5", Thinking("disabled"), {}, {}),
        ("claude-opus-4-7", Thinking("enabled", 2048), {}, None),
        ("claude-opus-4-7", Thinking("adaptive"), {}, {}),
        ("claude-opus-5-5", Thinking("disabled"), {}, None),
        ("claude-opus-5", Thinking("disabled"), {"output_config": {"effort": "max"}}, None),
        ("claude-opus-5", Thinking("disabled"), {"output_config": {"effort": "high"}}, {}),
        ("mystery", Thinking("adaptive"), {}, None),
    ],
)  # fmt: skip
def test_thinking(
    model: str, thinking: Thinking, fields: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    """Thinking is written only as the model takes it and where it fits the rest of the body."""
    written = _write(_plain(model=model, **fields), Patch(thinking=thinking))
    setting = None if expected is None else {"type": thinking.kind, **expected}
    assert written.body.get("thinking") == setting
    assert ("thinking" in written.added) is (setting is not None)


def test_the_callers_thinking_and_effort_stay() -> None:
    """An explicit setting, also an odd one, is left alone."""
    for own in ({"type": "disabled"}, "odd"):
        body = _plain(thinking=own)
        assert _write(body, Patch(thinking=Thinking("enabled", 2048))) == Written(body, ())
    for config in ({"effort": "max"}, "odd"):
        body = _plain(model="claude-opus-5", output_config=config)
        assert _write(body, Patch(effort="low")) == Written(body, ())


def test_effort() -> None:
    """Effort goes beside what output_config holds, where the model has efforts."""
    body = _plain(model="claude-opus-5-5", output_config={"format": {"type": "json_schema"}})
    written = _write(body, Patch(effort="max"))
    assert changed(body, written.body) == {"output_config.effort"}
    assert written.added == ("output_config",)
    without = _plain(model="claude-haiku-4-5")
    assert _write(without, Patch(effort="low")) == Written(without, ())


@pytest.mark.parametrize(
    ("model", "thinking", "effort", "written"),
    [
        ("claude-opus-5", {"type": "disabled"}, "max", False),
        ("claude-opus-5", {"type": "disabled"}, "xhigh", False),
        ("claude-opus-5", {"type": "disabled"}, "high", True),
        ("claude-sonnet-5-5", {"type": "between_tools"}, "max", False),
        ("claude-sonnet-5-5", {"type": "between_tools"}, "low", True),
        ("claude-opus-5", {"type": "adaptive"}, "max", True),
        ("claude-opus-4-6", {"type": "enabled", "budget_tokens": 2048}, "max", True),
        ("claude-opus-5", {"type": "some_newer_kind"}, "max", False),
        ("claude-opus-5", {"type": ["odd"]}, "max", False),
        ("claude-opus-5", "odd", "max", False),
        ("claude-opus-5", None, "max", True),
    ],
)
def test_effort_beside_the_callers_thinking(
    model: str, thinking: Any, effort: str, written: bool
) -> None:
    """Above high an effort goes only with thinking that is on throughout."""
    body = _plain(model=model, thinking=thinking)
    done = _write(body, Patch(effort=effort))
    assert done.patch == Patch(effort=effort if written else None)
    assert (done.body.get("output_config") == {"effort": effort}) is written


def test_thinking_beside_an_effort_of_the_same_patch() -> None:
    """Thinking is only turned off where no effort above high stands in the body by then."""
    off = Thinking("disabled")
    body = _plain(model="claude-opus-5")
    assert _write(body, Patch(thinking=off, effort="max")).patch == Patch(effort="max")
    both = Patch(thinking=off, effort="high")
    assert _write(body, both).patch == both
    odd = {**body, "output_config": "odd"}
    assert _write(odd, Patch(thinking=off, effort="max")).patch == Patch(thinking=off)


def test_says_what_was_really_written() -> None:
    """What found no place is empty in the patch handed back; numbers are those in the body."""
    patch = Patch(
        cap=2000, thinking=Thinking("enabled", 9000), effort="low", guidance=NOTE,
        include_usage=True, model="claude-haiku-4-5",
    )  # fmt: skip
    assert _write(_plain(), patch).patch == Patch(
        # Below the cap of 2,000; this model has no efforts.
        cap=2000, thinking=Thinking("enabled", 1999), guidance=NOTE, model="claude-haiku-4-5"
    )  # fmt: skip
    odd = _plain(max_tokens=400, system=5)
    asked = Patch(cap=500, thinking=Thinking("enabled", 2048), effort="low", guidance=NOTE)
    assert _write(odd, asked) == Written(odd, ())


def test_bedrock_names_the_model_in_its_path_and_stays_untouched() -> None:
    """A body of Bedrock's has neither model nor stream, and nothing is written into it."""
    body = {"anthropic_version": "bedrock-2023-05-31", **_plain()}
    del body["model"]
    call = read(API, body, path="/model/us.anthropic.claude-opus-4-6-v1%3A0/invoke")
    assert (call.model, call.stream) == ("us.anthropic.claude-opus-4-6-v1:0", False)
    assert (call.signed, call.cappable) == (True, False)
    patch = Patch(cap=99, effort="low", guidance=NOTE, model="other")
    known = capabilities(API, call.host, call.model)
    assert CLAUDE.write(body, call, patch, known) == Written(body, ())


def test_guidance_in_the_system_prompt() -> None:
    """A string grows, a list gets a block without marker, an absent prompt is made."""
    block = {"type": "text", "text": "Rules.", **MARK}
    cases: list[tuple[dict[str, Any], Any]] = [
        ({}, NOTE.text),
        ({"system": ""}, NOTE.text),
        ({"system": "Rules."}, f"Rules.\n\n{NOTE.text}"),
        ({"system": [block]}, [block, {"type": "text", "text": NOTE.text}]),
        ({"system": 5}, 5),
    ]
    for fields, expected in cases:
        assert _write(_plain(**fields), Patch(guidance=NOTE)).body["system"] == expected


def test_guidance_in_a_user_message() -> None:
    """Messages that only carry tool results are not counted; text goes after all blocks."""
    body = anthropic_body()
    paths = {0: "messages[0].content[2]", 1: "messages[2].content", 2: "messages[6].content"}
    for index, path in paths.items():
        written = _write(body, Patch(guidance=Guidance("g", "Note.", "user", index)))
        assert changed(body, written.body) == {path}
        assert written.added == ("messages",)
    assert _write(body, Patch(guidance=Guidance("g", "N", "user", 50))) == Written(body, ())
    mixed = [{"type": "tool_result", "content": "ok"}, {"type": "text", "text": "Go", **MARK}]
    carrier = _plain(messages=[{"role": "user", "content": mixed}])
    written = _write(carrier, Patch(guidance=Guidance("g", "N", "user", 0)))
    assert written.body["messages"][0]["content"] == [*mixed, {"type": "text", "text": "N"}]


def test_index_counts_what_the_call_shows_as_user_messages() -> None:
    """The n-th user message of the Call is the n-th that guidance can be put into."""
    body = anthropic_body()
    users = [m.text for m in read(API, body).messages if m.role == "user"]
    for index, text in enumerate(users):
        written = _write(body, Patch(guidance=Guidance("g", "NOTE", "user", index)))
        ended = [m.text for m in read(API, written.body).messages if m.role == "user"]
        assert [t for t in ended if "NOTE" in t][0].startswith(text)  # noqa: RUF015 (exactly one)
        assert ended[index].endswith("NOTE")
    assert len(users) == 8


def test_signed_bodies_stay_as_they_are() -> None:
    """Nothing is written into a signed body."""
    body = _plain()
    call = read(API, body, signed=True)
    assert CLAUDE.write(body, call, Patch(cap=99, guidance=NOTE), Capabilities()) == Written(
        body, ()
    )


def _answer(**fields: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "model": "claude-opus-5",
        "content": [{"type": "text", "text": "Hello!"}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0},
            "cache_read_input_tokens": 1000,
            "output_tokens": 42,
            "output_tokens_details": {"thinking_tokens": 30},
            "server_tool_use": None,
            "service_tier": "standard",
        },
        **fields,
    }


def test_reads_a_plain_answer() -> None:
    """Input is inclusive: 10 + 100 written + 1,000 read."""
    assert CLAUDE.read_outcome(_answer(), seconds=2.0) == Outcome(
        usage=Usage(1110, 42, 30, 1000, 100),
        finish_reason="stop",
        seconds=2.0,
        response_id="msg_1",
        model="claude-opus-5",
        tier="standard",
    )


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("refusal", "refusal"),
        (None, "stop"),
    ],
)
def test_finish_reasons(reason: str | None, expected: str) -> None:
    """Stop reasons in the core's words."""
    assert CLAUDE.read_outcome(_answer(stop_reason=reason)).finish_reason == expected


def test_what_a_compaction_spent_is_added() -> None:
    """Totals leave out compaction iterations: 12 + 300 in, 42 + 50 out."""
    usage = {
        "input_tokens": 12,
        "output_tokens": 42,
        "iterations": [
            {"type": "compaction", "input_tokens": 300, "output_tokens": 50},
            {"type": "message", "input_tokens": 12, "output_tokens": 42},
            None,
        ],
    }
    assert CLAUDE.read_outcome(_answer(usage=usage)).usage == Usage(312, 92)


def test_fast_mode_is_a_tier() -> None:
    """Fast mode is priced apart, so it is the tier."""
    usage = {**_answer()["usage"], "speed": "fast"}
    assert CLAUDE.read_outcome(_answer(usage=usage)).tier == "fast"


_NO_ANSWERS: list[Any] = [None, [], "x", {}, {"content": 4}]


def test_other_answers() -> None:
    """Without usage the text is counted (6 / 4, rounded up: 2); errors are errors."""
    bare = _answer()
    del bare["usage"]
    outcome = CLAUDE.read_outcome(bare)
    assert (outcome.usage, outcome.exact) == (Usage(None, 2), False)
    said = CLAUDE.read_outcome({"type": "error", "error": {"type": "overloaded_error"}})
    assert (said.finish_reason, said.exact) == ("error", True)
    for payload in _NO_ANSWERS:
        assert CLAUDE.read_outcome(payload).finish_reason == "error"


ADDED = ("max_tokens", "thinking", "output_config", "system")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            '"thinking.type.enabled" is not supported. Use "thinking.type.adaptive" and "effort"',
            "thinking",
        ),
        ("output_config.effort: Input should be 'low'", "output_config"),
        ("This model does not support the effort parameter.", "output_config"),
        ("max_tokens: 200000 > 64000, which is the maximum allowed", "max_tokens"),
        ("system: Input should be a valid string", "system"),
        ("system.1.text: too long", "system"),
        ("messages.3: the system is down", None),
        ("messages.1.content.0.type: Expected `thinking` or `redacted_thinking`", "thinking"),
        ("temperature: not supported", None),
    ],
)
def test_rejected(message: str, expected: str | None) -> None:
    """A 400's message names the parameter of ours that it complains of."""
    payload = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    assert CLAUDE.rejected(payload, ADDED) == expected
    assert CLAUDE.rejected(payload, ()) is None


def test_without() -> None:
    """Each parameter blanks what it carries; a budget changed for the cap goes with the cap."""
    patch = Patch(cap=1, thinking=Thinking("adaptive"), effort="low", guidance=NOTE)
    assert CLAUDE.without(patch, "max_tokens").cap is None
    assert CLAUDE.without(patch, "thinking") == Patch(cap=1, effort="low", guidance=NOTE)
    assert CLAUDE.without(patch, "output_config").effort is None
    assert CLAUDE.without(patch, "system").guidance is None
    assert CLAUDE.without(patch, "other") == patch
    assert CLAUDE.without(Patch(cap=1, effort="low"), "thinking") == Patch(effort="low")


def _meter(stream: bytes, *, cancelled: bool = False) -> Outcome:
    reader = CLAUDE.meter(drop_usage=True)
    assert reader.feed(stream) + reader.close() == stream, "nothing is ever dropped here"
    return reader.outcome(seconds=2.0, cancelled=cancelled)


def test_metered_stream() -> None:
    """The start's input and the last delta's cumulative output are the exact usage."""
    assert _meter(ANTHROPIC_STREAM) == Outcome(
        usage=Usage(1110, 42, 30, 1000, 100),
        finish_reason="stop",
        seconds=2.0,
        response_id="msg_1",
        model="claude-sonnet-5-5",
        tier="standard",
    )


def test_stream_that_breaks_off() -> None:
    """The start's input is known; 12 characters were seen: 12 / 4 = 3 tokens."""
    begun = ANTHROPIC_STREAM[: ANTHROPIC_STREAM.index(b"event: message_delta")]
    gone = _meter(begun, cancelled=True)
    assert gone.usage == Usage(1110, 3, None, 1000, 100)
    assert (gone.exact, gone.finish_reason) == (False, "cancelled")
    assert _meter(begun).finish_reason == "error"
    interim = ANTHROPIC_STREAM[: ANTHROPIC_STREAM.rindex(b"event: message_delta")]
    cut = _meter(interim, cancelled=True)
    assert cut.usage is not None
    assert (cut.usage.output_tokens, cut.exact) == (20, False)


def test_error_in_mid_stream() -> None:
    """An error event ends the answer in an error; where nothing preceded it, it is certain."""
    event = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n'
    begun = ANTHROPIC_STREAM[: ANTHROPIC_STREAM.index(b"event: ping")]
    outcome = _meter(begun + event)
    assert (outcome.finish_reason, outcome.exact) == ("error", False)
    at_once = _meter(event)
    assert (at_once.finish_reason, at_once.usage, at_once.exact) == ("error", None, True)


def test_servers_that_leave_details_out() -> None:
    """A usage of two numbers leaves the cache unknown, never 0; thinking and JSON are counted."""
    stream = (
        b'data: {"type":"message_start","message":{"id":"m","usage":{"input_tokens":7}}}\n\n'
        b'data: {"type":"content_block_delta","delta":{"thinking":"abcd"}}\n\n'
        b'data: {"type":"content_block_delta","delta":{"partial_json":"{}"}}\n\n'
    )
    end = (
        b'data: {"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":'
        b'{"output_tokens":9}}\n\n'
    )
    cut = _meter(stream, cancelled=True)
    assert (cut.usage, cut.exact) == (Usage(7, 2), False)  # (4 + 2) / 4, rounded up
    whole = _meter(stream + end)
    assert (whole.usage, whole.exact, whole.finish_reason) == (Usage(7, 9), True, "length")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "budget_exceeded", (402, "billing_error")),
        (400, "invalid_budget", (400, "invalid_request_error")),
        (529, "busy", (529, "overloaded_error")),
        (500, "fault", (500, "api_error")),
    ],
)
def test_error_shape(status: int, code: str, expected: tuple[int, str]) -> None:
    """Errors have Anthropic's shape; a budget refusal is a 402 billing error."""
    got, body = CLAUDE.error(status, "No.", code)
    assert got == expected[0]
    assert body == {"type": "error", "error": {"type": expected[1], "message": "No."}}
