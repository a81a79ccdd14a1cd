"""The OpenAI SDK through the wrapper, driven as its users drive it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import openai as sdk
import pydantic
import pytest

from budget_proxy import Engine, Override, budget, openai, wrap
from budget_proxy.errors import InvalidInput
from tests.conformance.got import raised
from tests.doors import HELLO, MODEL, OPENAI, client, http_client, items, learned, now, rows
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider

ASK = {"model": MODEL, "messages": HELLO}
OWN = "x-budget-"


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that caps wherever it may, with a low floor."""
    with Engine.open("memory:", holdout=0.0, caps="always", floor=64) as engine:
        yield engine


@pytest.fixture
def provider() -> ScriptedProvider:
    """The network's far end."""
    return ScriptedProvider()


@pytest.fixture(params=OPENAI, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> Any:
    """The sync client's class and the async one's."""
    return request.param


@pytest.fixture(params=["mock", "loopback"])
async def plain(
    request: pytest.FixtureRequest, kind: Any, provider: ScriptedProvider
) -> AsyncIterator[Any]:
    """A client as the SDK makes it, before a mock transport and over a real connection."""
    if request.param == "mock":
        yield client(kind, provider)
        return
    with provider.serve() as url:
        made = kind(api_key="sk-test", base_url=f"{url}/v1", max_retries=0)
        yield made
        await now(made.close())


@pytest.fixture
def wrapped(plain: Any, engine: Engine) -> Any:
    """The same, wrapped."""
    return wrap(plain, engine=engine)


async def test_create(wrapped: Any, engine: Engine) -> None:
    """A plain call gives the provider's answer, and a row with its usage."""
    answer = await now(wrapped.chat.completions.create(**ASK))
    assert answer.choices[0].message.content == Answer().text
    (row,) = rows(engine)
    assert (row.input_tokens, row.output_tokens, row.exact) == (12, 34, True)
    assert (row.api, row.model, row.stream, row.status) == ("openai.chat", MODEL, False, 200)
    assert row.seconds is not None
    assert row.seconds > 0


async def test_create_streamed(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """Every chunk arrives but the usage that the caller did not ask for; the row has it."""
    chunks = await items(await now(wrapped.chat.completions.create(**ASK, stream=True)))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == Answer().text
    assert all(chunk.choices for chunk in chunks)
    assert provider.last.body["stream_options"] == {"include_usage": True}
    (row,) = rows(engine)
    assert (row.output_tokens, row.exact, row.finish_reason) == (34, True, "stop")


async def test_a_caller_who_asks_for_usage_gets_it(wrapped: Any) -> None:
    """The chunk of usage is the caller's when the caller asked for it."""
    options = {"include_usage": True}
    stream = await now(
        wrapped.chat.completions.create(**ASK, stream=True, stream_options=options)
    )  # fmt: skip
    assert (await items(stream))[-1].usage.completion_tokens == 34


async def test_the_stream_helper(wrapped: Any, engine: Engine) -> None:
    """``.stream()`` accumulates as ever."""
    manager = wrapped.chat.completions.stream(**ASK)
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            final = await stream.get_final_completion()
    else:
        with manager as stream:
            final = stream.get_final_completion()
    assert final.choices[0].message.content == Answer().text
    assert rows(engine)[0].output_tokens == 34


async def test_parse(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """A structured answer that our cap cut off is no LengthFinishReasonError: it is asked again."""

    class Verdict(pydantic.BaseModel):
        good: bool

    learned(engine)
    provider.answer = Answer(text='{"good": true}', output_tokens=5_000)
    answer = await now(wrapped.chat.completions.parse(**ASK, response_format=Verdict))
    assert answer.choices[0].message.parsed == Verdict(good=True)
    assert [row.truncated for row in rows(engine)] == [True, False]


async def test_tools(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """A tool's call comes back whole, plain and streamed."""
    tool = {"type": "function", "function": {"name": "look", "parameters": {}}}
    provider.answer = Answer(text='{"at": "it"}', tool="look")
    answer = await now(wrapped.chat.completions.create(**ASK, tools=[tool]))
    assert answer.choices[0].message.tool_calls[0].function.arguments == '{"at": "it"}'
    stream = await now(wrapped.chat.completions.create(**ASK, tools=[tool], stream=True))
    deltas = [chunk.choices[0].delta for chunk in await items(stream)]
    calls = [call for delta in deltas for call in delta.tool_calls or []]
    assert "".join(call.function.arguments for call in calls) == '{"at": "it"}'
    assert [row.finish_reason for row in rows(engine)] == ["tool_calls", "tool_calls"]


async def test_tools_of_responses(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """The same by the Responses API."""
    asked = {"model": MODEL, "input": "hello", "tools": [{"type": "function", "name": "look"}]}
    provider.answer = Answer(text='{"at": "it"}', tool="look")
    answer = await now(wrapped.responses.create(**asked))
    assert [item.arguments for item in answer.output] == ['{"at": "it"}']
    events = await items(await now(wrapped.responses.create(**asked, stream=True)))
    pieces = [event.delta for event in events if event.type.endswith("arguments.delta")]
    assert "".join(pieces) == '{"at": "it"}'
    assert [row.finish_reason for row in rows(engine)] == ["tool_calls", "tool_calls"]


async def test_with_raw_response(wrapped: Any, engine: Engine) -> None:
    """Headers of ours tell what was decided, beside the provider's own."""
    raw = await now(wrapped.chat.completions.with_raw_response.create(**ASK))
    assert raw.parse().choices[0].message.content == Answer().text
    assert raw.headers["content-type"] == "application/json"
    assert raw.headers["x-budget-call-id"] == rows(engine)[0].call_id
    assert raw.headers["x-budget-reason"]


async def test_with_streaming_response(wrapped: Any, engine: Engine) -> None:
    """The lines of a stream can be read as they are."""
    manager = wrapped.chat.completions.with_streaming_response.create(**ASK, stream=True)
    if hasattr(manager, "__aenter__"):
        async with manager as response:
            lines = await items(response.iter_lines())
    else:
        with manager as response:
            lines = await items(response.iter_lines())
    assert lines[-2:] == ["data: [DONE]", ""]
    assert not any("prompt_tokens" in line for line in lines)
    assert rows(engine)[0].exact


async def test_responses(wrapped: Any, engine: Engine) -> None:
    """The Responses API, plain, streamed, and by its helper."""
    asked = {"model": MODEL, "input": "hello"}
    answer = await now(wrapped.responses.create(**asked))
    assert answer.output_text == Answer().text
    events = await items(await now(wrapped.responses.create(**asked, stream=True)))
    assert events[-1].type == "response.completed"
    manager = wrapped.responses.stream(**asked)
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            final = await stream.get_final_response()
    else:
        with manager as stream:
            final = stream.get_final_response()
    assert final.output_text == Answer().text
    got = [(row.api, row.output_tokens, row.exact) for row in rows(engine)]
    assert got == [("openai.responses", 34, True)] * 3


async def test_leaving_a_stream_early(wrapped: Any, engine: Engine) -> None:
    """A reader that stops leaves one cancelled row, of what it may have cost at least."""
    stream = await now(wrapped.chat.completions.create(**ASK, stream=True))
    if hasattr(stream, "__aiter__"):
        async for _ in stream:
            break
    else:
        for _ in stream:
            break
    await now(stream.close())
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact) == ("cancelled", False)


async def test_what_is_no_call_passes(
    wrapped: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """Listing models goes through, without our headers and without a row."""
    page = wrapped.models.list(extra_headers={"x-budget-agent": "a"})
    assert list((await now(page)).data) == []
    assert not [name for name in provider.last.headers if name.startswith(OWN)]
    assert rows(engine) == []


# -- budgets ------------------------------------------------------------------------------------


async def test_with_budget(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """Cap and names hold inside the block; its handle tells what was planned and used."""
    with budget(cap=2000, agent="reviewer", session="s1", guidance=False) as under:
        await now(wrapped.chat.completions.create(**ASK))
    await now(wrapped.chat.completions.create(**ASK))
    assert provider.bodies[0] == {**ASK, _cap(wrapped): 2000}
    assert provider.bodies[1] == ASK
    (report,) = under.calls
    assert report.usage.output_tokens == 34
    assert report.plan.allocation.cap == 2000
    assert report.call_id == rows(engine)[0].call_id
    assert report.cost is None
    assert [row.agent for row in rows(engine)] == ["reviewer", "default"]


async def test_extra_body(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """A ``budget`` in the body is ours alone: obeyed, and never sent."""
    await now(wrapped.chat.completions.create(**ASK, extra_body={"budget": 2000}))
    more = {"budget": {"cap": 500, "agent": "a", "tags": ["x"]}}
    await now(wrapped.chat.completions.create(**ASK, extra_body=more))
    assert provider.bodies == [{**ASK, _cap(wrapped): 2000}, {**ASK, _cap(wrapped): 500}]
    assert rows(engine)[1].tags == ("x",)


async def test_headers(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """So are ``x-budget-*`` headers."""
    headers = {"x-budget-cap": "700", "x-budget-agent": "a", "x-budget-run": "r"}
    await now(wrapped.chat.completions.create(**ASK, extra_headers=headers))
    assert provider.last.body == {**ASK, _cap(wrapped): 700}
    assert not [name for name in provider.last.headers if name.startswith(OWN)]
    assert [(row.agent, row.run) for row in rows(engine)] == [("a", "r")]


async def test_a_wrong_budget_is_a_bad_request(wrapped: Any, provider: ScriptedProvider) -> None:
    """The SDK raises its own error, at once, saying what to write instead."""
    patient = wrapped.with_options(max_retries=5)
    with pytest.raises(sdk.BadRequestError, match="budget has no field 'caps'"):
        await now(patient.chat.completions.create(**ASK, extra_body={"budget": {"caps": 1}}))
    assert provider.requests == []


async def test_an_answer_cut_by_us_comes_back_whole(
    wrapped: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """The caller sees one answer, the uncut one; both attempts are accounted for."""
    learned(engine)
    provider.answer = Answer(output_tokens=5_000)
    with budget() as under:
        answer = await now(wrapped.chat.completions.create(**ASK))
    assert answer.usage.completion_tokens == 5_000
    assert answer.choices[0].finish_reason == "stop"
    assert [report.plan.attempt for report in under.calls] == [1, 2]
    assert len(provider.requests) == 2


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, sdk.BadRequestError), (401, sdk.AuthenticationError), (404, sdk.NotFoundError),
        (429, sdk.RateLimitError), (500, sdk.InternalServerError),
    ],
)  # fmt: skip
async def test_error_statuses(
    wrapped: Any, engine: Engine, provider: ScriptedProvider, status: int, error: Any
) -> None:
    """Each is the SDK's own error, with the provider's message."""
    provider.answer = Answer(status=status, error=("that will not do", None))
    with pytest.raises(error, match="that will not do"):
        await now(wrapped.chat.completions.create(**ASK))
    assert [(row.status, row.output_tokens) for row in rows(engine)] == [(status, 0)]


async def test_retries_are_the_sdks(
    wrapped: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """An overloaded provider is asked again as often as without us; each attempt is a row."""
    busy = Answer(status=503, error=("busy", None), headers={"retry-after-ms": "1"})
    provider.then(busy, busy)
    answer = await now(wrapped.with_options(max_retries=2).chat.completions.create(**ASK))
    assert answer.choices[0].message.content == Answer().text
    counts = [seen.headers["x-stainless-retry-count"] for seen in provider.requests]
    assert counts == ["0", "1", "2"]
    assert [row.status for row in rows(engine)] == [503, 503, 200]


async def test_timeouts(kind: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """A provider that is too slow is an APITimeoutError, in time; the row is an estimate."""
    provider.answer = Answer(delay=1.0)
    with provider.serve() as url:
        plain = kind(api_key="k", base_url=f"{url}/v1", max_retries=0, timeout=0.1)
        wrapped = wrap(plain, engine=engine)
        begun = time.monotonic()
        with pytest.raises(sdk.APITimeoutError):
            await now(wrapped.chat.completions.create(**ASK))
        assert time.monotonic() - begun < 0.9
        await now(wrapped.close())
    assert [(row.finish_reason, row.exact) for row in rows(engine)] == [("error", False)]


async def test_no_connection(kind: Any, engine: Engine) -> None:
    """A provider that is not there is an APIConnectionError, and costs nothing."""
    plain = kind(api_key="k", base_url="http://127.0.0.1:9/v1", max_retries=0)
    wrapped = wrap(plain, engine=engine)
    with pytest.raises(sdk.APIConnectionError):
        await now(wrapped.chat.completions.create(**ASK))
    await now(wrapped.close())
    assert [(row.output_tokens, row.exact) for row in rows(engine)] == [(0, True)]


async def test_a_stream_that_is_cut(
    plain: Any, wrapped: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """The SDK raises what it raises without us; the row is an error, and an estimate."""
    provider.answer = Answer(cut=4)
    errors = []
    for door in (plain, wrapped):
        stream = await now(door.chat.completions.create(**ASK, stream=True))
        errors.append(await raised(items(stream)))
    assert errors[0] == errors[1]
    assert errors[0]["raised"] in {"APIConnectionError", "ReadError", "RemoteProtocolError"}
    assert [(row.finish_reason, row.exact) for row in rows(engine)] == [("error", False)]


# -- observe, and faults of ours ----------------------------------------------------------------


def _fail(*_: Any, **__: Any) -> Any:
    raise ArithmeticError("a fault of ours")


class _Broken:
    """A predictor that always fails."""

    name = "broken"
    predict_one = learn_one = staticmethod(_fail)


BREAKS: dict[str, Any] = {
    "nothing": lambda _patch, _engine: None,
    "policy": lambda patch, engine: patch.setattr(engine.core, "plan", _fail),
    "predictor": lambda patch, engine: patch.setattr(engine.core, "predictor", _Broken()),
    "settle": lambda patch, engine: patch.setattr(engine.core, "settle", _fail),
    "store": lambda patch, engine: patch.setattr(engine.store, "session", _fail),
    "recorder": lambda patch, engine: patch.setattr(engine.recorder, "put", _fail),
}


@pytest.mark.parametrize("broken", sorted(BREAKS))
async def test_in_observe_mode_the_answer_is_the_providers(
    kind: Any,
    engine: Engine,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    """With history, and whatever of ours is broken: the request is the one without us."""
    learned(engine)
    BREAKS[broken](monkeypatch, engine)
    plain = client(kind, provider)
    wrapped = wrap(plain, engine=engine, mode="observe")
    answers = [
        await now(each.chat.completions.create(**ASK, top_p=0.5, seed=7))
        for each in (plain, wrapped)
    ]
    assert answers[0] == answers[1]
    without, observed = provider.requests
    assert without.content == observed.content
    assert _comparable(without.headers) == _comparable(observed.headers)


@pytest.mark.parametrize("broken", sorted(BREAKS))
async def test_in_observe_mode_a_stream_differs_by_its_metering_only(
    kind: Any,
    engine: Engine,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    """At most the usage is asked for; the chunks that arrive are the same."""
    BREAKS[broken](monkeypatch, engine)
    plain = client(kind, provider)
    wrapped = wrap(plain, engine=engine, mode="observe")
    texts = []
    for each in (plain, wrapped):
        stream = await now(each.chat.completions.create(**ASK, stream=True))
        texts.append([chunk.choices for chunk in await items(stream)])
    assert texts[0] == texts[1]
    without, observed = provider.bodies
    metering = {"stream_options": {"include_usage": True}}
    assert observed in ({**without, **metering}, without)
    assert broken != "nothing" or observed == {**without, **metering}


async def test_a_store_on_a_full_disk_stops_nothing(
    wrapped: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that cannot be written are kept and counted; calls go on."""
    from budget_proxy.errors import StoreError

    def full(*_: Any) -> Any:
        raise StoreError("disk full")

    monkeypatch.setattr(engine.store, "append", full)
    monkeypatch.setattr(engine.store, "save_sessions", full)
    learned(engine)
    answer = await now(wrapped.chat.completions.create(**ASK))
    assert answer.choices[0].message.content == Answer().text
    assert not engine.flush(1)
    monkeypatch.undo()
    assert len(rows(engine)) == 1


# -- the module ---------------------------------------------------------------------------------


async def test_the_module_is_a_true_swap(provider: ScriptedProvider, engine: Engine) -> None:
    """One import changes: errors are caught and classes are found where they were."""
    provider.answer = Answer(status=429, error=("slow down", None))
    http = http_client(sdk.OpenAI, provider)
    swapped = openai.OpenAI(api_key="k", http_client=http, engine=engine, max_retries=0)
    with pytest.raises(openai.RateLimitError, match="slow down"):
        swapped.chat.completions.create(model=MODEL, messages=[])
    assert openai.RateLimitError is sdk.RateLimitError
    assert isinstance(swapped, openai.OpenAI)
    assert isinstance(swapped, sdk.OpenAI)


def test_type_checkers_see_the_sdks_methods(provider: ScriptedProvider, engine: Engine) -> None:
    """A call of our client is typed as the SDK's; this fails in mypy, not at run time."""
    http = http_client(sdk.OpenAI, provider)
    swapped = openai.OpenAI(api_key="k", http_client=http, engine=engine, agent="a")
    answer = swapped.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "hello"}]
    )
    assert_type(answer, sdk.types.chat.ChatCompletion)
    assert answer.usage is not None


def test_importing_the_module_imports_no_sdk() -> None:
    """The SDK takes most of a second; it is imported when a name of it is asked for."""
    program = (
        "import sys\nfrom budget_proxy import openai\nassert 'openai' not in sys.modules\n"
        "from budget_proxy.openai import RateLimitError\nprint(RateLimitError.__module__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "openai"


def test_a_wrong_setting_is_told_when_the_client_is_made(engine: Engine) -> None:
    """Not at its first call."""
    with pytest.raises(InvalidInput, match="mode"):
        openai.OpenAI(api_key="k", engine=engine, mode="strict")  # type: ignore[arg-type]


def test_a_conversation_with_everything_arrives_whole(
    provider: ScriptedProvider, engine: Engine
) -> None:
    """Sixteen messages, tools, an image, unknown fields: only what is ours differs."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    turns: list[Any] = [
        {"role": ("user", "assistant")[number % 2], "content": f"turn {number} ünï"}
        for number in range(15)
    ]
    turns.append({"role": "user", "content": [{"type": "text", "text": "and this?"}, image]})
    turns = turns[1:] if turns[-1]["role"] == turns[-2]["role"] else turns
    body = {
        "model": MODEL, "messages": turns, "max_tokens": 900, "seed": 7,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    }  # fmt: skip
    wrapped = wrap(client(sdk.OpenAI, provider), engine=engine)
    odd = {"x_unknown": {"deep": [1, 2.5, None, "ü"]}, "budget": {"cap": 300}}
    wrapped.chat.completions.create(**body, extra_body=odd)
    sent = json.loads(provider.last.content)
    assert sent == {**body, "x_unknown": odd["x_unknown"], "max_tokens": 300}
    assert Override().cap is None


def _cap(client: Any) -> str:
    """The parameter of a cap: the newer one at OpenAI itself, the older one elsewhere."""
    return "max_completion_tokens" if "openai.com" in str(client.base_url) else "max_tokens"


def _comparable(headers: Any) -> dict[str, str]:
    return {name: text for name, text in headers.items() if "idempotency" not in name}
