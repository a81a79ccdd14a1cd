"""OpenAI's Agents SDK on top of us, by the Responses API and by chat completions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest
from agents import (
    Agent,
    ModelSettings,
    OpenAIProvider,
    RunConfig,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from pydantic import BaseModel
from websockets.exceptions import InvalidStatus

from budget_proxy import budget, wrap
from tests.doors import items
from tests.examples import FOLDER, examples_of
from tests.examples import run as run_example
from tests.frameworks.site import AGENT, GPT, Door, Site, colours, doors, facts, site
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider

QUESTION = "Name the capital of Latvia."
RIGA = {"name": "Riga", "country": "Latvia"}
API = {"chat": "openai.chat", "responses": "openai.responses"}
GUIDED = {"chat": "messages[0].content", "responses": "instructions"}
CAPPED = {"chat": "max_tokens", "responses": "max_output_tokens"}
"""Where the cap goes on a host that is not OpenAI's own."""

apis = pytest.mark.parametrize("api", API)
set_tracing_disabled(disabled=True)  # traces would leave the machine


class City(BaseModel):
    """A city and its country."""

    name: str
    country: str


def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def client(at: Site, door: Door) -> Any:
    """The client for the Agents SDK: wrapped, or one that talks to the proxy."""
    base = f"{at.base(door)}/v1"
    made = openai.AsyncOpenAI(
        api_key="sk-test", base_url=base, max_retries=0, default_headers=at.headers(door)
    )
    return wrap(made, engine=at.engine, agent=AGENT) if door == "wrapper" else made


def config(at: Site, api: str, door: Door) -> RunConfig:
    """The configuration of a run through that door."""
    provider = OpenAIProvider(openai_client=client(at, door), use_responses=api == "responses")
    return RunConfig(model_provider=provider)


def agent(**options: Any) -> Any:
    """An agent that knows its instructions."""
    return Agent(name="cities", instructions="You know all cities.", model=GPT, **options)


def ask(at: Site, made: Any, api: str, door: Door, colour: str) -> Any:
    """What an agent's run gives."""
    if colour == "sync":
        return Runner.run_sync(made, QUESTION, run_config=config(at, api, door)).final_output
    return at.run(Runner.run(made, QUESTION, run_config=config(at, api, door))).final_output


@apis
@doors
@colours
def test_a_run(api: str, door: str, colour: str) -> None:
    """The provider sees what the Agents SDK sends, which gets the answer; a row of exact usage."""
    with site() as at:
        got = at.compare(lambda door: ask(at, agent(), api, door, colour), door)
        row = at.row()
    assert got.added == set()
    assert got.through == got.alone == Answer().text
    assert facts(row) == (API[api], AGENT, False, 12, 34, True, "stop")


@apis
@doors
def test_a_stream(api: str, door: str) -> None:
    """The same events arrive; the row is exact."""
    with site() as at:

        async def events(door: Door) -> Any:
            result = Runner.run_streamed(agent(), QUESTION, run_config=config(at, api, door))
            seen = [event.type for event in await items(result.stream_events())]
            return seen, result.final_output, result.context_wrapper.usage

        got = at.compare(lambda door: at.run(events(door)), door)
        row = at.row()
    assert got.added == ({"stream_options"} if api == "chat" else set())
    assert got.through == got.alone
    assert got.through[1] == Answer().text
    assert facts(row) == (API[api], AGENT, True, 12, 34, True, "stop")


@apis
@doors
@colours
def test_a_run_with_a_tool_keeps_its_note(api: str, door: str, colour: str) -> None:
    """Two calls, one session: both carry the same note, so that the cached prefix stays whole."""
    with site(knows=GPT) as at:
        at.provider.then(Answer(text='{"city": "Riga"}', tool="weather"))
        output = ask(at, agent(tools=[function_tool(weather)]), api, door, colour)
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
def test_a_forced_tool_and_a_form_are_guided_but_never_capped(
    api: str, door: str, colour: str
) -> None:
    """In enforce mode with a history: neither the tool's arguments nor the object are cut."""
    with site(Answer(text=json.dumps(RIGA)), knows=GPT) as at:
        made = agent(output_type=City)
        got = at.compare(lambda door: ask(at, made, api, door, colour), door)
        at.provider.then(Answer(text='{"city": "Riga"}', tool="weather"))
        forced = agent(
            tools=[function_tool(weather)],
            tool_use_behavior="stop_on_first_tool",
            model_settings=ModelSettings(tool_choice="required"),
        )
        assert ask(at, forced, api, door, colour) == "rain in Riga"
        of_form, of_tool = at.rows()
    assert got.through == got.alone == City(name="Riga", country="Latvia")
    assert got.added == {GUIDED[api]}
    assert (of_form.guidance is not None, of_form.cap) == (True, None)
    assert (of_tool.guidance is not None, of_tool.cap) == (True, None)


@apis
@doors
@colours
def test_what_was_learned_is_written(api: str, door: str, colour: str) -> None:
    """In enforce mode: a note of the length, and a cap where it counts against quota."""
    with site(knows=GPT) as at:
        got = at.compare(lambda door: ask(at, agent(), api, door, colour), door)
        row = at.row()
    assert got.added == {GUIDED[api], CAPPED[api]}
    assert got.through == got.alone == Answer().text
    assert (row.guidance is not None, row.cap) == (True, got.sent[CAPPED[api]])


@apis
@doors
@colours
def test_a_providers_error_is_the_sdks(api: str, door: str, colour: str) -> None:
    """The run raises what it raises without us, and the call is in the history as failed."""
    with site(Answer(status=403, error=("not yours", None))) as at:

        def fail(door: Door) -> Any:
            with pytest.raises(openai.PermissionDeniedError, match="not yours") as caught:
                ask(at, agent(), api, door, colour)
            return type(caught.value), caught.value.status_code

        got = at.compare(fail, door)
        row = at.row()
    assert got.through == got.alone
    assert (row.agent, row.status, row.finish_reason) == (AGENT, 403, "error")


@apis
@doors
def test_each_agent_of_a_run_has_its_own_history(api: str, door: str) -> None:
    """A handoff changes the name, which the agent's settings carry in a header of ours."""
    with site() as at:
        at.provider.then(Answer(text="{}", tool="transfer_to_cities"))

        def named(name: str) -> Any:
            return ModelSettings(extra_headers={"x-budget-agent": name})

        cities = agent(model_settings=named("cities"))
        first = Agent(name="desk", model=GPT, handoffs=[cities], model_settings=named("desk"))
        assert ask(at, first, api, door, "sync") == Answer().text
        assert [row.agent for row in at.rows()] == ["desk", "cities"]
        assert not any(name.startswith("x-budget") for name in at.provider.last.headers)


@apis
@colours
def test_a_budget_block_holds_for_a_run(api: str, colour: str) -> None:
    """The block's name and cap are the run's, and the call is reported to the block."""
    with site() as at, budget(cap=1500, agent="geographer") as block:
        assert ask(at, agent(), api, "wrapper", colour) == Answer().text
        row = at.row()
        assert at.provider.last.body[CAPPED[api]] == 1500
    assert (row.agent, row.cap, row.overridden) == ("geographer", 1500, True)
    assert [call.call_id for call in block.calls] == [row.call_id]


def test_a_websocket_goes_past_a_wrapped_client_and_is_refused_by_the_proxy() -> None:
    """No row of it either way; the proxy says 501 instead of letting it by unseen."""

    def dial(at: Site, door: Door) -> Any:
        provider = OpenAIProvider(openai_client=client(at, door), use_responses_websocket=True)
        return Runner.run(agent(), QUESTION, run_config=RunConfig(model_provider=provider))

    with site() as at:
        with pytest.raises(InvalidStatus, match="501"):
            at.run(dial(at, "proxy"))
        assert at.provider.requests == []
        with pytest.raises(InvalidStatus, match="200"):  # our provider speaks HTTP only
            at.run(dial(at, "wrapper"))
        assert at.provider.last.headers["upgrade"] == "websocket"
        assert at.rows() == []


def test_the_proxys_address_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENAI_BASE_URL is enough."""
    with site() as at:
        at.in_environment(monkeypatch)
        run = RunConfig(model_provider=OpenAIProvider())
        assert Runner.run_sync(agent(), QUESTION, run_config=run).final_output == Answer().text
        assert at.row().output_tokens == 34


@pytest.mark.parametrize("example", examples_of("openai-agents"))
def test_an_example_runs_and_prints(example: str, tmp_path: Path) -> None:
    """As it stands, in a fresh interpreter."""
    provider = ScriptedProvider()
    with provider.serve() as url:
        printed = run_example(FOLDER / f"{example}.py", url, home=tmp_path)
    assert Answer().text in printed
    assert provider.requests
