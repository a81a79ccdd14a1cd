from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest

from budget_proxy.types import Guidance, Message, Outcome, Patch, Thinking, Usage
from budget_proxy.wire import DIALECTS, Written
from budget_proxy.wire.models import capabilities
from budget_proxy.wire.place import tail_of
from tests.wire_bodies import RESPONSES_STREAM, changed, read, responses_body

API = "openai.responses"
RESPONSES = DIALECTS[API]
NOTE = Guidance("g1", "Aim for 512 tokens.")


def _write(body: dict[str, Any], patch: Patch, host: str = "api.openai.com") -> Written:
    given = copy.deepcopy(body)
    known = capabilities(API, host, str(body.get("model")))
    written = RESPONSES.write(body, read(API, body, host), patch, known)
    assert body == given, "the body handed in is never changed"
    return written


def _plain(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-5.5", "input": "Hi", **fields}


def test_reads_a_whole_conversation() -> None:
    """Instructions, items of every kind, tools and cap."""
    call = read(API, responses_body())
    assert len(call.messages) == 17
    assert call.messages[:8] == (
        Message("system", "You are a careful assistant."),
        Message("user", "What is in this picture?", images=1),
        Message("assistant", ""),
        Message("assistant", "A pixel."),
        Message("user", "And the weather in Riga?"),
        Message("assistant", "", tool_calls=1),
        Message("tool", "4 degrees, rain"),
        Message("assistant", "Four degrees and rain."),
    )
    assert (call.ceiling, call.starts, call.usage_asked) == (4000, False, True)
    assert (call.tools, call.images, call.effort) == (("weather",), 1, None)


def test_counts_the_characters_that_are_billed() -> None:
    """Instructions, input, tool output, arguments, tools and schema, but no image data."""
    schema = {"type": "object"}
    body = _plain(
        instructions="abc",
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "de"}]},
            {"type": "function_call", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "output": "fghi"},
        ],
        tools=[{"type": "function"}],
        text={"format": {"type": "json_schema", "schema": schema}},
    )
    parts = ["abc", "de", "{}", "fghi", '[{"type":"function"}]', '{"type":"object"}']
    assert read(API, body).input_chars == sum(map(len, parts))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Hi", (Message("user", "Hi"),)),
        (None, ()),
        (5, ()),
        ([3, None], ()),
        ([{"role": "developer", "content": "Rules"}], (Message("system", "Rules"),)),
        ([{"type": "item_reference", "id": "x"}], (Message("assistant", ""),)),
        ([{"type": "web_search_call", "action": {}}], (Message("assistant", "", tool_calls=1),)),
        (
            [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}],
            (Message("assistant", "Hm"),),
        ),
        (
            [{"type": "function_call_output", "output": [{"type": "input_text", "text": "o"}]}],
            (Message("tool", "o"),),
        ),
        ([{"type": "computer_call_output", "output": {"type": "x"}}], (Message("tool", ""),)),
        (
            [{"role": "user", "content": [{"type": "input_file"}, {"type": "input_audio"}]}],
            (Message("user", "", attachments=2),),
        ),
    ],
)
def test_every_form_of_input(given: Any, expected: tuple[Message, ...]) -> None:
    """Input is a string or a list of items; what is odd counts as absent."""
    assert read(API, _plain(input=given)).messages == expected


@pytest.mark.parametrize(
    ("fields", "attribute", "expected"),
    [
        ({"max_output_tokens": 50}, "ceiling", 50),
        ({"max_output_tokens": False}, "ceiling", None),
        ({"reasoning": {"effort": "low"}}, "effort", "low"),
        ({"reasoning": "low"}, "effort", None),
        ({"text": {"format": {"type": "json_object"}}}, "schema", True),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, "schema", False),
        ({"tool_choice": "required"}, "forced_tool", True),
        ({"tool_choice": {"type": "function", "name": "f"}}, "forced_tool", True),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto"}}, "forced_tool", False),
        ({"tool_choice": {"type": "allowed_tools", "mode": "required"}}, "forced_tool", True),
        ({"previous_response_id": "resp_0"}, "previous_response", "resp_0"),
        ({"previous_response_id": "resp_0"}, "starts", False),
        ({"previous_response_id": "resp_0"}, "resendable", True),
        ({"conversation": "conv_1"}, "conversation", "conv_1"),
        ({"conversation": {"id": "conv_1"}}, "conversation", "conv_1"),
        ({"conversation": "conv_1"}, "resendable", False),
        ({"conversation": "conv_1"}, "starts", False),
        ({"background": True}, "resendable", False),
        ({"background": False}, "resendable", True),
        ({"prompt": {"id": "p"}}, "resendable", False),
        ({"tools": [{"type": "web_search"}]}, "resendable", False),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "resendable", False),
        ({"tools": [{"type": "code_interpreter"}]}, "resendable", False),
        ({"tools": [{"type": "shell", "environment": {"type": "local"}}]}, "resendable", True),
        ({"tools": [{"type": "shell"}]}, "resendable", False),
        ({"tools": [{"type": "custom", "name": "c"}]}, "resendable", True),
        ({"tools": [{"type": "web_search"}]}, "tools", ("web_search",)),
        ({"prompt_cache_key": "k"}, "cache_key", "k"),
        ({"prompt_cache_options": {"prewarm": True}}, "cappable", False),
        ({"stream": True}, "stream", True),
        ({}, "starts", True),
    ],
)
def test_reads_parameters(fields: dict[str, Any], attribute: str, expected: Any) -> None:
    """Every parameter that bears on the budget is read."""
    assert getattr(read(API, _plain(**fields)), attribute) == expected


def test_cache_breakpoint_past_the_instructions() -> None:
    """An explicit breakpoint before the last block shares a prefix past the system prompt."""
    parts = [
        {"type": "input_text", "text": "book", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_text", "text": "why?"},
    ]
    assert read(API, _plain(input=[{"role": "user", "content": parts}])).cache_past_system
    parts.reverse()
    assert not read(API, _plain(input=[{"role": "user", "content": parts}])).cache_past_system


def test_fingerprint_stays_all_session_long() -> None:
    """The first call's fingerprint is that of the later ones; other instructions differ."""
    body = responses_body()
    first = {**body, "input": body["input"][:1]}
    assert read(API, first).fingerprint == read(API, body).fingerprint
    assert read(API, {**body, "instructions": "x"}).fingerprint != read(API, body).fingerprint


def test_empty_patch_writes_nothing() -> None:
    """An empty patch gives an equal body and names nothing."""
    assert _write(responses_body(), Patch()) == Written(responses_body(), ())


def test_only_what_is_ours_changes() -> None:
    """Cap, effort beside the caller's summary, and guidance after the instructions."""
    body = responses_body()
    written = _write(body, Patch(cap=2000, effort="low", guidance=NOTE, include_usage=True))
    assert changed(body, written.body) == {"max_output_tokens", "reasoning.effort", "instructions"}
    assert written.body["reasoning"] == {"summary": "auto", "effort": "low"}
    assert written.body["instructions"] == "You are a careful assistant.\n\nAim for 512 tokens."
    assert written.added == ("max_output_tokens", "reasoning", "instructions")


@pytest.mark.parametrize(
    ("host", "fields", "cap", "expected"),
    [
        ("api.openai.com", {}, 500, 500),
        ("api.openai.com", {}, 3, 16),
        ("127.0.0.1", {}, 3, 3),
        ("api.openai.com", {"max_output_tokens": 400}, 500, 400),
        ("api.openai.com", {"max_output_tokens": None}, 500, 500),
        ("api.openai.com", {"prompt_cache_options": {"prewarm": True}}, 500, None),
    ],
)
def test_cap(host: str, fields: dict[str, Any], cap: int, expected: int | None) -> None:
    """The cap is only ever lowered, and never below what the host takes."""
    written = _write(_plain(**fields), Patch(cap=cap), host)
    assert written.body.get("max_output_tokens") == expected


def test_max_effort_is_taken_here() -> None:
    """What OpenAI refuses on chat completions it takes on Responses; a caller's stays."""
    assert _write(_plain(model="gpt-6-astra"), Patch(effort="max")).added == ("reasoning",)
    caller = _plain(model="gpt-6-astra", reasoning={"effort": "high"})
    assert _write(caller, Patch(effort="max")) == Written(caller, ())
    odd = _plain(reasoning=["x"])
    assert _write(odd, Patch(effort="low")) == Written(odd, ())


def test_a_prompt_template_keeps_its_instructions() -> None:
    """Which nobody here can see: ours would stand in for them."""
    body = _plain(prompt={"id": "pmpt_1"})
    assert _write(body, Patch(guidance=NOTE)) == Written(body, ())
    guided = _write({**body, "instructions": "Be brief."}, Patch(guidance=NOTE)).body
    assert guided["instructions"] == f"Be brief.\n\n{NOTE.text}"


def test_places_of_guidance() -> None:
    """Instructions by default, else the end of one user message of the input."""
    assert _write(_plain(), Patch(guidance=NOTE)).body["instructions"] == NOTE.text
    user = Guidance("g", "Note.", "user", 0)
    assert _write(_plain(), Patch(guidance=user)).body["input"] == "Hi\n\nNote."
    body = responses_body()
    written = _write(body, Patch(guidance=user))
    assert changed(body, written.body) == {"input[0].content[2]"}
    assert written.body["input"][0]["content"][2] == {"type": "input_text", "text": "Note."}
    assert written.added == ("input",)
    # The second user message is the fourth item: calls and their outputs are no messages.
    second = _write(body, Patch(guidance=Guidance("g", "Note.", "user", 1)))
    assert changed(body, second.body) == {"input[3].content"}
    third = _write(body, Patch(guidance=Guidance("g", "Note.", "user", 2)))
    assert changed(body, third.body) == {"input[7].content"}
    for odd, place in [
        (_plain(), Guidance("g", "Note.", "user", 1)),
        (_plain(instructions=["x"]), NOTE),
        (_plain(input=None), user),
    ]:
        assert _write(odd, Patch(guidance=place)) == Written(odd, ())


def test_says_what_was_really_written() -> None:
    """What found no place is empty in the patch handed back; the cap is the one in the body."""
    whole = Patch(cap=3, effort="low", guidance=NOTE, include_usage=True, model="gpt-5.4")
    written = _write(_plain(), whole)
    assert written.patch == Patch(cap=16, effort="low", guidance=NOTE, model="gpt-5.4")
    odd = _plain(temperature=0.2, instructions=["x"], max_output_tokens=400)
    asked = Patch(cap=500, thinking=Thinking("adaptive"), effort="low", guidance=NOTE)
    assert _write(odd, asked) == Written(odd, ())


def test_signed_bodies_stay_as_they_are() -> None:
    """Nothing is written into a signed body."""
    body = _plain()
    call = read(API, body, signed=True)
    written = RESPONSES.write(body, call, Patch(cap=99, guidance=NOTE), capabilities(API, "", "m"))
    assert written == Written(body, ())


def _answer(**fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "model": "gpt-5.5",
        "status": "completed",
        "service_tier": "default",
        "output": [
            {"type": "reasoning", "summary": []},
            {"type": "message", "content": [{"type": "output_text", "text": "Hello you."}]},
        ],
        "usage": {
            "input_tokens": 20,
            "output_tokens": 64,
            "input_tokens_details": {"cached_tokens": 4},
            "output_tokens_details": {"reasoning_tokens": 60},
        },
        **fields,
    }


def test_reads_a_plain_answer() -> None:
    """Usage, id, model and tier of a completed response."""
    assert RESPONSES.read_outcome(_answer(), seconds=2.0) == Outcome(
        usage=Usage(20, 64, 60, 4),
        finish_reason="stop",
        seconds=2.0,
        response_id="resp_1",
        model="gpt-5.5",
        tier="default",
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
        ),
        ({"status": "incomplete", "incomplete_details": None}, "length"),
        ({"status": "failed", "error": {"code": "server_error"}}, "error"),
        ({"status": "cancelled"}, "cancelled"),
        ({"output": [{"type": "function_call", "arguments": "{}"}]}, "tool_calls"),
        ({"output": [{"type": ["odd"]}]}, "stop"),
        ({"output": [{"content": [{"type": "refusal", "refusal": "No."}]}]}, "refusal"),
    ],
)
def test_finish_reasons(fields: dict[str, Any], expected: str) -> None:
    """Statuses and their details in the core's words."""
    assert RESPONSES.read_outcome(_answer(**fields)).finish_reason == expected


def test_answers_without_usage() -> None:
    """A queued response is unknown; text without usage is estimated (10 / 4, rounded up: 3)."""
    queued = RESPONSES.read_outcome({"id": "resp_1", "status": "queued", "usage": None})
    assert (queued.usage, queued.exact, queued.response_id) == (None, False, "resp_1")
    estimated = RESPONSES.read_outcome(_answer(usage=None))
    assert (estimated.usage, estimated.exact) == (Usage(None, 3), False)
    for payload in (None, "x", [1], {"error": {"message": "no"}}, {"output": 3}):
        assert RESPONSES.read_outcome(payload).finish_reason == "error"


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        ({"type": "function_call_output", "output": "o"}, 0),
        ({"type": "custom_tool_call_output", "output": "o"}, 0),
        ({"type": "shell_call_output", "output": [{"stdout": "o", "stderr": ""}]}, None),
        ({"type": "local_shell_call_output", "output": "{}"}, None),
        ({"type": "tool_search_output", "tools": []}, None),
        ({"type": ["function_call_output"], "output": "o"}, None),
    ],
)
def test_a_run_is_told_where_an_answer_is_text(answer: dict[str, Any], place: int | None) -> None:
    """Outputs with a form of their own are not touched."""
    assert tail_of([answer]) == place


ADDED = ("max_output_tokens", "reasoning", "instructions")


@pytest.mark.parametrize(
    ("param", "message", "expected"),
    [
        ("reasoning.effort", "Unsupported value: 'max'", "reasoning"),
        ("max_output_tokens", "Invalid: integer below minimum value", "max_output_tokens"),
        (None, "Unknown parameter: 'instructions'.", "instructions"),
        ("input", "Invalid type for 'input[0]'", None),
        (None, "Could not finish: max_tokens or model output limit", "max_output_tokens"),
    ],
)
def test_rejected(param: str | None, message: str, expected: str | None) -> None:
    """A 400 names the parameter of ours that it complains of."""
    payload = {"error": {"param": param, "message": message, "code": None}}
    assert RESPONSES.rejected(payload, ADDED) == expected
    assert RESPONSES.rejected(payload, ()) is None


def test_without() -> None:
    """Each parameter blanks what it carries."""
    patch = Patch(cap=1, effort="low", guidance=NOTE)
    assert RESPONSES.without(patch, "max_output_tokens") == Patch(effort="low", guidance=NOTE)
    assert RESPONSES.without(patch, "reasoning") == Patch(cap=1, guidance=NOTE)
    assert RESPONSES.without(patch, "instructions") == Patch(cap=1, effort="low")
    assert RESPONSES.without(patch, "input") == Patch(cap=1, effort="low")
    assert RESPONSES.without(patch, "other") == patch


def _meter(stream: bytes, *, cancelled: bool = False) -> Outcome:
    reader = RESPONSES.meter(drop_usage=True)
    assert reader.feed(stream) + reader.close() == stream, "nothing is ever dropped here"
    return reader.outcome(seconds=2.0, cancelled=cancelled)


def test_metered_stream() -> None:
    """The terminal event's usage is exact, and its reason is the finish."""
    assert _meter(RESPONSES_STREAM) == Outcome(
        usage=Usage(20, 64, 60, 0, 16),
        finish_reason="length",
        seconds=2.0,
        response_id="resp_1",
        model="gpt-5.5",
        tier="priority",
    )


def test_stream_that_breaks_off() -> None:
    """Before the terminal event 11 + 2 characters were seen: 13 / 4, rounded up, is 4."""
    begun = RESPONSES_STREAM[: RESPONSES_STREAM.index(b"event: response.incomplete")]
    gone = _meter(begun, cancelled=True)
    assert (gone.usage, gone.exact, gone.finish_reason) == (Usage(None, 4), False, "cancelled")
    assert gone.response_id == "resp_1"
    assert _meter(begun).finish_reason == "error"


def test_errors_in_mid_stream() -> None:
    """An error event and a failed response both end in an error; before any text it is certain."""
    event = b'event: error\ndata: {"type":"error","code":"x","message":"m","param":null}\n\n'
    assert (_meter(event).finish_reason, _meter(event).exact) == ("error", True)
    named_by_line = b'event: error\ndata: {"code":"x"}\n\n'
    assert _meter(named_by_line).finish_reason == "error"
    response = b'{"id":"r","status":"failed","error":{"code":"c"},"usage":null}'
    failed = b'data: {"type":"response.failed","response":' + response + b"}\n\n"
    outcome = _meter(failed)
    assert (outcome.finish_reason, outcome.usage, outcome.exact) == ("error", None, True)
    text = b'data: {"type":"response.output_text.delta","delta":"Hello"}\n\n'
    for ending in (event, failed):
        late = _meter(text + ending)
        assert (late.finish_reason, late.usage, late.exact) == ("error", Usage(None, 2), False)


def test_refusal_in_a_stream() -> None:
    """A refused answer is a refusal though its status says completed."""
    stream = (
        b'data: {"type":"response.refusal.delta","delta":"No."}\n\n'
        b'data: {"type":"response.completed","response":{"status":"completed","usage":'
        b'{"input_tokens":1,"output_tokens":2}}}\n\n'
    )
    outcome = _meter(stream)
    assert (outcome.finish_reason, outcome.usage) == ("refusal", Usage(1, 2))


def test_error_shape() -> None:
    """Errors have OpenAI's shape here too."""
    status, body = RESPONSES.error(429, "No.", "budget_exceeded")
    assert (status, body["error"]["type"]) == (429, "insufficient_quota")


@pytest.mark.parametrize(
    ("status", "pending"),
    [("queued", True), ("in_progress", True), ("completed", False), ("cancelled", False),
     ("failed", False), ("incomplete", False), (None, False)],
)  # fmt: skip
def test_whether_an_answer_is_still_made(status: str | None, pending: bool) -> None:
    """The status of the newest response object says it, plain or streamed."""
    response: Any = {"id": "r", "status": status, "usage": None, "output": []}
    assert RESPONSES.read_outcome(response).pending is pending
    meter = RESPONSES.meter(drop_usage=False)
    for told in ({**response, "status": "queued"}, response):
        event = orjson.dumps({"type": "response.whatever", "response": told})
        meter.feed(b"data: " + event + b"\n\n")
    assert meter.outcome().pending is pending


def test_a_stream_error_does_not_say_that_a_response_has_ended() -> None:
    """Only a response object says so: what broke may be the stream alone."""
    meter = RESPONSES.meter(drop_usage=False)
    begun = orjson.dumps({"type": "response.created", "response": {"id": "r", "status": "queued"}})
    meter.feed(b"data: " + begun + b"\n\n")
    meter.feed(b'data: {"type": "error", "code": "server_error", "message": "lost"}\n\n')
    assert meter.outcome().pending


def test_reads_whether_it_is_to_be_made_in_the_background() -> None:
    """Only a true `background` is one."""
    asked = [read(API, {"background": value}) for value in (True, None, "no")]
    assert [call.background for call in asked] == [True, False, False]
