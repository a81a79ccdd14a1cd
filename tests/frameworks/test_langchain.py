"""LangChain's OpenAI and Anthropic chat models on top of us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from budget_proxy import budget, wrap
from tests.doors import items
from tests.examples import FOLDER, examples_of
from tests.examples import run as run_example
from tests.frameworks.site import AGENT, CLAUDE, GPT, Door, Site, colours, doors, facts, site
from tests.provider_answers import Answer

QUESTION = [("system", "You know all cities."), ("user", "Name the capital of Latvia.")]
API = {"chat": "openai.chat", "responses": "openai.responses", "anthropic": "anthropic.messages"}
GUIDED = {"chat": "messages[0].content", "responses": "instructions", "anthropic": "system"}
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


def model(at: Site, api: str, door: Door) -> Any:
    """A chat model, wrapped as docs/frameworks.md says, or sent to the proxy."""
    options = {"api_key": "sk-test", "max_retries": 0, "default_headers": at.headers(door)}
    if api == "anthropic":
        llm: Any = ChatAnthropic(model=CLAUDE, base_url=at.base(door), **options)
        if door == "wrapper":
            llm._client = wrap(llm._client, engine=at.engine, agent=AGENT)
            llm._async_client = wrap(llm._async_client, engine=at.engine, agent=AGENT)
        return llm
    responses = api == "responses"
    base = f"{at.base(door)}/v1"
    llm = ChatOpenAI(model=GPT, base_url=base, use_responses_api=responses, **options)
    if door == "wrapper":
        llm.root_client = wrap(llm.root_client, engine=at.engine, agent=AGENT)
        llm.client = llm.root_client.chat.completions
        llm.root_async_client = wrap(llm.root_async_client, engine=at.engine, agent=AGENT)
        llm.async_client = llm.root_async_client.chat.completions
    return llm


def invoke(at: Site, runnable: Any, colour: str) -> Any:
    """What a runnable answers to QUESTION."""
    if colour == "sync":
        return runnable.invoke(QUESTION)
    return at.run(runnable.ainvoke(QUESTION))


def pieces(at: Site, runnable: Any, colour: str) -> list[Any]:
    """What a runnable streams on QUESTION."""
    asked = runnable.stream if colour == "sync" else runnable.astream
    chunks: list[Any] = at.run(items(asked(QUESTION)))
    return chunks


def said(message: Any) -> tuple[Any, ...]:
    """What a message holds, without the run's id."""
    return (message.text, message.tool_calls, message.usage_metadata, message.response_metadata)


@apis
@doors
@colours
def test_a_plain_chat(api: str, door: str, colour: str) -> None:
    """The provider sees what LangChain sends, LangChain what it answers; one row of exact usage."""
    with site() as at:
        got = at.compare(lambda door: said(invoke(at, model(at, api, door), colour)), door)
        row = at.row()
    assert got.added == set()
    assert got.through == got.alone
    assert got.through[0] == Answer().text
    assert facts(row) == (API[api], AGENT, False, 12, 34, True, "stop")


@apis
@doors
@colours
def test_a_stream(api: str, door: str, colour: str) -> None:
    """The same pieces arrive; a streamed chat is metered, and the row is exact."""
    with site() as at:

        def ask(door: Door) -> Any:
            return [said(chunk)[:3] for chunk in pieces(at, model(at, api, door), colour)]

        got = at.compare(ask, door)
        row = at.row()
    assert got.added == ({"stream_options"} if api == "chat" else set())
    assert got.through == got.alone
    assert "".join(piece for piece, *_ in got.through) == Answer().text
    assert facts(row) == (API[api], AGENT, True, 12, 34, True, "stop")


@apis
@doors
@colours
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_tool_call(api: str, door: str, colour: str, stream: bool) -> None:
    """The tool's call arrives with its arguments, and the history says how the answer ended."""
    with site(Answer(text='{"city": "Riga"}', tool="weather")) as at:

        def ask(door: Door) -> Any:
            llm = model(at, api, door).bind_tools([weather])
            if not stream:
                return invoke(at, llm, colour).tool_calls
            first, *rest = pieces(at, llm, colour)
            return sum(rest, start=first).tool_calls

        got = at.compare(ask, door)
        row = at.row()
    assert got.added == ({"stream_options"} if stream and api == "chat" else set())
    assert got.through == got.alone
    (call,) = got.through
    assert (call["name"], call["args"]) == ("weather", {"city": "Riga"})
    assert facts(row) == (API[api], AGENT, stream, 12, 34, True, "tool_calls")


@apis
@doors
@colours
def test_a_structured_answer_is_guided_but_never_capped(api: str, door: str, colour: str) -> None:
    """An object comes out, in enforce mode with a history, too: its form is not cut."""
    text = '{"name": "Riga", "country": "Latvia"}'
    answer = Answer(text=text, tool="City" if api == "anthropic" else None)
    with site(answer, knows=CLAUDE if api == "anthropic" else GPT) as at:

        def ask(door: Door) -> Any:
            return invoke(at, model(at, api, door).with_structured_output(City), colour)

        got = at.compare(ask, door)
        row = at.row()
    assert got.through == got.alone == City(name="Riga", country="Latvia")
    assert got.added == {GUIDED[api]}
    assert (row.guidance is not None, row.cap) == (True, None)


@apis
@doors
@colours
def test_what_was_learned_is_written(api: str, door: str, colour: str) -> None:
    """In enforce mode: a note of the length to all, a cap to a provider that counts it."""
    with site(knows=CLAUDE if api == "anthropic" else GPT) as at:
        got = at.compare(lambda door: said(invoke(at, model(at, api, door), colour)), door)
        row = at.row()
    cap = CAPPED[api]
    assert got.added == ({GUIDED[api], cap} if cap else {GUIDED[api]})
    assert got.through == got.alone
    assert (row.guidance is not None, row.cap) == (True, got.sent[cap] if cap else None)


@apis
@doors
@colours
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
def test_a_providers_error_is_the_sdks(api: str, door: str, colour: str, stream: bool) -> None:
    """LangChain raises what it raises without us, and the call is in the history as failed."""
    sdk = anthropic if api == "anthropic" else openai
    with site(Answer(status=429, error=("slow down", None))) as at:

        def ask(door: Door) -> Any:
            llm = model(at, api, door)
            with pytest.raises(sdk.RateLimitError, match="slow down") as caught:
                (pieces if stream else invoke)(at, llm, colour)
            return type(caught.value), caught.value.status_code

        got = at.compare(ask, door)
        row = at.row()
    assert got.through == got.alone
    assert (row.agent, row.status, row.finish_reason) == (AGENT, 429, "error")


@apis
def test_the_proxys_address_can_come_from_the_environment(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OPENAI_BASE_URL and ANTHROPIC_BASE_URL are enough."""
    with site() as at:
        at.in_environment(monkeypatch)
        responses = api == "responses"
        openais = ChatOpenAI(model=GPT, use_responses_api=responses)
        llm = ChatAnthropic(model=CLAUDE) if api == "anthropic" else openais
        assert llm.invoke(QUESTION).text == Answer().text
        assert at.row().output_tokens == 34


def test_a_wrapped_client_can_be_given_to_the_constructor() -> None:
    """``root_client=`` and ``client=`` are LangChain's own fields."""
    with site() as at:
        made = openai.OpenAI(api_key="sk-test", base_url=f"{at.provider_url}/v1", max_retries=0)
        client = wrap(made, engine=at.engine, agent=AGENT)
        llm = ChatOpenAI(
            model=GPT, api_key="sk-test", root_client=client, client=client.chat.completions
        )
        assert llm.invoke(QUESTION).text == Answer().text
        assert at.row().agent == AGENT


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_budget_block_reaches_a_batchs_threads(api: str) -> None:
    """LangChain runs a batch in threads of its own; each call is made under the block."""
    with site() as at, budget(agent="batcher", session="s1") as block:
        answers = model(at, api, "wrapper").batch([QUESTION, "And that of Estonia."])
        assert [answer.text for answer in answers] == [Answer().text] * 2
        assert {row.agent for row in at.rows()} == {"batcher"}
        assert len(block.calls) == 2


@pytest.mark.parametrize("example", examples_of("langchain"))
def test_an_example_runs_and_prints(example: str, tmp_path: Path) -> None:
    """As it stands, in a fresh interpreter; Anthropic's through the proxy, as it says."""
    with site() as at:
        through_proxy = example == "langchain_anthropic_chat"
        base = at.proxy_url if through_proxy else at.provider_url
        assert Answer().text in run_example(FOLDER / f"{example}.py", base, home=tmp_path)
        assert len(at.provider.requests) == 1
        assert [row.agent for row in at.rows()] == ["geographer"] * through_proxy
