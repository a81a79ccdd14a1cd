"""Instructor on top of us: objects from OpenAI's and Anthropic's clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anthropic
import instructor
import openai
import pytest
from instructor.core import InstructorRetryException
from pydantic import BaseModel

from budget_proxy import wrap
from tests.doors import items
from tests.examples import FOLDER, examples_of
from tests.examples import run as run_example
from tests.frameworks.site import AGENT, CLAUDE, GPT, Door, Site, colours, doors, facts, site
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider

MESSAGES = [
    {"role": "system", "content": "You know all cities."},
    {"role": "user", "content": "Name the capital of Latvia."},
]
RIGA = {"name": "Riga", "country": "Latvia"}

API = {"openai": "openai.chat", "anthropic": "anthropic.messages"}
SDK = {"openai": openai, "anthropic": anthropic}

sdks = pytest.mark.parametrize("sdk", API)
modes = pytest.mark.parametrize("mode", [instructor.Mode.TOOLS, instructor.Mode.JSON])


class City(BaseModel):
    """A city and its country."""

    name: str
    country: str


def answer_of(mode: instructor.Mode, text: str = json.dumps(RIGA)) -> Answer:
    """The answer to a request for a City in that mode."""
    return Answer(text=text, tool="City" if mode is instructor.Mode.TOOLS else None)


def client(at: Site, sdk: str, door: Door, colour: str, mode: instructor.Mode) -> Any:
    """An Instructor around a wrapped client, or around one that talks to the proxy."""
    facts: dict[str, Any] = {"api_key": "sk-test", "max_retries": 0}
    if sdk == "openai":
        kind: Any = openai.OpenAI if colour == "sync" else openai.AsyncOpenAI
        made = kind(base_url=f"{at.base(door)}/v1", **facts)
    else:
        kind = anthropic.Anthropic if colour == "sync" else anthropic.AsyncAnthropic
        made = kind(base_url=at.base(door), **facts)
    if door == "wrapper":
        made = wrap(made, engine=at.engine, agent=AGENT)
    around = instructor.from_openai if sdk == "openai" else instructor.from_anthropic
    return around(made, mode=mode)


def asked(at: Site, sdk: str, door: Door) -> dict[str, Any]:
    """The arguments of a request, the agent's name for the proxy among them."""
    given = {"messages": MESSAGES, "extra_headers": at.headers(door)}
    if sdk == "openai":
        return {"model": GPT, **given}
    return {"model": CLAUDE, "max_tokens": 4000, **given}


@sdks
@doors
@colours
@modes
def test_an_object(sdk: str, door: str, colour: str, mode: instructor.Mode) -> None:
    """The provider sees what Instructor sends, which makes the object; one row of exact usage."""
    with site(answer_of(mode)) as at:

        def create(door: Door) -> Any:
            made = client(at, sdk, door, colour, mode)
            return at.run(made.create(response_model=City, **asked(at, sdk, door))).model_dump()

        got = at.compare(create, door)
        row = at.row()
    assert got.added == set()
    assert got.through == got.alone == RIGA
    ended = "tool_calls" if mode is instructor.Mode.TOOLS else "stop"
    assert facts(row) == (API[sdk], AGENT, False, 12, 34, True, ended)


@sdks
@doors
@colours
def test_an_object_as_it_grows(sdk: str, door: str, colour: str) -> None:
    """Partial objects arrive from the stream, as without us; the row is exact."""
    mode = instructor.Mode.TOOLS
    with site(answer_of(mode)) as at:

        def create(door: Door) -> Any:
            made = client(at, sdk, door, colour, mode)
            grown = at.run(items(made.create_partial(response_model=City, **asked(at, sdk, door))))
            return [city.model_dump() for city in grown]

        got = at.compare(create, door)
        row = at.row()
    assert got.added == ({"stream_options"} if sdk == "openai" else set())
    assert got.through == got.alone
    assert len(got.through) > 1
    assert got.through[-1] == RIGA
    assert facts(row) == (API[sdk], AGENT, True, 12, 34, True, "tool_calls")


@sdks
@doors
@colours
def test_an_answer_of_the_wrong_form_is_asked_again(sdk: str, door: str, colour: str) -> None:
    """Instructor's own second attempt is a call of its own in the history."""
    mode = instructor.Mode.TOOLS
    with site(answer_of(mode)) as at:
        at.provider.then(answer_of(mode, '{"name": "Riga"}'))
        made = client(at, sdk, door, colour, mode)
        got = at.run(made.create(response_model=City, max_retries=2, **asked(at, sdk, door)))
        ids = {row.call_id for row in at.rows()}
    assert got.model_dump() == RIGA
    assert len(ids) == len(at.provider.requests) == 2


@sdks
@doors
@colours
@modes
def test_an_object_is_guided_but_never_capped(
    sdk: str, door: str, colour: str, mode: instructor.Mode
) -> None:
    """In enforce mode with a history: the note is written, the form is not cut."""
    with site(answer_of(mode), knows=GPT if sdk == "openai" else CLAUDE) as at:

        def create(door: Door) -> Any:
            made = client(at, sdk, door, colour, mode)
            return at.run(made.create(response_model=City, **asked(at, sdk, door))).model_dump()

        got = at.compare(create, door)
        row = at.row()
    assert got.through == got.alone == RIGA
    after_the_last_block = f"system[{len(got.direct.get('system', ()))}]"
    assert got.added == {"messages[0].content" if sdk == "openai" else after_the_last_block}
    assert (row.guidance is not None, row.cap) == (True, None)


@doors
@colours
def test_a_plain_text_is_capped(door: str, colour: str) -> None:
    """``response_model=None`` is a plain chat, and is budgeted as one."""
    with site(knows=GPT) as at:

        def create(door: Door) -> Any:
            made = client(at, "openai", door, colour, instructor.Mode.TOOLS)
            answer = at.run(made.create(response_model=None, **asked(at, "openai", door)))
            return answer.choices[0].message.content

        got = at.compare(create, door)
        row = at.row()
    assert got.added == {"messages[0].content", "max_tokens"}
    assert got.through == got.alone == Answer().text
    assert row.cap == got.sent["max_tokens"]


@sdks
@doors
@colours
def test_a_providers_error_is_the_sdks(sdk: str, door: str, colour: str) -> None:
    """Instructor raises what it raises without us, around the SDK's own error."""
    with site(Answer(status=403, error=("not yours", None))) as at:

        def create(door: Door) -> Any:
            made = client(at, sdk, door, colour, instructor.Mode.TOOLS)
            with pytest.raises(InstructorRetryException, match="not yours") as caught:
                at.run(made.create(response_model=City, max_retries=1, **asked(at, sdk, door)))
            cause = caught.value.__cause__
            return type(caught.value), type(cause), str(cause)

        got = at.compare(create, door)
        row = at.row()
    assert got.through == got.alone
    assert (row.agent, row.status, row.finish_reason) == (AGENT, 403, "error")


@pytest.mark.parametrize("name", [f"openai/{GPT}", f"anthropic/{CLAUDE}"])
def test_the_proxys_address_can_come_from_the_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OPENAI_BASE_URL and ANTHROPIC_BASE_URL are enough, for ``from_provider`` too."""
    mode = instructor.Mode.TOOLS
    with site(answer_of(mode)) as at:
        at.in_environment(monkeypatch)
        made = instructor.from_provider(name, mode=mode)
        got = made.create(response_model=City, messages=MESSAGES, max_tokens=4000)
        assert got.model_dump() == RIGA
        assert at.row().output_tokens == 34


@pytest.mark.parametrize("example", examples_of("instructor"))
def test_an_example_runs_and_prints(example: str, tmp_path: Path) -> None:
    """As it stands, in a fresh interpreter."""
    provider = ScriptedProvider(answer=answer_of(instructor.Mode.TOOLS))
    with provider.serve() as url:
        printed = run_example(FOLDER / f"{example}.py", url, home=tmp_path)
    assert "Riga" in printed
    assert provider.requests
