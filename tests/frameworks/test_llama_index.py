"""LlamaIndex's OpenAI and Anthropic LLMs on top of us."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.anthropic import Anthropic
from llama_index.llms.openai import OpenAI, OpenAIResponses
from pydantic import BaseModel

from budget_proxy import wrap
from tests.doors import items
from tests.examples import FOLDER, examples_of
from tests.examples import run as run_example
from tests.frameworks.site import AGENT, CLAUDE, GPT, Door, Site, colours, doors, facts, site
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider

QUESTION = [
    ChatMessage(role="system", content="You know all cities."),
    ChatMessage(role="user", content="Name the capital of Latvia."),
]
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
    """An LLM on wrapped clients as docs/frameworks.md says, or sent to the proxy."""
    options = {"api_key": "sk-test", "max_retries": 0, "default_headers": dict(at.headers(door))}
    if api == "anthropic":
        llm: Any = Anthropic(model=CLAUDE, base_url=at.base(door), **options)
        if door == "wrapper":
            llm._client = wrap(llm._client, engine=at.engine, agent=AGENT)
            llm._aclient = wrap(llm._aclient, engine=at.engine, agent=AGENT)
        return llm
    kind = OpenAIResponses if api == "responses" else OpenAI
    base = f"{at.base(door)}/v1"
    if door != "wrapper":
        return kind(model=GPT, api_base=base, **options)
    facts: dict[str, Any] = {"api_key": "sk-test", "base_url": base, "max_retries": 0}
    return kind(
        model=GPT,
        openai_client=wrap(openai.OpenAI(**facts), engine=at.engine, agent=AGENT),
        async_openai_client=wrap(openai.AsyncOpenAI(**facts), engine=at.engine, agent=AGENT),
        **options,
    )


def ask(at: Site, llm: Any, colour: str) -> Any:
    """The message that a plain chat gives."""
    answer = llm.chat(QUESTION) if colour == "sync" else at.run(llm.achat(QUESTION))
    return answer.message


@apis
@doors
@colours
def test_a_plain_chat(api: str, door: str, colour: str) -> None:
    """The provider sees what LlamaIndex sends, which gets the answer; one row of exact usage."""
    with site() as at:
        got = at.compare(lambda door: ask(at, model(at, api, door), colour), door)
        row = at.row()
    assert got.added == set()
    assert got.through == got.alone
    assert got.through.content == Answer().text
    assert facts(row) == (API[api], AGENT, False, 12, 34, True, "stop")


@apis
@doors
@colours
def test_a_stream(api: str, door: str, colour: str) -> None:
    """The same pieces arrive; a streamed chat is metered, and the row is exact."""
    with site() as at:

        async def later(llm: Any) -> list[Any]:
            return await items(await llm.astream_chat(QUESTION))

        def pieces(door: Door) -> Any:
            llm = model(at, api, door)
            got = list(llm.stream_chat(QUESTION)) if colour == "sync" else at.run(later(llm))
            return [(piece.delta, piece.message) for piece in got]

        got = at.compare(pieces, door)
        row = at.row()
    assert got.added == ({"stream_options"} if api == "chat" else set())
    assert got.through == got.alone
    assert "".join(delta or "" for delta, _ in got.through) == Answer().text
    assert facts(row) == (API[api], AGENT, True, 12, 34, True, "stop")


@apis
@doors
@colours
def test_a_tool_call(api: str, door: str, colour: str) -> None:
    """The tool's call arrives with its arguments, and the history says how the answer ended."""
    with site(Answer(text='{"city": "Riga"}', tool="weather")) as at:
        tools = [FunctionTool.from_defaults(weather)]

        def calls(door: Door) -> Any:
            llm = model(at, api, door)
            asked = llm.chat_with_tools if colour == "sync" else llm.achat_with_tools
            answer = at.run(asked(tools, chat_history=QUESTION))
            return llm.get_tool_calls_from_response(answer)

        got = at.compare(calls, door)
        row = at.row()
    assert got.added == set()
    assert got.through == got.alone
    (call,) = got.through
    assert (call.tool_name, call.tool_kwargs) == ("weather", {"city": "Riga"})
    assert facts(row) == (API[api], AGENT, False, 12, 34, True, "tool_calls")


@apis
@doors
@colours
def test_a_structured_answer_is_guided_but_never_capped(api: str, door: str, colour: str) -> None:
    """An object comes out, in enforce mode with a history, too: its form is not cut."""
    answer = Answer(text='{"name": "Riga", "country": "Latvia"}')
    with site(answer, knows=CLAUDE if api == "anthropic" else GPT) as at:

        def predict(door: Door) -> Any:
            llm = model(at, api, door)
            asked = llm.structured_predict if colour == "sync" else llm.astructured_predict
            return at.run(asked(City, ChatPromptTemplate(QUESTION)))

        got = at.compare(predict, door)
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
        got = at.compare(lambda door: ask(at, model(at, api, door), colour), door)
        row = at.row()
    cap = CAPPED[api]
    assert got.added == ({GUIDED[api], cap} if cap else {GUIDED[api]})
    assert got.through == got.alone
    assert (row.guidance is not None, row.cap) == (True, got.sent[cap] if cap else None)


@apis
@doors
@colours
def test_a_providers_error_is_the_sdks(api: str, door: str, colour: str) -> None:
    """LlamaIndex raises what it raises without us, and the call is in the history as failed."""
    sdk = anthropic if api == "anthropic" else openai
    with site(Answer(status=403, error=("not yours", None))) as at:

        def fail(door: Door) -> Any:
            with pytest.raises(sdk.PermissionDeniedError, match="not yours") as caught:
                ask(at, model(at, api, door), colour)
            return type(caught.value), caught.value.status_code

        got = at.compare(fail, door)
        row = at.row()
    assert got.through == got.alone
    assert (row.agent, row.status, row.finish_reason) == (AGENT, 403, "error")


def test_a_client_of_its_own_for_each_request_goes_past_us() -> None:
    """``reuse_client=False`` makes LlamaIndex leave the client that it was given."""
    with site() as at:
        base = f"{at.provider_url}/v1"
        ours = wrap(openai.OpenAI(api_key="sk-test", base_url=base), engine=at.engine)
        llm = OpenAI(
            model=GPT, api_key="sk-test", api_base=base, openai_client=ours, reuse_client=False
        )
        assert llm.chat(QUESTION).message.content == Answer().text
        assert at.rows() == []


@apis
def test_the_proxys_address_can_come_from_the_environment(
    api: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ANTHROPIC_BASE_URL is enough; LlamaIndex reads OPENAI_API_BASE, not OPENAI_BASE_URL."""
    kinds: dict[str, Any] = {"chat": OpenAI, "responses": OpenAIResponses, "anthropic": Anthropic}
    with site() as at:
        at.in_environment(monkeypatch)
        monkeypatch.delenv("OPENAI_BASE_URL")
        monkeypatch.setenv("OPENAI_API_BASE", f"{at.proxy_url}/v1")
        llm = kinds[api](model=CLAUDE if api == "anthropic" else GPT)
        assert ask(at, llm, "sync").content == Answer().text
        assert at.row().output_tokens == 34


@pytest.mark.parametrize("example", examples_of("llama-index"))
def test_an_example_runs_and_prints(example: str, tmp_path: Path) -> None:
    """As it stands, in a fresh interpreter."""
    provider = ScriptedProvider()
    with provider.serve() as url:
        printed = run_example(FOLDER / f"{example}.py", url, home=tmp_path)
    assert Answer().text in printed
    assert provider.requests
