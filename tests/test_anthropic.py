"""The Anthropic SDK through the wrapper, driven as its users drive it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import anthropic as sdk
import pytest

from budget_proxy import Engine, anthropic, budget, wrap
from tests.doors import ANTHROPIC, HELLO, MODEL, client, http_client, items, learned, now, rows
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider

ASK = {"model": MODEL, "messages": HELLO, "max_tokens": 900}
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


@pytest.fixture(params=ANTHROPIC, ids=lambda kind: kind.__name__)
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
        made = kind(api_key="sk-test", base_url=url, max_retries=0)
        yield made
        await now(made.close())


@pytest.fixture
def wrapped(plain: Any, engine: Engine) -> Any:
    """The same, wrapped."""
    return wrap(plain, engine=engine)


async def test_create(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """A plain call gives the provider's answer, and a row whose input includes the cache."""
    provider.answer = Answer(input_tokens=112, cached=100)
    answer = await now(wrapped.messages.create(**ASK))
    assert answer.content[0].text == Answer().text
    (row,) = rows(engine)
    assert (row.api, row.output_tokens, row.exact) == ("anthropic.messages", 34, True)
    assert (row.input_tokens, row.cache_read_tokens) == (112, 100)
    assert row.ceiling == 900


async def test_create_streamed(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """Every event arrives; nothing is asked for that the caller did not ask for."""
    events = await items(await now(wrapped.messages.create(**ASK, stream=True)))
    assert [event.type for event in events][-2:] == ["message_delta", "message_stop"]
    assert provider.last.body == {**ASK, "stream": True}
    (row,) = rows(engine)
    assert (row.output_tokens, row.exact, row.finish_reason) == (34, True, "stop")


async def test_the_stream_helper(wrapped: Any, engine: Engine) -> None:
    """``.stream()`` accumulates as ever."""
    manager = wrapped.messages.stream(**ASK)
    if hasattr(manager, "__aenter__"):
        async with manager as stream:
            text = "".join(await items(stream.text_stream))
            final = await stream.get_final_message()
    else:
        with manager as stream:
            text = "".join(await items(stream.text_stream))
            final = stream.get_final_message()
    assert text == final.content[0].text == Answer().text
    assert rows(engine)[0].output_tokens == 34


async def test_tools(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """A tool's call comes back whole, plain and streamed."""
    tools = [{"name": "look", "input_schema": {"type": "object"}}]
    provider.answer = Answer(text='{"at": "it"}', tool="look")
    answer = await now(wrapped.messages.create(**ASK, tools=tools))
    assert answer.content[0].input == {"at": "it"}
    events = await items(await now(wrapped.messages.create(**ASK, tools=tools, stream=True)))
    parts = [event.delta.partial_json for event in events if event.type == "content_block_delta"]
    assert "".join(parts) == '{"at": "it"}'
    assert [row.finish_reason for row in rows(engine)] == ["tool_calls", "tool_calls"]


async def test_with_raw_response(wrapped: Any, engine: Engine) -> None:
    """Headers of ours tell what was decided."""
    raw = await now(wrapped.messages.with_raw_response.create(**ASK))
    parsed = await now(raw.parse())
    assert parsed.content[0].text == Answer().text
    assert raw.headers["x-budget-call-id"] == rows(engine)[0].call_id


async def test_with_streaming_response(wrapped: Any, engine: Engine) -> None:
    """The lines of a stream can be read as they are."""
    manager = wrapped.messages.with_streaming_response.create(**ASK, stream=True)
    if hasattr(manager, "__aenter__"):
        async with manager as response:
            lines = await items(response.iter_lines())
    else:
        with manager as response:
            lines = await items(response.iter_lines())
    assert 'data: {"type": "message_stop"}' in lines
    assert rows(engine)[0].exact


async def test_leaving_a_stream_early(wrapped: Any, engine: Engine) -> None:
    """A reader that stops leaves one cancelled row."""
    stream = await now(wrapped.messages.create(**ASK, stream=True))
    if hasattr(stream, "__aiter__"):
        async for _ in stream:
            break
    else:
        for _ in stream:
            break
    await now(stream.close())
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact) == ("cancelled", False)


async def test_middleware_runs_as_ever(
    kind: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """The SDK's own middleware stands before the wrapper, and sees the caller's request."""
    asked: list[Any] = []

    def note(request: Any, call_next: Any) -> Any:
        asked.append(request.json)
        return call_next(request)

    async def note_async(request: Any, call_next: Any) -> Any:
        asked.append(request.json)
        return await call_next(request)

    middleware = [note_async if kind is sdk.AsyncAnthropic else note]
    wrapped = wrap(client(kind, provider, middleware=middleware), engine=engine)
    await now(wrapped.messages.create(**ASK, extra_body={"budget": 300}))
    assert asked == [{**ASK, "budget": 300}]
    assert provider.last.body == {**ASK, "max_tokens": 300}
    assert len(rows(engine)) == 1


# -- budgets ------------------------------------------------------------------------------------


async def test_budgets(wrapped: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """By context, body and header: the caller's cap lowers ``max_tokens``, and nothing else."""
    with budget(cap=500, agent="context") as under:
        await now(wrapped.messages.create(**ASK))
    await now(wrapped.messages.create(**ASK, extra_body={"budget": {"cap": 400, "agent": "body"}}))
    headers = {"x-budget-cap": "300", "x-budget-agent": "header"}
    await now(wrapped.messages.create(**ASK, extra_headers=headers))
    await now(wrapped.messages.create(**ASK, extra_body={"budget": 5_000}))
    assert provider.bodies == [{**ASK, "max_tokens": cap} for cap in (500, 400, 300, 900)]
    assert not [name for seen in provider.requests for name in seen.headers if OWN in name]
    agents = [row.agent for row in rows(engine)]
    assert agents == ["context", "body", "header", "default"]
    assert [report.usage.output_tokens for report in under.calls] == [34]


async def test_a_caller_cap_truncates_as_the_caller_asked(
    wrapped: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """No resend undoes it."""
    answer = await now(wrapped.messages.create(**ASK, extra_body={"budget": 20}))
    assert answer.stop_reason == "max_tokens"
    assert len(provider.requests) == 1
    assert rows(engine)[0].truncated


async def test_a_wrong_budget_is_a_bad_request(wrapped: Any, provider: ScriptedProvider) -> None:
    """In Anthropic's shape, at once."""
    with pytest.raises(sdk.BadRequestError, match="budget cap must be a whole number"):
        await now(wrapped.messages.create(**ASK, extra_body={"budget": {"cap": -1}}))
    assert provider.requests == []


async def test_thinking_is_handed_over_by_wrap(kind: Any, provider: ScriptedProvider) -> None:
    """Only a client that was wrapped with ``thinking="auto"`` has thinking written."""
    asked = {**ASK, "model": "claude-haiku-5-5", "max_tokens": 9_000}
    with Engine.open("memory:", holdout=0.0) as engine:
        learned(engine, model="claude-haiku-5-5")
        plain = client(kind, provider)
        await now(wrap(plain, engine=engine).messages.create(**asked))
        assert "thinking" not in provider.last.body
        handing = wrap(plain, engine=engine, thinking="auto")
        with budget(session="another"):
            await now(handing.messages.create(**asked))
        assert provider.last.body["thinking"]["type"] in {"adaptive", "disabled"}


# -- errors and faults --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "BadRequestError"), (402, "PaymentRequiredError"), (429, "RateLimitError"),
        (529, "OverloadedError"),
    ],
)  # fmt: skip
async def test_error_statuses(
    wrapped: Any, engine: Engine, provider: ScriptedProvider, status: int, error: str
) -> None:
    """Each is the SDK's own error, with the provider's message."""
    expected = getattr(sdk, error, sdk.APIStatusError)  # earlier SDKs have no name for some
    provider.answer = Answer(status=status, error=("that will not do", None))
    with pytest.raises(expected, match="that will not do"):
        await now(wrapped.messages.create(**ASK))
    assert [(row.status, row.output_tokens) for row in rows(engine)] == [(status, 0)]


async def test_retries_are_the_sdks(
    wrapped: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """An overloaded provider is asked again as often as without us."""
    busy = Answer(status=529, error=("busy", None), headers={"retry-after-ms": "1"})
    provider.then(busy, busy)
    await now(wrapped.with_options(max_retries=2).messages.create(**ASK))
    assert [row.status for row in rows(engine)] == [529, 529, 200]


async def test_timeouts(kind: Any, engine: Engine, provider: ScriptedProvider) -> None:
    """A provider that is too slow is an APITimeoutError, in time."""
    provider.answer = Answer(delay=1.0)
    with provider.serve() as url:
        plain = kind(api_key="k", base_url=url, max_retries=0, timeout=0.1)
        wrapped = wrap(plain, engine=engine)
        begun = time.monotonic()
        with pytest.raises(sdk.APITimeoutError):
            await now(wrapped.messages.create(**ASK))
        assert time.monotonic() - begun < 0.9
        await now(wrapped.close())
    assert [(row.finish_reason, row.exact) for row in rows(engine)] == [("error", False)]


async def test_a_stream_that_is_cut(
    wrapped: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """The reader gets the HTTP library's error, as without us."""
    provider.answer = Answer(cut=4)
    stream = await now(wrapped.messages.create(**ASK, stream=True))
    with pytest.raises(Exception, match=r"connection was lost|incomplete|peer closed"):
        await items(stream)
    assert [(row.finish_reason, row.exact) for row in rows(engine)] == [("error", False)]


async def test_the_sdks_own_guard_is_left_alone(wrapped: Any, engine: Engine) -> None:
    """A plain call of 21,334 tokens without a timeout is refused by the SDK before it is sent."""
    with pytest.raises(ValueError, match="Streaming is"):
        await now(wrapped.messages.create(**{**ASK, "max_tokens": 64_000}))
    assert rows(engine) == []


def _fail(*_: Any, **__: Any) -> Any:
    raise ArithmeticError("a fault of ours")


BREAKS: dict[str, Any] = {
    "nothing": lambda _patch, _engine: None,
    "policy": lambda patch, engine: patch.setattr(engine.core, "plan", _fail),
    "predictor": lambda patch, engine: patch.setattr(engine.core, "foresee", _fail),
    "settle": lambda patch, engine: patch.setattr(engine.core, "settle", _fail),
    "store": lambda patch, engine: patch.setattr(engine.store, "session", _fail),
}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("broken", sorted(BREAKS))
async def test_in_observe_mode_the_request_is_the_one_without_us(
    kind: Any,
    engine: Engine,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    stream: bool,
) -> None:
    """With history, and whatever of ours is broken: byte for byte, and so is the answer."""
    learned(engine)
    BREAKS[broken](monkeypatch, engine)
    plain = client(kind, provider)
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    answers = []
    for each in (plain, wrap(plain, engine=engine, mode="observe")):
        answer = await now(each.messages.create(**ASK, system=system, stream=stream))
        answers.append(await items(answer) if stream else answer)
    assert answers[0] == answers[1]
    without, observed = provider.requests
    assert without.content == observed.content
    assert without.headers == observed.headers


# -- the module ---------------------------------------------------------------------------------


async def test_the_module_is_a_true_swap(provider: ScriptedProvider, engine: Engine) -> None:
    """One import changes: errors are caught and classes are found where they were."""
    provider.answer = Answer(status=429, error=("slow down", None))
    http = http_client(sdk.Anthropic, provider)
    swapped = anthropic.Anthropic(api_key="k", http_client=http, engine=engine, max_retries=0)
    with pytest.raises(anthropic.RateLimitError, match="slow down"):
        swapped.messages.create(model=MODEL, messages=[], max_tokens=9)
    assert type(swapped) is sdk.Anthropic
    assert isinstance(swapped, anthropic.Anthropic)


def test_type_checkers_see_the_sdks_methods(provider: ScriptedProvider, engine: Engine) -> None:
    """A call of our client is typed as the SDK's; this fails in mypy, not at run time."""
    http = http_client(sdk.Anthropic, provider)
    swapped = anthropic.Anthropic(api_key="k", http_client=http, engine=engine, agent="a")
    answer = swapped.messages.create(
        model=MODEL, messages=[{"role": "user", "content": "hello"}], max_tokens=90
    )
    assert_type(answer, sdk.types.Message)
    assert answer.usage.output_tokens == 34


def test_importing_the_module_imports_no_sdk() -> None:
    """The SDK takes two seconds; it is imported when a name of it is asked for."""
    program = "import sys\nfrom budget_proxy import anthropic\nprint('anthropic' in sys.modules)"
    done = subprocess.check_output([sys.executable, "-c", program], text=True)
    assert done.strip() == "False"
