"""LiteLLM's SDK on top of us: the drop-in, a wrapped client within it, and our proxy beneath it."""

from __future__ import annotations

import asyncio
import gc
import inspect
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

import budget_proxy.litellm
from budget_proxy import InvalidInput, budget, wrap
from budget_proxy.assemble import Engine
from budget_proxy.litellm import BudgetCallback, Budgeted
from budget_proxy.litellm.opened import Opened
from budget_proxy.proxy.app import create_app
from budget_proxy.types import CallRecord
from budget_proxy.wire.gateway import PARAMETERS
from tests.doors import items, learned, rows
from tests.examples import FOLDER, examples_of
from tests.examples import run as run_example
from tests.frameworks.lite import HELLO, called, litellm, until
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider
from tests.proxied import served

MODEL = "plain-model"
LONG = Answer(text="word " * 999 + "end", output_tokens=5_000)

both = pytest.mark.parametrize("door", ["sync", "async"])


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that caps wherever it may, with a low floor."""
    with Engine.open("memory:", holdout=0.0, caps="always", floor=64) as engine:
        yield engine


@pytest.fixture
def provider() -> ScriptedProvider:
    """The provider at the far end."""
    return ScriptedProvider()


@pytest.fixture
def url(provider: ScriptedProvider) -> Iterator[str]:
    """Where the provider listens."""
    with provider.serve() as url:
        yield url


@pytest.fixture
def pair(engine: Engine) -> Any:
    """Both calls on the engine."""
    return Budgeted(engine=engine)


@pytest.fixture
def call(url: str) -> dict[str, Any]:
    """The arguments of a plain call to the provider."""
    return {
        "model": f"openai/{MODEL}", "messages": HELLO, "api_base": f"{url}/v1", "api_key": "sk-x",
        "max_retries": 0,
    }  # fmt: skip


@both
async def test_a_plain_call_is_sent_as_it_was_and_metered_exactly(
    door: str, pair: Any, engine: Engine, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """The provider sees the same body as without us; the row has the usage it told."""
    theirs = await called(door, litellm, **call)
    ours = await called(door, pair, **call)
    assert type(ours) is type(theirs)
    assert ours.choices[0].message.content == theirs.choices[0].message.content
    assert provider.bodies[1] == provider.bodies[0]
    (row,) = rows(engine)
    assert (row.model, row.input_tokens, row.output_tokens) == (MODEL, 12, 34)
    assert (row.exact, row.finish_reason, row.stream) == (True, "stop", False)


@both
@pytest.mark.parametrize("asked", [False, True], ids=["unasked", "asked"])
async def test_a_stream_passes_as_it_is_and_is_metered_exactly(
    door: str, asked: bool, pair: Any, engine: Engine, call: dict[str, Any]
) -> None:
    """Of LiteLLM's own type, chunk for chunk, with a usage chunk only for those who asked."""
    options = {"stream_options": {"include_usage": True}} if asked else {}
    theirs = await items(await called(door, litellm, **call, stream=True, **options))
    stream = await called(door, pair, **call, stream=True, **options)
    assert isinstance(stream, litellm.CustomStreamWrapper)
    ours = await items(stream)
    assert [_told(chunk) for chunk in ours] == [_told(chunk) for chunk in theirs]
    assert [bool(getattr(chunk, "usage", None)) for chunk in ours][-1] is asked
    (row,) = rows(engine)
    assert (row.input_tokens, row.output_tokens, row.exact, row.stream) == (12, 34, True, True)


@both
@pytest.mark.parametrize("how", ["closed", "dropped"])
async def test_a_stream_that_is_left_settles_as_cancelled(
    door: str, how: str, pair: Any, engine: Engine, call: dict[str, Any]
) -> None:
    """Closed by the caller, or only forgotten: as soon as LiteLLM's own threads let go of it."""
    stream = await called(door, pair, **call, stream=True)
    await _first(stream)
    if how == "closed":
        await stream.aclose() if door == "async" else stream.close()
    del stream

    def collected() -> list[CallRecord]:
        gc.collect()
        return rows(engine)

    (row,) = until(collected, 1)
    assert (row.finish_reason, row.exact) == ("cancelled", False)


@both
async def test_a_stream_that_breaks_off_is_an_error(
    door: str, pair: Any, engine: Engine, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """The caller gets LiteLLM's exception, the row says that the answer did not end."""
    provider.answer = Answer(cut=3)
    stream = await called(door, pair, **call, stream=True)
    with pytest.raises(openai.APIError):
        await items(stream)
    del stream
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact) == ("error", False)


@both
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_an_error_is_litellms_own_and_settles_at_nothing(
    door: str,
    stream: bool,
    pair: Any,
    engine: Engine,
    provider: ScriptedProvider,
    call: dict[str, Any],
) -> None:
    """With its status in the row."""
    provider.answer = Answer(status=429, error=("slow down", None))
    with pytest.raises(litellm.RateLimitError, match="slow down"):
        await items(await called(door, pair, **call, stream=stream))
    (row,) = rows(engine)
    assert (row.finish_reason, row.status, row.output_tokens) == ("error", 429, 0)


@both
async def test_a_provider_that_cannot_be_reached_settles_at_nothing_with_no_status(
    door: str, pair: Any, engine: Engine, call: dict[str, Any]
) -> None:
    """LiteLLM's exception says 500, which no provider did."""
    with pytest.raises(openai.APIError):
        await called(door, pair, **{**call, "api_base": "http://127.0.0.1:9/v1"})
    (row,) = rows(engine)
    assert (row.finish_reason, row.status, row.output_tokens) == ("error", 0, 0)


@both
async def test_a_timeout_is_accounted_for_as_unknown(
    door: str, pair: Any, engine: Engine, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """The provider may have worked on it; LiteLLM's own exception is raised."""
    provider.answer = Answer(delay=3.0)
    with pytest.raises(litellm.Timeout):
        await called(door, pair, **call, timeout=0.3)
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact) == ("error", False)
    assert (row.output_tokens or 0) > 0


async def test_a_call_that_is_cancelled_settles_as_cancelled(
    pair: Any, engine: Engine, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """Its task was cancelled while the provider was silent."""
    provider.answer = Answer(delay=3.0)
    task = asyncio.ensure_future(pair.acompletion(**call))
    assert await asyncio.to_thread(_reached, provider)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact) == ("cancelled", False)


@both
@pytest.mark.parametrize(
    "given",
    [
        {"budget": 20},
        {"budget": {"cap": 20, "agent": "geographer"}},
        {"extra_headers": {"x-budget-cap": "20", "x-budget-agent": "geographer"}},
    ],
    ids=["number", "mapping", "headers"],
)
async def test_a_budget_is_read_and_never_sent(
    door: str,
    given: dict[str, Any],
    pair: Any,
    engine: Engine,
    provider: ScriptedProvider,
    call: dict[str, Any],
) -> None:
    """However it is given, the provider sees a cap and nothing else of it."""
    await called(door, pair, **call, **given)
    assert provider.last.body == {"model": MODEL, "messages": HELLO, "max_tokens": 20}
    assert not [name for name in provider.last.headers if name.startswith("x-budget")]
    (row,) = rows(engine)
    assert row.agent == ("default" if given.get("budget") == 20 else "geographer")
    assert (row.output_tokens, row.finish_reason) == (20, "length")


@both
async def test_a_block_sets_the_budget_and_reports_the_calls(
    door: str, pair: Any, call: dict[str, Any]
) -> None:
    """As with every other client."""
    with budget(cap=20, agent="geographer") as block:
        answer = await called(door, pair, **call)
    (report,) = block.calls
    assert (report.usage.output_tokens, report.record.agent) == (20, "geographer")
    told = answer._hidden_params["additional_headers"]
    assert told["x-budget-call-id"] == report.call_id


@both
async def test_a_callers_cap_is_lowered_under_its_own_name_and_never_raised(
    door: str, pair: Any, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """LiteLLM takes two names for it; the one that was used stays."""
    await called(door, pair, **call, max_completion_tokens=30, budget=20)
    assert provider.last.body["max_completion_tokens"] == 20
    await called(door, pair, **call, max_completion_tokens=10, budget=20)
    assert provider.last.body["max_completion_tokens"] == 10
    assert "max_tokens" not in provider.last.body


@both
@pytest.mark.parametrize("wrong", [{"cap": 0}, {"cup": 20}, "20", {"task": {"priority": []}}])
async def test_a_wrong_budget_is_refused_before_anything_is_sent(
    door: str, wrong: Any, pair: Any, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """With a message that says what to write."""
    with pytest.raises(InvalidInput, match=r"budget|task|priority"):
        await called(door, pair, **call, budget=wrong)
    assert provider.requests == []


@both
async def test_an_answer_cut_by_our_cap_is_asked_for_again(
    door: str, pair: Any, engine: Engine, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """The learned cap reaches the provider; the caller sees the whole answer; both are booked."""
    learned(engine, tokens=100, model=MODEL)
    provider.answer = LONG
    answer = await called(door, pair, **call)
    cap = provider.bodies[0]["max_tokens"]
    assert 100 < cap < 500
    assert "max_tokens" not in provider.bodies[1]
    assert answer.usage.completion_tokens == 5_000
    assert [(row.attempt, row.cut_by_us) for row in rows(engine)] == [(1, True), (2, False)]


@both
async def test_a_parameter_of_ours_that_is_refused_is_left_out(
    door: str, pair: Any, engine: Engine, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """The caller does not see the 400, and the next call does not try it again."""
    provider.then(Answer(status=400, error=("stream_options is not supported", "stream_options")))
    assert await items(await called(door, pair, **call, stream=True))
    assert "stream_options" in provider.bodies[0]
    assert "stream_options" not in provider.bodies[1]
    await items(await called(door, pair, **call, stream=True))
    assert "stream_options" not in provider.bodies[2]
    assert [row.rejected for row in rows(engine)] == ["stream_options", None, None]


@both
@pytest.mark.parametrize("where", ["body", "plan", "encode"])
async def test_a_fault_of_ours_leaves_the_call_as_it_was(
    door: str,
    where: str,
    pair: Any,
    engine: Engine,
    provider: ScriptedProvider,
    call: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is counted; the provider sees what it would without us, and nothing of ours."""

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault of ours")

    if where == "body":
        monkeypatch.setattr("budget_proxy.litellm.trip.body_of", fail)
    elif where == "plan":
        monkeypatch.setattr(engine.core, "decide", fail)
    else:
        monkeypatch.setattr("budget_proxy.litellm.trip.written", fail)
    answer = await called(door, pair, **call, budget={"agent": "a"}, seed=7)
    assert answer.usage.completion_tokens == 34
    assert provider.last.body == {"model": MODEL, "messages": HELLO, "seed": 7}
    assert sum(engine.faults.values()) == 1


@both
async def test_objects_among_the_arguments_stay_what_they_are(
    door: str, pair: Any, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """An earlier answer among the messages, and a form given as a class."""

    class City(BaseModel):
        name: str

    first = await called(door, litellm, **call)
    given = {
        **call,
        "messages": [*HELLO, first.choices[0].message, *HELLO],
        "response_format": City,
    }
    await called(door, litellm, **given)
    await called(door, pair, **given)
    assert provider.bodies[2] == provider.bodies[1]


@both
async def test_another_providers_model_is_capped_in_its_own_dialect(
    door: str, pair: Any, engine: Engine, provider: ScriptedProvider, url: str
) -> None:
    """The history knows it by its own name and its provider's host, so that it has a price."""
    await called(
        door, pair, model="anthropic/claude-sonnet-5-5", messages=HELLO, api_base=url,
        api_key="sk-x", budget=20,
    )  # fmt: skip
    assert provider.last.path == "/v1/messages"
    assert provider.last.body["max_tokens"] == 20
    (row,) = rows(engine)
    assert (row.model, row.output_tokens, row.cap) == ("claude-sonnet-5-5", 20, 20)
    assert row.cap == 20


def test_arguments_may_come_by_position(pair: Any, engine: Engine, call: dict[str, Any]) -> None:
    """As LiteLLM takes them: the model, then the messages."""
    model, messages = call.pop("model"), call.pop("messages")
    pair.completion(model, messages, **call)
    (row,) = rows(engine)
    assert row.model == MODEL


def test_an_answer_from_litellms_cache_is_not_booked(
    pair: Any,
    engine: Engine,
    provider: ScriptedProvider,
    call: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing was sent, so nothing was used."""
    monkeypatch.setattr(litellm, "cache", litellm.Cache(type="local"))
    for _ in range(2):
        assert pair.completion(**call, caching=True).usage.completion_tokens == 34
    assert len(provider.requests) == 1
    assert len(rows(engine)) == 1


@both
async def test_the_name_auto_is_replaced_by_a_tiers_model(
    door: str,
    provider: ScriptedProvider,
    call: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """LiteLLM, which does not know the name, is not asked about it: it would print."""
    monkeypatch.setattr(litellm, "suppress_debug_info", False)
    tiers = [{"model": f"openai/{MODEL}"}]
    with Engine.open("memory:", holdout=0.0, tiers=tiers) as engine:
        await called(door, Budgeted(engine=engine), **{**call, "model": "auto"})
    assert provider.last.body["model"] == MODEL
    assert capsys.readouterr().out == ""


@pytest.fixture
def callback(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> BudgetCallback:
    """Our callback, in LiteLLM's list."""
    callback = BudgetCallback(engine=engine, agent="gateway")
    for event in ("input", "success", "failure", "_async_success", "_async_failure"):
        # It keeps one of a class, and would go on with an earlier test's.
        monkeypatch.setattr(litellm, f"{event}_callback", [])
    monkeypatch.setattr(litellm, "callbacks", [callback])
    return callback


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_the_callback_budgets_litellms_own_async_call(
    stream: bool,
    callback: BudgetCallback,
    engine: Engine,
    provider: ScriptedProvider,
    call: dict[str, Any],
) -> None:
    """Without a proxy too; usage that a stream was not asked for is an estimate."""
    await items(await litellm.acompletion(**call, stream=stream, budget=20))
    assert provider.last.body["max_tokens"] == 20
    assert "stream_options" not in provider.last.body
    (row,) = await asyncio.to_thread(until, lambda: rows(engine), 1)
    assert (row.agent, row.cap, row.exact) == ("gateway", 20, not stream)
    assert not callback.opened


@both
async def test_a_call_that_is_budgeted_already_is_not_counted_by_the_callback(
    door: str, callback: BudgetCallback, pair: Any, engine: Engine, call: dict[str, Any]
) -> None:
    """The drop-in and the callback in one program: one row a call."""
    await called(door, pair, **call)
    await items(await called(door, pair, **call, stream=True))
    await asyncio.sleep(0.5)
    assert [row.agent for row in rows(engine)] == ["default", "default"]
    assert not callback.opened


async def test_the_callback_lets_go_of_open_calls_by_the_size_of_their_requests(
    callback: BudgetCallback, engine: Engine, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """The older of two large ones settles as cancelled; both callers get their answers."""
    callback.opened = Opened(room=150_000)
    provider.answer = Answer(delay=1.0)
    large = {**call, "messages": [{"role": "user", "content": "word " * 20_000}]}
    older = asyncio.ensure_future(litellm.acompletion(**large))
    assert await asyncio.to_thread(_reached, provider)
    answers = [await litellm.acompletion(**large), await older]
    assert [answer.usage.completion_tokens for answer in answers] == [34, 34]
    found = await asyncio.to_thread(until, lambda: rows(engine), 2)
    assert sorted((row.finish_reason, row.exact) for row in found) == [
        ("cancelled", False), ("stop", True)
    ]  # fmt: skip
    assert not callback.opened


def test_a_setting_that_is_none_is_refused_by_the_callback(engine: Engine) -> None:
    """By its name, at once; and so is a wrong value."""
    with pytest.raises(TypeError, match="colour"):
        BudgetCallback(engine=engine, colour="red")
    with pytest.raises(InvalidInput, match="mode"):
        BudgetCallback(engine=engine, mode="strict")


async def test_a_cancelled_call_is_closed_by_the_callback(
    callback: BudgetCallback, engine: Engine, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """No hook tells of it: its task does."""
    provider.answer = Answer(delay=3.0)
    task = asyncio.ensure_future(litellm.acompletion(**call))
    assert await asyncio.to_thread(_reached, provider)
    assert len(callback.opened) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (row,) = rows(engine)
    assert row.finish_reason == "cancelled"
    assert not callback.opened


async def test_the_callback_does_not_book_what_litellm_had_in_its_cache(
    callback: BudgetCallback,
    engine: Engine,
    provider: ScriptedProvider,
    call: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was planned, and not sent."""
    monkeypatch.setattr(litellm, "cache", litellm.Cache(type="local"))
    hit = False
    for _ in range(100):  # it fills its cache a moment after the first answer
        answer = await litellm.acompletion(**call, caching=True)
        hit = bool(answer._hidden_params.get("cache_hit"))
        if hit:
            break
        await asyncio.sleep(0.1)
    assert hit
    await _told_all(callback)
    assert len(rows(engine)) == len(provider.requests)
    assert not callback.opened


async def test_a_refusal_of_a_parameter_of_ours_is_remembered_by_the_callback(
    callback: BudgetCallback, engine: Engine, provider: ScriptedProvider, call: dict[str, Any]
) -> None:
    """It cannot repeat the call; the next one goes without, and no row is made up."""
    learned(engine, tokens=100, model=MODEL, agent="gateway")
    provider.then(Answer(status=400, error=("max_tokens is not supported", "max_tokens")))
    with pytest.raises(litellm.BadRequestError):
        await litellm.acompletion(**call)
    await litellm.acompletion(**call)
    assert ["max_tokens" in body for body in provider.bodies] == [True, False]
    assert [(row.attempt, row.rejected) for row in rows(engine)] == [(1, "max_tokens"), (1, None)]
    assert not callback.opened


@pytest.mark.parametrize("where", ["body", "plan"])
async def test_a_fault_in_the_callback_leaves_the_call_as_it_was(
    where: str,
    callback: BudgetCallback,
    engine: Engine,
    provider: ScriptedProvider,
    call: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is counted, and nothing of ours is sent."""

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault of ours")

    if where == "body":
        monkeypatch.setattr("budget_proxy.litellm.trip.body_of", fail)
    else:
        monkeypatch.setattr(engine.core, "decide", fail)
    answer = await litellm.acompletion(**call, budget={"cap": 20})
    assert answer.usage.completion_tokens == 34
    assert provider.last.body == {"model": MODEL, "messages": HELLO}
    assert sum(engine.faults.values()) == 1
    assert not callback.opened


async def test_everything_else_is_litellms_own() -> None:
    """Its errors, types and other calls; ours are there once."""
    ours = budget_proxy.litellm
    assert ours.embedding is litellm.embedding
    assert ours.RateLimitError is litellm.RateLimitError
    assert ours.completion == ours.completion
    assert inspect.iscoroutinefunction(ours.acompletion)
    assert {"completion", "acompletion", "Budgeted", "embedding"} <= set(dir(ours))
    with pytest.raises(AttributeError):
        _ = ours.no_such_name


def test_our_own_modules_hide_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither one of LiteLLM's nor one of ours: a module becomes a name of its package."""
    monkeypatch.chdir(tmp_path)
    ours = budget_proxy.litellm
    modules = {path.stem for path in Path(str(ours.__file__)).parent.glob("[a-z]*.py")}
    assert not {name for name in modules if hasattr(litellm, name)}
    assert isinstance(ours.callback, BudgetCallback)
    assert ours.callback is ours.callback


def test_a_wrapped_client_may_be_handed_to_litellm(
    engine: Engine, provider: ScriptedProvider, url: str
) -> None:
    """LiteLLM sends by it, so that its own ``completion`` is budgeted."""
    client = wrap(openai.OpenAI(base_url=f"{url}/v1", api_key="sk-x"), engine=engine)
    answer = litellm.completion(model=f"openai/{MODEL}", messages=HELLO, client=client)
    assert answer.usage.completion_tokens == 34
    assert provider.last.path == "/v1/chat/completions"
    (row,) = rows(engine)
    assert (row.model, row.output_tokens) == (MODEL, 34)


@both
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_litellm_reaches_a_provider_through_our_proxy(
    door: str, stream: bool, provider: ScriptedProvider, url: str
) -> None:
    """By ``api_base`` alone; an error of ours is one of LiteLLM's to its caller."""
    with (
        Engine.open("memory:", holdout=0.0, openai_base_url=url) as engine,
        served(create_app(engine)) as proxy,
    ):
        call = {
            "model": f"openai/{MODEL}", "messages": HELLO, "api_base": f"{proxy}/v1",
            "api_key": "sk-x", "stream": stream, "max_retries": 0,
        }  # fmt: skip
        answer = await called(door, litellm, **call, extra_body={"budget": {"agent": "a"}})
        await items(answer)
        (row,) = rows(engine)
        assert (row.agent, row.output_tokens, row.exact) == ("a", 34, True)
        assert "budget" not in provider.last.body
        with pytest.raises(litellm.BadRequestError, match="budget"):
            await items(await called(door, litellm, **call, extra_body={"budget": "x"}))


@pytest.mark.parametrize("example", examples_of("litellm"))
def test_an_example_runs_and_prints(example: str, url: str, tmp_path: Path) -> None:
    """As it stands, in a fresh interpreter, against the provider."""
    assert "Four score" in run_example(FOLDER / f"{example}.py", url, home=tmp_path)


def test_the_parameters_of_a_body_are_all_litellms() -> None:
    """Each is an argument of ``completion``, or one that LiteLLM hands to providers as it is."""
    taken = set(inspect.signature(litellm.completion).parameters)
    assert taken >= PARAMETERS - {"top_k"}


async def _told_all(callback: BudgetCallback) -> None:
    """Wait for LiteLLM's log events, which come a moment after the answer."""
    for _ in range(400):
        if not callback.opened:
            return
        await asyncio.sleep(0.05)


def _reached(provider: ScriptedProvider) -> bool:
    """Whether a request comes in, which is waited for."""
    deadline = time.monotonic() + 20
    while not provider.requests and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(provider.requests)


def _told(chunk: Any) -> dict[str, Any]:
    """A chunk without the time at which it was made."""
    told: dict[str, Any] = chunk.model_dump(exclude_none=True)
    del told["created"]
    return told


async def _first(stream: Any) -> Any:
    if hasattr(stream, "completion_stream") and not hasattr(stream.completion_stream, "__anext__"):
        return next(stream)
    return await anext(stream)
