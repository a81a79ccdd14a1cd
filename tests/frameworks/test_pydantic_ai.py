"""Pydantic AI's agents on top of us, with its OpenAI and Anthropic models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, ModelAPIError, ModelHTTPError, NativeOutput
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from budget_proxy import budget, wrap
from tests.doors import items
from tests.examples import FOLDER, examples_of
from tests.examples import run as run_example
from tests.frameworks.site import AGENT, CLAUDE, GPT, Door, Site, colours, doors, facts, site
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider

QUESTION = "Name the capital of Latvia."
RIGA = {"name": "Riga", "country": "Latvia"}
API = {"chat": "openai.chat", "responses": "openai.responses", "anthropic": "anthropic.messages"}
GUIDED = {"chat": "messages[0].content", "responses": "instructions", "anthropic": "system[1]"}
CAPPED = {"chat": "max_tokens", "responses": "max_output_tokens", "anthropic": None}
"""Where the cap goes on a host that is not OpenAI's own; Anthropic does not count it."""

apis = pytest.mark.parametrize("api", API)


class City(BaseModel):
    """A city and its country."""

    name: str
    country: str


def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def provider(at: Site, api: str, door: Door) -> Any:
    """A provider of Pydantic AI's: around a wrapped client, or by the proxy's address."""
    base = at.base(door) if api == "anthropic" else f"{at.base(door)}/v1"
    facts: dict[str, Any] = {"api_key": "sk-test", "base_url": base}
    if api == "anthropic":
        if door != "wrapper":
            return AnthropicProvider(**facts)
        ours = wrap(anthropic.AsyncAnthropic(**facts), engine=at.engine, agent=AGENT)
        return AnthropicProvider(anthropic_client=ours)
    if door != "wrapper":
        return OpenAIProvider(**facts)
    client = wrap(openai.AsyncOpenAI(**facts), engine=at.engine, agent=AGENT)
    return OpenAIProvider(openai_client=client)


def agent(at: Site, api: str, door: Door, **options: Any) -> Any:
    """An agent that knows its instructions."""
    kinds: dict[str, Any] = {
        "chat": OpenAIChatModel, "responses": OpenAIResponsesModel, "anthropic": AnthropicModel,
    }  # fmt: skip
    model = kinds[api](CLAUDE if api == "anthropic" else GPT, provider=provider(at, api, door))
    return Agent(
        model,
        instructions="You know all cities.",
        model_settings={"extra_headers": dict(at.headers(door))},
        **options,
    )


def ask(at: Site, made: Any, colour: str) -> tuple[Any, Any]:
    """What an agent's run gives, and what Pydantic AI counted."""
    result = made.run_sync(QUESTION) if colour == "sync" else at.run(made.run(QUESTION))
    return result.output, result.usage


@apis
@doors
@colours
def test_a_run(api: str, door: str, colour: str) -> None:
    """The provider sees what Pydantic AI sends, which gets the answer; a row of exact usage."""
    with site() as at:
        got = at.compare(lambda door: ask(at, agent(at, api, door), colour), door)
        row = at.row()
    assert got.added == set()
    assert got.through == got.alone
    assert got.through[0] == Answer().text
    streamed = api == "anthropic"  # by Pydantic AI itself, since it asks for the model's maximum
    assert facts(row) == (API[api], AGENT, streamed, 12, 34, True, "stop")


@apis
@doors
@colours
def test_a_stream(api: str, door: str, colour: str) -> None:
    """The same pieces arrive, and usage as without us; the row is exact."""
    with site() as at:

        async def later(made: Any) -> Any:
            async with made.run_stream(QUESTION) as result:
                pieces = await items(result.stream_text(delta=True, debounce_by=None))
                return pieces, result.usage

        def pieces(door: Door) -> Any:
            made = agent(at, api, door)
            if colour == "async":
                return at.run(later(made))
            result = made.run_stream_sync(QUESTION)
            return list(result.stream_text(delta=True, debounce_by=None)), result.usage

        got = at.compare(pieces, door)
        row = at.row()
    assert got.added == set()  # Pydantic AI asks for the usage of its streams itself
    assert got.through == got.alone
    assert "".join(got.through[0]) == Answer().text
    assert facts(row) == (API[api], AGENT, True, 12, 34, True, "stop")


@apis
@doors
@colours
def test_a_run_with_a_tool_keeps_its_note(api: str, door: str, colour: str) -> None:
    """Two calls, one session: both carry the same note, so that the cached prefix stays whole."""
    with site(knows=CLAUDE if api == "anthropic" else GPT) as at:
        at.provider.then(Answer(text='{"city": "Riga"}', tool="weather"))
        output, _ = ask(at, agent(at, api, door, tools=[weather]), colour)
        first, second = at.rows()
        bodies = at.provider.bodies
    assert output == Answer().text
    assert [first.finish_reason, second.finish_reason] == ["tool_calls", "stop"]
    assert first.session == second.session
    assert first.guidance == second.guidance is not None
    key = GUIDED[api].partition("[")[0]
    opening = [body[key][0] if key == "messages" else body[key] for body in bodies]
    assert opening[0] == opening[1]
    assert "rain in Riga" in json.dumps(bodies[1])


@apis
@doors
@colours
@pytest.mark.parametrize("native", [False, True], ids=["by tool", "by schema"])
def test_a_structured_output_is_guided_but_never_capped(
    api: str, door: str, colour: str, native: bool
) -> None:
    """An object comes out, in enforce mode with a history, too: its form is not cut."""
    answer = Answer(text=json.dumps(RIGA), tool=None if native else "final_result")
    with site(answer, knows=CLAUDE if api == "anthropic" else GPT) as at:
        form: Any = NativeOutput(City) if native else City
        got = at.compare(lambda door: ask(at, agent(at, api, door, output_type=form), colour), door)
        row = at.row()
    assert got.through == got.alone
    assert got.through[0] == City(name="Riga", country="Latvia")
    assert got.added == {GUIDED[api]}
    assert (row.guidance is not None, row.cap) == (True, None)


@apis
@doors
@colours
def test_what_was_learned_is_written(api: str, door: str, colour: str) -> None:
    """In enforce mode: a note of the length to all, a cap to a provider that counts it."""
    with site(knows=CLAUDE if api == "anthropic" else GPT) as at:
        got = at.compare(lambda door: ask(at, agent(at, api, door), colour), door)
        row = at.row()
    cap = CAPPED[api]
    assert got.added == ({GUIDED[api], cap} if cap else {GUIDED[api]})
    assert got.through == got.alone
    assert (row.guidance is not None, row.cap) == (True, got.sent[cap] if cap else None)


@apis
@doors
@colours
def test_a_providers_error_is_the_frameworks(api: str, door: str, colour: str) -> None:
    """Pydantic AI raises what it raises without us, and the call is in the history as failed."""
    with site(Answer(status=403, error=("not yours", None))) as at:

        def fail(door: Door) -> Any:
            with pytest.raises(ModelHTTPError, match="not yours") as caught:
                ask(at, agent(at, api, door), colour)
            return type(caught.value), caught.value.status_code, caught.value.body

        got = at.compare(fail, door)
        row = at.row()
    assert got.through == got.alone
    assert (row.agent, row.status, row.finish_reason) == (AGENT, 403, "error")


@apis
@colours
def test_a_budget_block_holds_for_a_run(api: str, colour: str) -> None:
    """The block's cap is written into the run's call, on Anthropic too, and the call reported."""
    with site() as at, budget(cap=1500, agent="geographer") as block:
        ask(at, agent(at, api, "wrapper"), colour)
        sent = at.provider.last.body
        row = at.row()
    assert sent[CAPPED[api] or "max_tokens"] == 1500
    assert (row.agent, row.cap, row.overridden) == ("geographer", 1500, True)
    assert [call.call_id for call in block.calls] == [row.call_id]


def test_a_websocket_goes_past_a_wrapped_client_and_is_refused_by_the_proxy() -> None:
    """No row of it either way; the proxy says 501 instead of letting it by unseen."""
    with site() as at:

        def dial(door: Door) -> Any:
            made = agent(at, "responses", door)
            return made.run(QUESTION, model_settings={"openai_transport": "websocket"})

        with pytest.raises(ModelHTTPError, match="does not relay WebSockets"):
            at.run(dial("proxy"))
        assert at.provider.requests == []
        with pytest.raises(ModelAPIError, match="200"):  # our provider speaks HTTP only
            at.run(dial("wrapper"))
        assert at.provider.last.headers["upgrade"] == "websocket"
        assert at.rows() == []


@pytest.mark.parametrize("model", [f"openai-chat:{GPT}", f"openai:{GPT}", f"anthropic:{CLAUDE}"])
def test_the_proxys_address_can_come_from_the_environment(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OPENAI_BASE_URL and ANTHROPIC_BASE_URL are enough."""
    with site() as at:
        at.in_environment(monkeypatch)
        assert Agent(model).run_sync(QUESTION).output == Answer().text
        assert at.row().output_tokens == 34


@pytest.mark.parametrize("example", examples_of("pydantic-ai"))
def test_an_example_runs_and_prints(example: str, tmp_path: Path) -> None:
    """As it stands, in a fresh interpreter."""
    provider = ScriptedProvider(answer=Answer(text=json.dumps(RIGA), tool="final_result"))
    with provider.serve() as url:
        printed = run_example(FOLDER / f"{example}.py", url, home=tmp_path)
    assert "Riga" in printed
    assert provider.requests
