from __future__ import annotations

import copy
from typing import Any

import pytest

from budget_proxy.types import Capabilities, Guidance, Message, Outcome, Patch, Thinking, Usage
from budget_proxy.wire import DIALECTS, Written
from budget_proxy.wire.models import capabilities
from tests.wire_bodies import CHAT_STREAM, WEATHER, changed, chat_body, read

API = "openai.chat"
CHAT = DIALECTS[API]
NOTE = Guidance("g1", "Aim for 512 tokens.")


def _write(body: dict[str, Any], patch: Patch, host: str = "api.openai.com") -> Written:
    given = copy.deepcopy(body)
    known = capabilities(API, host, str(body.get("model")))
    written = CHAT.write(body, read(API, body, host), patch, known)
    assert body == given, "the body handed in is never changed"
    return written


def _plain(**fields: Any) -> dict[str, Any]:
    return {"model": "gpt-5.5", "messages": [{"role": "user", "content": "Hi"}], **fields}


def test_reads_a_whole_conversation() -> None:
    """Messages, tools, cap and counts of a long conversation with tools and an image."""
    call = read(API, chat_body())
    assert (call.id, call.api, call.model, call.now) == ("c1", API, "gpt-5.5", 1_000.0)
    assert call.scope.agent == "a"
    assert call.timeout == 60.0
    assert len(call.messages) == 16
    assert call.messages[:3] == (
        Message("system", "You are a careful assistant."),
        Message("user", "What is in this picture?", images=1),
        Message("assistant", "A pixel."),
    )
    assert call.messages[4] == Message("assistant", "", tool_calls=1)
    assert call.messages[5] == Message("tool", "4 degrees, rain")
    assert call.system == "You are a careful assistant."
    assert (call.tools, call.images, call.n) == (("weather",), 1, 1)
    assert (call.ceiling, call.starts, call.stream) == (4000, False, False)
    assert (call.resendable, call.cappable, call.usage_asked) == (True, True, False)


def test_counts_the_characters_that_are_billed() -> None:
    """Input is the text, the tool calls' arguments and the tools, but no image data."""
    texts = "You are a careful assistant.What is in this picture?A pixel."
    texts += 'And the weather in Riga?{"city":"Riga"}4 degrees, rainFour degrees and rain.'
    texts += "".join(f"Question {n}?Answer {n}." for n in range(4)) + "Thank you. One more?"
    tools = (
        '[{"function":{"description":"The weather of a city","name":"weather","parameters":'
        '{"properties":{"city":{"type":"string"}},"type":"object"}},"type":"function"}]'
    )
    assert read(API, chat_body()).input_chars == len(texts) + len(tools)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text", Message("user", "text")),
        (None, Message("user", "")),
        (7, Message("user", "")),
        ([], Message("user", "")),
        (["a", {"type": "text", "text": "b"}], Message("user", "a\nb")),
        ([{"type": "refusal", "refusal": "no"}], Message("user", "no")),
        ([{"type": "input_audio", "input_audio": {}}], Message("user", "", attachments=1)),
        ([{"type": "file", "file": {}}], Message("user", "", attachments=1)),
        ([{"type": "image_url", "image_url": 3}, None, 4], Message("user", "", images=1)),
        ([{"type": ["odd"], "text": "x"}], Message("user", "", attachments=1)),
        ([{"type": "text", "text": None}], Message("user", "")),
        (
            [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
            Message("user", "a", cached=True),
        ),
    ],
)
def test_every_form_of_content(content: Any, expected: Message) -> None:
    """Content is a string, a list of parts, null, or odd; odd counts as absent."""
    call = read(API, _plain(messages=[{"role": "user", "content": content}]))
    assert call.messages == (expected,)


@pytest.mark.parametrize(
    ("role", "expected"),
    [("developer", "system"), ("function", "tool"), ("narrator", "user"), (None, "user")],
)
def test_roles(role: Any, expected: str) -> None:
    """Developer messages are system prompt, old function messages are tool results."""
    call = read(API, _plain(messages=[{"role": role, "content": "x"}]))
    assert call.messages[0].role == expected


@pytest.mark.parametrize(
    ("fields", "ceiling"),
    [
        ({}, None),
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 100}, 100),
        ({"max_tokens": 300, "max_completion_tokens": 200}, 200),
        ({"max_tokens": True}, None),
        ({"max_tokens": -1}, None),
        ({"max_tokens": "100"}, None),
    ],
)
def test_ceiling(fields: dict[str, Any], ceiling: int | None) -> None:
    """The caller's cap is the smaller of the two; what is no number is none."""
    assert read(API, _plain(**fields)).ceiling == ceiling


@pytest.mark.parametrize(
    ("fields", "attribute", "expected"),
    [
        ({"n": 3}, "n", 3),
        ({"n": True}, "n", 1),
        ({"stream": True}, "stream", True),
        ({"stream": 1}, "stream", False),
        ({"reasoning_effort": "low"}, "effort", "low"),
        ({"reasoning": {"effort": "high"}}, "effort", "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, "thinking_budget", 9),
        ({"stream_options": {"include_usage": True}}, "usage_asked", True),
        ({"stream_options": {"include_usage": False}}, "usage_asked", False),
        ({"prompt_cache_key": "k"}, "cache_key", "k"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "schema", True),
        ({"response_format": {"type": "json_object"}}, "schema", True),
        ({"response_format": {"type": "text"}}, "schema", False),
        ({"tool_choice": "required"}, "forced_tool", True),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "forced_tool", True),
        ({"tool_choice": "auto"}, "forced_tool", False),
        (
            {"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto"}}},
            "forced_tool",
            False,
        ),
        ({"web_search_options": {}}, "resendable", True),
        ({"web_search_options": {"search_context_size": "low"}}, "resendable", False),
        ({"prediction": {"type": "content", "content": "x"}}, "resendable", False),
        ({"prediction": {"type": "content", "content": "x"}}, "cappable", False),
        ({"prompt_cache_options": {"prewarm": True}}, "cappable", False),
        ({"tools": [{"type": "mcp"}]}, "resendable", False),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools", ("c",)),
        ({"functions": [{"name": "old"}]}, "tools", ("old",)),
    ],
)
def test_reads_parameters(fields: dict[str, Any], attribute: str, expected: Any) -> None:
    """Every parameter that bears on the budget is read."""
    assert getattr(read(API, _plain(**fields)), attribute) == expected


def test_fingerprint_stays_all_session_long() -> None:
    """Later turns, later system messages and the order of a tool's keys change nothing."""
    first = _plain(messages=chat_body()["messages"][:2], tools=[WEATHER])
    shuffled = [dict(reversed(WEATHER.items()))]
    later = _plain(messages=[*chat_body()["messages"], {"role": "system", "content": "Reminder"}])
    later["tools"] = shuffled
    assert read(API, first).fingerprint == read(API, later).fingerprint
    assert len(read(API, first).fingerprint) == 16


def test_fingerprint_tells_sessions_apart() -> None:
    """Prompt, first message and tools each count, and cannot run into each other."""
    bodies = [
        _plain(messages=[{"role": "system", "content": s}, {"role": "user", "content": u}], tools=t)
        for s, u, t in [("ab", "c", []), ("a", "bc", []), ("ab", "d", []), ("ab", "c", [WEATHER])]
    ]
    assert len({read(API, body).fingerprint for body in bodies}) == 4


def test_cache_marker_past_the_system_prompt() -> None:
    """A prefix is shared where a marker stands before the newest user message's last block."""
    mark = {"cache_control": {"type": "ephemeral"}}
    long, question = {"type": "text", "text": "book"}, {"type": "text", "text": "why?"}
    cases = [
        ([{**long, **mark}, question], True),
        ([long, {**question, **mark}], False),
        ([long, question], False),
    ]
    for parts, shared in cases:
        body = _plain(messages=[{"role": "user", "content": parts}])
        assert read(API, body).cache_past_system is shared
    marked = {"role": "user", "content": [{**long, **mark}]}
    newest = {"role": "user", "content": "why?"}
    assert read(API, _plain(messages=[marked, newest])).cache_past_system
    answer = {"role": "assistant", "content": "because"}
    assert not read(API, _plain(messages=[marked, answer, newest])).cache_past_system
    system = {"role": "system", "content": [{**long, **mark}]}
    assert not read(API, _plain(messages=[system, newest])).cache_past_system


def test_empty_patch_writes_nothing() -> None:
    """An empty patch gives an equal body and names nothing."""
    assert _write(chat_body(), Patch()) == Written(chat_body(), ())


def test_only_what_is_ours_changes() -> None:
    """In a long conversation only cap, usage, effort and guidance differ, keys in order."""
    body = {**chat_body(), "stream": True}
    patch = Patch(cap=2000, guidance=NOTE, include_usage=True, effort="low")
    written = _write(body, patch)
    assert changed(body, written.body) == {
        "max_completion_tokens",
        "stream_options",
        "reasoning_effort",
        "messages[0].content",
    }
    assert written.body["max_completion_tokens"] == 2000
    assert written.body["stream_options"] == {"include_usage": True}
    assert written.body["reasoning_effort"] == "low"
    content = written.body["messages"][0]["content"]
    assert content == "You are a careful assistant.\n\nAim for 512 tokens."
    assert list(written.body)[: len(body)] == list(body)
    assert set(written.added) == {
        "max_completion_tokens",
        "stream_options",
        "reasoning_effort",
        "messages",
    }


@pytest.mark.parametrize(
    ("host", "fields", "cap", "expected"),
    [
        ("api.openai.com", {}, 500, {"max_completion_tokens": 500}),
        ("x.openai.azure.com", {}, 500, {"max_completion_tokens": 500}),
        ("127.0.0.1:8080", {}, 500, {"max_tokens": 500}),
        ("127.0.0.1:8080", {}, 3, {"max_tokens": 3}),
        ("api.openai.com", {}, 3, {"max_completion_tokens": 16}),
        ("api.openai.com", {"max_tokens": 900}, 500, {"max_tokens": 500}),
        ("api.openai.com", {"max_tokens": 9}, 3, {"max_tokens": 9}),
        ("127.0.0.1", {"max_completion_tokens": 900}, 500, {"max_completion_tokens": 500}),
        ("127.0.0.1", {"max_tokens": 400}, 500, {"max_tokens": 400}),
        ("127.0.0.1", {"max_tokens": 500}, 500, {"max_tokens": 500}),
        ("127.0.0.1", {"max_tokens": None}, 500, {"max_tokens": 500}),
        ("127.0.0.1", {"max_tokens": "many"}, 500, {"max_tokens": "many"}),
        (
            "api.openai.com",
            {"max_tokens": 900, "max_completion_tokens": 300},
            500,
            {"max_tokens": 500, "max_completion_tokens": 300},
        ),
        ("api.openai.com", {}, 10**9, {"max_completion_tokens": 128_000}),
    ],
)
def test_cap(host: str, fields: dict[str, Any], cap: int, expected: dict[str, Any]) -> None:
    """The caller's key is kept and only lowered; without one the host decides the key."""
    written = _write(_plain(**fields), Patch(cap=cap), host)
    caps = {key: item for key, item in written.body.items() if key.startswith("max_")}
    assert caps == expected
    assert set(written.added) == {key for key in expected if expected[key] != fields.get(key)}


def test_no_cap_where_none_may_stand() -> None:
    """A body with a prediction gets no cap, a signed one nothing at all."""
    predicted = _plain(prediction={"type": "content", "content": "x"})
    assert _write(predicted, Patch(cap=500)) == Written(predicted, ())
    body = _plain(stream=True)
    signed = read(API, body, signed=True)
    patch = Patch(cap=500, guidance=NOTE, include_usage=True, model="other")
    assert CHAT.write(body, signed, patch, Capabilities()) == Written(body, ())


def test_usage_is_asked_only_of_streams() -> None:
    """Options already there are kept; a caller who asks already needs nothing."""
    padded = _plain(stream=True, stream_options={"include_obfuscation": False})
    written = _write(padded, Patch(include_usage=True))
    assert written.body["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    for body in (
        _plain(),
        _plain(stream=True, stream_options={"include_usage": True}),
        _plain(stream=True, stream_options=[1]),
    ):
        assert _write(body, Patch(include_usage=True)) == Written(body, ())


@pytest.mark.parametrize(
    ("fields", "effort", "expected"),
    [
        ({}, "low", "low"),
        ({}, "max", None),  # OpenAI's chat completions refuse it on every model
        ({}, "minimal", None),  # not among gpt-5.5's
        ({"reasoning_effort": "high"}, "low", "high"),
        ({"temperature": 0.2}, "low", None),
        ({"temperature": 0.2}, "none", "none"),
        ({"model": "mystery"}, "low", "low"),
    ],
)
def test_effort(fields: dict[str, Any], effort: str, expected: str | None) -> None:
    """Effort is written where the caller set none and this model takes it on this API."""
    written = _write(_plain(**fields), Patch(effort=effort))
    assert written.body.get("reasoning_effort") == expected


def test_thinking_has_no_spelling_here() -> None:
    """Anthropic's thinking is not written into OpenAI's dialect."""
    body = _plain(model="claude-sonnet-4-5")
    assert _write(body, Patch(thinking=Thinking("enabled", 2048))) == Written(body, ())


def test_routed_model() -> None:
    """The model that was chosen replaces the alias."""
    written = _write(_plain(model="auto"), Patch(model="gpt-5.4-mini"))
    done = Patch(model="gpt-5.4-mini")
    assert written == Written(_plain(model="gpt-5.4-mini"), ("model",), done)


def test_a_model_that_the_body_does_not_name_is_not_ours_to_choose() -> None:
    """Where the path names the model, none is written into the body."""
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    assert _write(body, Patch(model="gpt-5.4-mini")) == Written(body, ())


def test_says_what_was_really_written() -> None:
    """What found no place is empty in the patch handed back; the cap is the one in the body."""
    body = _plain(stream=True)
    whole = Patch(cap=3, effort="low", guidance=NOTE, include_usage=True, model="gpt-5.4")
    assert _write(body, whole).patch == Patch(
        cap=16, effort="low", guidance=NOTE, include_usage=True, model="gpt-5.4"
    )
    nowhere = Guidance("g", "Note.", "user", 99)
    odd = _plain(stream=True, stream_options=[1], temperature=0.2, max_completion_tokens=400)
    asked = Patch(
        cap=500, thinking=Thinking("adaptive"), effort="low", guidance=nowhere, include_usage=True
    )
    assert _write(odd, asked) == Written(odd, ())
    plain = Patch(include_usage=True)
    assert not _write(_plain(), plain).patch.include_usage
    asking = _plain(stream=True, stream_options={"include_usage": True})
    assert not _write(asking, plain).patch.include_usage


def test_guidance_in_the_system_prompt() -> None:
    """Text is appended in the prompt's own form; without a prompt one is made."""
    mark = {"type": "ephemeral"}
    user = {"role": "user", "content": "Hi"}
    block = {"type": "text", "text": "Rules", "cache_control": mark}
    note = {"type": "text", "text": NOTE.text}
    cases: list[tuple[list[Any], list[Any]]] = [
        ([user], [{"role": "system", "content": NOTE.text}, user]),
        (
            [{"role": "developer", "content": "Rules"}, user],
            [{"role": "developer", "content": f"Rules\n\n{NOTE.text}"}, user],
        ),
        (
            [{"role": "system", "content": [block]}, user],
            [{"role": "system", "content": [block, note]}, user],
        ),
        (
            [{"role": "system", "content": "A"}, {"role": "system", "content": [block]}, user],
            [
                {"role": "system", "content": "A"},
                {"role": "system", "content": [block, note]},
                user,
            ],
        ),
        (
            [{"role": "system", "content": "A"}, user, {"role": "system", "content": "B"}],
            [
                {"role": "system", "content": f"A\n\n{NOTE.text}"},
                user,
                {"role": "system", "content": "B"},
            ],
        ),
        ([{"role": "system", "content": 5}, user], [{"role": "system", "content": 5}, user]),
    ]
    for messages, expected in cases:
        assert _write(_plain(messages=messages), Patch(guidance=NOTE)).body["messages"] == expected


def test_guidance_in_a_user_message() -> None:
    """Text ends the message that the index names; a message that is not there gets nothing."""
    body = chat_body()
    first = _write(body, Patch(guidance=Guidance("g", "Note.", "user", 0)))
    assert changed(body, first.body) == {"messages[1].content[2]"}
    assert first.body["messages"][1]["content"][2] == {"type": "text", "text": "Note."}
    second = _write(body, Patch(guidance=Guidance("g", "Note.", "user", 1)))
    assert changed(body, second.body) == {"messages[3].content"}
    assert second.body["messages"][3]["content"] == [
        {"type": "text", "text": "And the weather in Riga?"},
        {"type": "text", "text": "Note."},
    ]
    assert _write(body, Patch(guidance=Guidance("g", "Note.", "user", 99))) == Written(body, ())
    for odd in (None, "text", 5):
        odd_body = _plain(messages=odd)
        for place in (NOTE, Guidance("g", "Note.", "user", 0)):
            assert _write(odd_body, Patch(guidance=place)) == Written(odd_body, ())


def _answer(**choice: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "model": "gpt-5.5-2026",
        "service_tier": "priority",
        "choices": [{"index": 0, "finish_reason": "stop", **choice}],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 32},
            "completion_tokens_details": {"reasoning_tokens": 40, "audio_tokens": None},
        },
    }


def test_reads_a_plain_answer() -> None:
    """Usage inclusive, the tier really used, the model and id that answered."""
    assert CHAT.read_outcome(_answer(message={"content": "Hi"}), seconds=1.5) == Outcome(
        usage=Usage(100, 50, 40, 64, 32),
        finish_reason="stop",
        exact=True,
        seconds=1.5,
        response_id="chatcmpl-1",
        model="gpt-5.5-2026",
        tier="priority",
    )


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"finish_reason": "length"}, "length"),
        ({"finish_reason": "tool_calls"}, "tool_calls"),
        ({"finish_reason": "function_call"}, "tool_calls"),
        ({"finish_reason": "content_filter"}, "content_filter"),
        ({"finish_reason": "eos"}, "stop"),
        ({"finish_reason": None}, "stop"),
        ({"message": {"refusal": "I cannot."}}, "refusal"),
        ({"finish_reason": "length", "message": {"refusal": "I cann"}}, "length"),
    ],
)
def test_finish_reasons(choice: dict[str, Any], expected: str) -> None:
    """Finish reasons in the core's words."""
    assert CHAT.read_outcome(_answer(**choice)).finish_reason == expected


def test_one_cut_choice_of_several() -> None:
    """Of several choices one that was cut counts."""
    payload = _answer()
    payload["choices"] += [{"finish_reason": "length"}, {"finish_reason": "stop"}]
    assert CHAT.read_outcome(payload).finish_reason == "length"


def test_usage_without_details() -> None:
    """Servers that omit or null the details leave them unknown, never 0."""
    bare = {**_answer(), "usage": {"prompt_tokens": 3, "completion_tokens": 4}}
    assert CHAT.read_outcome(bare).usage == Usage(3, 4)
    null = {**bare, "usage": {**bare["usage"], "prompt_tokens_details": None}}
    assert CHAT.read_outcome(null).usage == Usage(3, 4)
    half = {**bare, "usage": {"completion_tokens": 4, "prompt_tokens": "many"}}
    assert CHAT.read_outcome(half).usage == Usage(None, 4)


def test_answer_without_usage_is_estimated() -> None:
    """Text of 9 characters and arguments of 4 are 13 / 4, rounded up: 4 tokens seen."""
    payload = _answer(
        message={"content": "Hi there.", "tool_calls": [{"function": {"arguments": '{"a"'}}]}
    )
    del payload["usage"]
    outcome = CHAT.read_outcome(payload)
    assert (outcome.usage, outcome.exact) == (Usage(None, 4), False)


_NO_ANSWERS: list[Any] = [None, [], "x", {}, {"choices": None}, {"choices": [None]}]


def test_answers_that_are_none() -> None:
    """An error is certain where the provider says so, else nothing is known of the cost."""
    said = CHAT.read_outcome({"error": {"message": "boom"}})
    assert (said.finish_reason, said.usage, said.exact) == ("error", None, True)
    for payload in _NO_ANSWERS:
        odd = CHAT.read_outcome(payload)
        assert (odd.finish_reason, odd.usage, odd.exact) == ("error", None, False)


def _error(message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param,
                      "code": code}}  # fmt: skip


ADDED = ("max_completion_tokens", "stream_options", "reasoning_effort", "messages")


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            _error("Unsupported parameter: 'max_completion_tokens'.", "max_completion_tokens"),
            "max_completion_tokens",
        ),
        (
            _error("max_tokens is too large: 99. This model supports at most 9.", "max_tokens"),
            "max_completion_tokens (this value)",
        ),
        (_error("Unknown parameter: 'stream_options.include_usage'."), "stream_options"),
        (_error("Unsupported value: 'reasoning_effort'", "reasoning_effort"), "reasoning_effort"),
        (_error("Unsupported value", "reasoning.effort"), "reasoning_effort"),
        (_error("System role not supported"), "messages"),
        (_error("messages: too long", "messages", "context_length_exceeded"), None),
        (_error("temperature is not supported", "temperature"), None),
        ({"detail": "Extra inputs are not permitted: stream_options"}, "stream_options"),
        ({"error": "max_tokens must be at least 1"}, "max_completion_tokens (this value)"),
        (
            _error("Could not finish the message because max_tokens was reached."),
            "max_completion_tokens (this value)",
        ),
        ({"detail": [{"loc": ["body", "stream_options"], "msg": "Extra"}]}, "stream_options"),
        ({"message": {"detail": [{"loc": ["stream_options"]}]}}, "stream_options"),
        ({"error": {"message": [{"loc": ["body", "reasoning_effort"]}]}}, "reasoning_effort"),
        (_error("messages[2].content: invalid type: sequence, expected a string"), "messages"),
        ({"detail": 3}, None),
        (None, None),
        ([1], None),
    ],
)
def test_rejected(payload: Any, expected: str | None) -> None:
    """A 400 names the parameter of ours that it complains of, in whatever shape."""
    assert CHAT.rejected(payload, ADDED) == expected


def test_rejected_is_never_what_we_did_not_add() -> None:
    """A complaint about the caller's own parameter is the caller's to see."""
    payload = _error("Unsupported value: 'reasoning_effort'", "reasoning_effort")
    assert CHAT.rejected(payload, ("max_tokens",)) is None


@pytest.mark.parametrize(
    ("name", "blanked"),
    [
        ("max_completion_tokens", {"cap": None}),
        ("max_tokens", {"cap": None}),
        ("stream_options", {"include_usage": False}),
        ("reasoning_effort", {"effort": None}),
        ("messages", {"guidance": None}),
        ("temperature", {}),
    ],
)
def test_without(name: str, blanked: dict[str, Any]) -> None:
    """Blanking a parameter leaves the rest of the patch alone."""
    full: dict[str, Any] = {
        "cap": 500,
        "effort": "low",
        "guidance": NOTE,
        "include_usage": True,
        "model": "m",
    }
    assert CHAT.without(Patch(**full), name) == Patch(**{**full, **blanked})


def _meter(stream: bytes, *, drop: bool, cancelled: bool = False) -> tuple[bytes, Outcome]:
    reader = CHAT.meter(drop_usage=drop)
    out = reader.feed(stream) + reader.close()
    return out, reader.outcome(seconds=2.0, cancelled=cancelled)


WHOLE = Outcome(
    usage=Usage(12, 34, 20, 8),
    finish_reason="stop",
    seconds=2.0,
    response_id="chatcmpl-1",
    model="gpt-5.5-2026",
    tier="default",
)


def test_metered_stream() -> None:
    """The bytes pass as they are, the final usage chunk is the exact usage."""
    assert _meter(CHAT_STREAM, drop=False) == (CHAT_STREAM, WHOLE)


def test_only_our_usage_chunk_is_dropped() -> None:
    """Dropping removes the one chunk without choices; null usage on the others stays."""
    events = CHAT_STREAM.split(b"\n\n")
    expected = b"\n\n".join(event for event in events if b'"choices":[]' not in event)
    assert _meter(CHAT_STREAM, drop=True) == (expected, WHOLE)
    assert expected.count(b'"usage":null') == 3


def test_stream_without_final_usage_is_estimated() -> None:
    """16 characters of text count as 16 / 4 = 4 tokens, and as not exact."""
    events = CHAT_STREAM.split(b"\n\n")
    stream = b"\n\n".join([*events[:3], b"data: [DONE]", b""])
    _, outcome = _meter(stream, drop=False)
    assert len("Hello wörld, \u2028ok") == 16
    assert (outcome.usage, outcome.exact) == (Usage(None, 4), False)
    assert outcome.finish_reason == "stop"


def test_streams_that_break_off() -> None:
    """Cancelled is what the client gave up, an error what the provider did."""
    begun = CHAT_STREAM[
        : CHAT_STREAM.index(b'data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{},')
    ]
    _, gone = _meter(begun, drop=True, cancelled=True)
    assert (gone.finish_reason, gone.exact, gone.usage) == ("cancelled", False, Usage(None, 4))
    _, broken = _meter(begun, drop=True)
    assert (broken.finish_reason, broken.exact) == ("error", False)
    _, late = _meter(CHAT_STREAM, drop=False, cancelled=True)
    assert (late.finish_reason, late.exact) == ("stop", True)
    _, nothing = _meter(b"", drop=False, cancelled=True)
    assert (nothing.finish_reason, nothing.usage, nothing.exact) == ("cancelled", None, False)


def test_error_in_mid_stream() -> None:
    """An error event ends the answer in an error, with an estimate of what was seen of it."""
    begun = CHAT_STREAM.split(b"\n\n")[1] + b"\n\n"
    _, outcome = _meter(begun + b'data: {"error":{"message":"overloaded"}}\n\n', drop=False)
    assert (outcome.finish_reason, outcome.usage) == ("error", Usage(None, 4))
    assert not outcome.exact


def test_error_before_the_first_character_costs_nothing() -> None:
    """Such an error is certain; without its event the same stream is not."""
    begun = CHAT_STREAM.split(b"\n\n")[0] + b"\n\n"
    _, outcome = _meter(begun + b'data: {"error":{"message":"overloaded"}}\n\n', drop=True)
    assert (outcome.finish_reason, outcome.usage, outcome.exact) == ("error", None, True)
    _, broken = _meter(begun, drop=True)
    assert (broken.finish_reason, broken.usage, broken.exact) == ("error", None, False)


def test_broken_event_does_not_break_the_relay() -> None:
    """Corrupt JSON, odd JSON and comments pass; numbers after them are still read."""
    noise = b'data: {"id":\n\ndata: [1]\n\ndata: null\n\n: keep-alive\n\ndata: \xff\xfe\n\n'
    for drop in (False, True):
        out, outcome = _meter(noise + CHAT_STREAM, drop=drop)
        assert out.startswith(noise)
        assert outcome == WHOLE


def test_usage_on_every_chunk() -> None:
    """Servers that send running totals on each chunk are exact once they named the reason."""
    stream = b"".join(
        b'data: {"choices":[{"delta":{"content":"ab"},"finish_reason":%s}],"usage":{"prompt_tokens"'
        b':5,"completion_tokens":%d}}\n\n' % (reason, tokens)
        for tokens, reason in [(1, b"null"), (2, b"null"), (3, b'"length"')]
    )
    out, outcome = _meter(stream, drop=True)
    assert out == stream
    assert (outcome.usage, outcome.exact, outcome.finish_reason) == (Usage(5, 3), True, "length")
    _, cut = _meter(stream[: stream.index(b'"length"')], drop=False, cancelled=True)
    assert (cut.usage, cut.exact) == (Usage(5, 2), False)


def test_usage_before_the_last_chunk() -> None:
    """Later chunks without usage take nothing away; only one with no choices and usage goes."""
    stream = (
        b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,'
        b'"completion_tokens":3}}\n\n'
        b'data: {"choices":[],"usage":null}\n\ndata: {"usage":{"completion_tokens":3}}\n\n'
        b'data: {"choices":[]}\n\ndata: [DONE]\n\n'
    )
    out, outcome = _meter(stream, drop=True)
    assert out == stream
    assert (outcome.usage, outcome.exact) == (Usage(5, 3), True)


def test_incomplete_events_are_held_only_for_dropping() -> None:
    """Without dropping every byte passes at once; with it an event passes when complete."""
    at_once, held = CHAT.meter(drop_usage=False), CHAT.meter(drop_usage=True)
    half, rest = CHAT_STREAM[:50], CHAT_STREAM[50:]
    assert (at_once.feed(half), held.feed(half)) == (half, b"")
    assert held.feed(rest).startswith(half)


def test_counts_all_generated_text() -> None:
    """Reasoning (4), refusal (3), tool arguments (5) and content of two choices (2): 14 / 4."""
    stream = (
        b'data: {"choices":[{"delta":{"reasoning_content":"abcd"}},{"delta":{"content":"xy"}}]}\n\n'
        b'data: {"choices":[{"delta":{"refusal":"abc"}}]}\n\n'
        b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"abcde"}}]}}]}\n\n'
    )
    _, outcome = _meter(stream, drop=False, cancelled=True)
    assert outcome.usage == Usage(None, 4)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (402, "budget_exceeded", (429, "insufficient_quota")),
        (400, "invalid_budget", (400, "invalid_request_error")),
        (429, "busy", (429, "rate_limit_error")),
        (502, "upstream", (502, "server_error")),
    ],
)
def test_error_shape(status: int, code: str, expected: tuple[int, str]) -> None:
    """Errors have OpenAI's shape; a budget refusal is a 429 of its billing family."""
    got, body = CHAT.error(status, "No.", code)
    assert (got, body["error"].pop("type")) == expected
    assert body == {"error": {"message": "No.", "param": None, "code": code}}
