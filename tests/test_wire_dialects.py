from __future__ import annotations

import copy
import json
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from budget_proxy.types import Capabilities, Guidance, GuidancePlace, Patch, Thinking
from budget_proxy.wire import DIALECTS, Context, dialect_for, strip, value
from budget_proxy.wire.models import capabilities
from tests.wire_bodies import STREAMS, body_of, changed, read

APIS = sorted(DIALECTS)


@pytest.mark.parametrize(
    ("path", "api"),
    [
        ("/v1/chat/completions", "openai.chat"),
        ("/chat/completions", "openai.chat"),
        ("/v1/chat/completions/", "openai.chat"),
        ("/openai/deployments/gpt/chat/completions", "openai.chat"),
        ("/api/v1/chat/completions", "openai.chat"),
        ("/v1/responses", "openai.responses"),
        ("/openai/v1/responses", "openai.responses"),
        ("/v1/messages", "anthropic.messages"),
        ("/anthropic/v1/messages", "anthropic.messages"),
        ("/model/anthropic.claude-opus-4-6-v1:0/invoke", "anthropic.messages"),
        ("/model/arn%3Aaws%3Abedrock%3Aprofile%2Fx/invoke", "anthropic.messages"),
        ("/model/anthropic.claude-opus-4-6-v1:0/invoke-with-response-stream", None),
        ("/model/anthropic.claude-opus-4-6-v1:0/converse", None),
        ("/xmodel/m/invoke", None),
        ("/model/invoke", None),
        ("/v1/Chat/Completions", "openai.chat"),
        ("/v1//chat//completions//", "openai.chat"),
        ("/openai/deployments/D/Responses", "openai.responses"),
        ("/v1/messages/count_tokens", None),
        ("/v1/messages/batches", None),
        ("/v1/responses/resp_1", None),
        ("/v1/responses/resp_1/cancel", None),
        ("/v1/responses/input_tokens", None),
        ("/v1/chat/completions/chatcmpl_1", None),
        ("/v1/threads/thread_1/messages", None),
        ("/v1/embeddings", None),
        ("/v1/completions", None),
        ("/xchat/completions", None),
        ("/v1/xresponses", None),
        ("/", None),
        ("", None),
    ],
)
def test_dialect_of_a_path(path: str, api: str | None) -> None:
    """Completion calls have a dialect whatever stands before; their neighbours have none."""
    found = dialect_for("POST", path)
    assert (found.api if found else None) == api
    assert dialect_for("GET", path) is None


def test_dialects_know_their_names() -> None:
    """Every dialect is listed under its own API, with the provider that prices it."""
    assert {api: dialect.api for api, dialect in DIALECTS.items()} == {api: api for api in APIS}
    assert [DIALECTS[api].provider for api in APIS] == ["anthropic", "openai", "openai"]


@pytest.mark.parametrize(
    ("api", "asked", "tier"),
    [
        ("openai.chat", {"service_tier": "priority"}, "priority"),
        ("openai.responses", {"service_tier": "flex"}, "flex"),
        ("anthropic.messages", {"service_tier": "standard_only"}, "standard_only"),
        ("anthropic.messages", {"service_tier": "auto", "speed": "fast"}, "fast"),
        ("openai.chat", {"service_tier": 7}, None),
        ("openai.responses", {}, None),
        ("anthropic.messages", {"speed": "standard"}, None),
    ],
)
def test_the_tier_that_is_asked_for(api: str, asked: dict[str, Any], tier: str | None) -> None:
    """As an answer names it, by which that is priced: a fast speed goes before the tier."""
    found = DIALECTS[api].read({**body_of(api), **asked}, Context("c", 0.0))
    assert found.tier == tier


def test_strip() -> None:
    """Our key goes, its value is handed back, the given body stays as it is."""
    body = {"model": "m", "budget": {"cap": 5}, "x": 1}
    assert strip(body) == ({"model": "m", "x": 1}, {"cap": 5})
    assert body["budget"] == {"cap": 5}
    assert strip({"model": "m"}) == ({"model": "m"}, None)


def test_light_to_import() -> None:
    """Importing the dialects loads neither numpy nor the price table nor a settings library."""
    heavy = ("numpy", "genai_prices", "pydantic", "openai", "anthropic", "sqlite3", "asyncio")
    code = f"import budget_proxy.wire, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


FEW = settings(max_examples=25, deadline=None)
"""Each test runs for every dialect, and drawing JSON is slow."""

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(alphabet=st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from(["user", "assistant", "system", "text", "tool_result", "function_call"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["type", "role", "content", "text", "input", "function", "arguments", "name", "usage",
             "tool_calls", "cache_control", "source", "data", "effort", "budget_tokens", "id"]
        )
        | st.text(max_size=4),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip
FIELDS = (
    "model", "messages", "input", "instructions", "system", "tools", "functions", "n", "stream",
    "stream_options", "max_tokens", "max_completion_tokens", "max_output_tokens", "thinking",
    "reasoning", "reasoning_effort", "output_config", "output_format", "response_format", "text",
    "tool_choice", "prediction", "prompt_cache_key", "prompt_cache_options", "conversation",
    "previous_response_id", "background", "thread", "container", "mcp_servers", "temperature",
    "id", "choices", "usage", "output", "status", "incomplete_details", "stop_reason", "error",
    "delta", "message", "response", "type", "content", "service_tier",
)  # fmt: skip
BODIES = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), JSON, max_size=8)
ROLES = st.sampled_from(["user", "assistant", "system"])
MESSAGES = st.lists(st.fixed_dictionaries({"role": ROLES}, optional={"content": JSON}), max_size=5)
KINDS = st.sampled_from(["adaptive", "enabled", "disabled"])
PLACES: st.SearchStrategy[GuidancePlace] = st.sampled_from(["system", "user"])
NOTES = st.builds(Guidance, st.just("g"), st.just("NOTE"), PLACES, st.integers(0, 3))
PATCHES = st.builds(
    Patch,
    cap=st.none() | st.integers(1, 10**6),
    thinking=st.none() | st.builds(Thinking, KINDS, st.integers(0, 9999)),
    effort=st.sampled_from([None, "low", "none", "max"]),
    guidance=st.none() | NOTES,
    include_usage=st.booleans(),
)
EVERYTHING = Capabilities(
    efforts=("none", "low", "max"),
    thinking=frozenset({"adaptive", "enabled", "disabled"}),
    known=True,
)


@pytest.mark.parametrize("api", APIS)
@FEW
@given(body=BODIES, patch=PATCHES)
def test_no_body_is_too_odd(api: str, body: dict[str, Any], patch: Patch) -> None:
    """Any JSON object can be read and written, and the given one is never changed."""
    given_body = copy.deepcopy(body)
    dialect = DIALECTS[api]
    call = dialect.read(body, Context("c", 0.0))
    assert len(call.fingerprint) == 16
    assert call.n >= 1
    assert (
        call.input_chars
        >= sum(len(message.text) for message in call.messages if message.text)
        - len(call.messages) * 8
    )
    written = dialect.write(body, call, patch, EVERYTHING)
    assert repr(body) == repr(given_body)  # equal also where a NaN is in it
    assert set(written.body) >= set(body)
    assert _roots(body, written.body) <= set(written.added)


@pytest.mark.parametrize("api", APIS)
@FEW
@given(body=BODIES, patch=PATCHES)
def test_what_was_written_is_all_that_was(api: str, body: dict[str, Any], patch: Patch) -> None:
    """The patch handed back writes the same body again, and holds nothing that was not asked."""
    dialect, call = DIALECTS[api], read(api, body)
    written = dialect.write(body, call, patch, EVERYTHING)
    again = dialect.write(body, call, written.patch, EVERYTHING)
    assert (repr(again.body), again.added, again.patch) == (
        repr(written.body), written.added, written.patch,
    )  # fmt: skip
    done = written.patch
    assert done.effort in {None, patch.effort}
    assert done.guidance in {None, patch.guidance}
    assert done.thinking is None or (patch.thinking and done.thinking.kind == patch.thinking.kind)
    assert patch.include_usage or not done.include_usage
    assert bool(written.added) is (done != Patch())


@pytest.mark.parametrize("api", APIS)
@FEW
@given(messages=MESSAGES, patch=PATCHES)
def test_guidance_only_adds(api: str, messages: list[dict[str, Any]], patch: Patch) -> None:
    """Whatever the messages, writing adds at most one note and takes nothing away."""
    key = "input" if api == "openai.responses" else "messages"
    body = {"model": "m", key: messages}
    written = DIALECTS[api].write(body, read(api, body), patch, EVERYTHING)
    note = "NOTE" if patch.guidance else None
    assert json.dumps(written.body).count("NOTE") - json.dumps(body).count("NOTE") in {
        0,
        1 if note else 0,
    }
    kept = json.dumps(written.body[key])
    assert len(kept) >= len(json.dumps(messages))


@pytest.mark.parametrize("api", APIS)
@FEW
@given(body=BODIES)
def test_empty_patch_is_no_change(api: str, body: dict[str, Any]) -> None:
    """An empty patch gives back an equal body, in the same order, and names nothing."""
    written = DIALECTS[api].write(body, read(api, body), Patch(), EVERYTHING)
    assert repr(written.body) == repr(body)
    assert written.added == ()


@pytest.mark.parametrize("api", APIS)
@FEW
@given(payload=BODIES | JSON)
def test_no_answer_is_too_odd(api: str, payload: Any) -> None:
    """Any JSON has an outcome and a complaint or none; known usage is whole numbers >= 0."""
    outcome = DIALECTS[api].read_outcome(payload)
    if outcome.usage is not None:
        known = (outcome.usage.input_tokens, outcome.usage.output_tokens)
        assert all(item is None or (type(item) is int and item >= 0) for item in known)
    assert DIALECTS[api].rejected(payload, ()) is None


@pytest.mark.parametrize("api", APIS)
@FEW
@given(
    events=st.lists(BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(), max_size=6)
)
def test_no_stream_is_too_odd(api: str, events: list[bytes]) -> None:
    """Whatever a stream holds, its bytes pass and it has an outcome."""
    stream = b"".join(b"data: " + event + b"\n\n" for event in events)
    reader = DIALECTS[api].meter(drop_usage=False)
    assert reader.feed(stream) + reader.close() == stream
    assert reader.outcome(cancelled=True).finish_reason is not None


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("eol", [b"\n", b"\r\n"])
@pytest.mark.parametrize("api", APIS)
@FEW
@given(data=st.data())
def test_any_chunking_relays_the_same(
    api: str,
    eol: bytes,
    drop: bool,
    data: st.DataObject,
) -> None:
    """However a stream is cut, the client gets the same bytes and we the same outcome."""
    stream = STREAMS[api].replace(b"\n", eol)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    bounds = [0, *cuts, len(stream)]
    whole, pieces = (DIALECTS[api].meter(drop_usage=drop) for _ in range(2))
    expected = whole.feed(stream) + whole.close()
    got = b"".join(pieces.feed(stream[a:b]) for a, b in pairwise(bounds))
    assert got + pieces.close() == expected
    assert pieces.outcome() == whole.outcome()
    assert pieces.outcome().exact
    if not drop:
        assert expected == stream


@pytest.mark.parametrize("api", APIS)
def test_first_call_and_later_calls_share_a_fingerprint(api: str) -> None:
    """Guidance that we wrote in an earlier call is not in what the client sends again."""
    body = body_of(api)
    call = read(api, body)
    assert call.fingerprint == read(api, body_of(api)).fingerprint
    note = Patch(guidance=Guidance("g", "Note."))
    written = DIALECTS[api].write(body, call, note, capabilities(api, "", call.model))
    assert read(api, written.body).fingerprint != call.fingerprint
    assert changed(body, body_of(api)) == set()


SHOWN: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "openai.chat": (
        "messages",
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,BBBB"}},
    ),
    "openai.responses": (
        "input",
        {"type": "input_file", "filename": "f.pdf", "file_data": "AAAA"},
        {"type": "input_file", "filename": "f.pdf", "file_data": "BBBB"},
    ),
    "anthropic.messages": (
        "messages",
        {"type": "image", "source": {"type": "base64", "data": "AAAA"}},
        {"type": "image", "source": {"type": "base64", "data": "BBBB"}},
    ),
}


@pytest.mark.parametrize("api", APIS)
def test_first_messages_that_only_show_something_differ(api: str) -> None:
    """What is no text tells sessions apart, whatever the order of its keys."""
    key, first, second = SHOWN[api]

    def fingerprint(*blocks: dict[str, Any]) -> bytes:
        return read(api, {"model": "m", key: [{"role": "user", "content": [*blocks]}]}).fingerprint

    seen = {fingerprint(), fingerprint(first), fingerprint(second), fingerprint(first, second)}
    assert len(seen) == 4
    assert fingerprint(dict(reversed(first.items()))) == fingerprint(first)


@pytest.mark.parametrize("marker", ["cache_control", "prompt_cache_breakpoint"])
@pytest.mark.parametrize("api", APIS)
def test_moving_a_cache_marker_leaves_the_fingerprint(api: str, marker: str) -> None:
    """Later calls mark later messages, and tools no more; what they show later does not count."""
    key, first, second = SHOWN[api]
    mark = {marker: {"type": "ephemeral"}}
    tool = {"name": "look", "input_schema": {"type": "object"}}
    begun = [{"role": "user", "content": [{**first, **mark}]}]
    later = [
        {"role": "user", "content": [first]},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": [{**second, **mark}]},
    ]
    calls = [
        read(api, {"model": "m", "tools": tools, key: messages})
        for messages, tools in ((begun, [{**tool, **mark}]), (later, [tool]))
    ]
    assert calls[0].fingerprint == calls[1].fingerprint
    assert calls[1].fingerprint != read(api, {"model": "m", key: later}).fingerprint


@pytest.mark.parametrize("api", ["openai.chat", "openai.responses"])
def test_azure_names_the_model_in_its_path(api: str) -> None:
    """The deployment stands for a model that the body leaves out; the body's goes before it."""
    path = "/openai/deployments/my%20gpt/chat/completions"
    assert read(api, {}, path=path).model == "my gpt"
    assert read(api, {"model": ""}, path=path).model == "my gpt"
    assert read(api, {"model": "gpt-5.5"}, path=path).model == "gpt-5.5"
    assert read(api, {}, path="/v1/chat/completions").model == ""


def _roots(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {key for key in after if key not in before or repr(before[key]) != repr(after[key])}


FORM = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "parts": {"type": "array", "items": {"properties": {"kind": {}, "size": {}}}},
    },
}
FORMS: dict[str, dict[str, Any]] = {
    "openai.chat": {"response_format": {"type": "json_schema", "json_schema": {"schema": FORM}}},
    "openai.responses": {"text": {"format": {"type": "json_schema", "schema": FORM}}},
    "anthropic.messages": {"output_config": {"format": {"type": "json_schema", "schema": FORM}}},
}


@pytest.mark.parametrize("api", APIS)
def test_reads_the_fields_of_a_schema(api: str) -> None:
    """The properties of the schema that an answer must have are counted at any depth."""
    assert read(api, body_of(api) | FORMS[api]).schema_fields == 4
    assert read(api, body_of(api)).schema_fields == 0


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("given", "temperature"),
    [(0, 0.0), (0.7, 0.7), (True, None), ("1", None), (float("nan"), None), (10**400, None)],
)
def test_reads_the_temperature(api: str, given: Any, temperature: float | None) -> None:
    """A finite number is the temperature; anything else counts as none given."""
    assert read(api, body_of(api) | {"temperature": given}).temperature == temperature


def test_a_schema_that_holds_itself_is_read() -> None:
    """A schema made in Python that holds itself does not keep the reader forever."""
    schema: dict[str, Any] = {"properties": {"left": {}}}
    schema["properties"]["left"] = schema
    assert value.properties(schema) > 0
