"""LiteLLM's own proxy, a real process on loopback, with our callback in its configuration."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from budget_proxy.store import open_store
from budget_proxy.types import CallRecord
from tests.frameworks.lite import HELLO, KEY, litellm_proxy, rows_of, until
from tests.makers import record
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider

MODEL = "plain-model"
AGENTS = ("capped", "resent", "short")
"""Agents with a history each, of which a truncation would change the next cap."""
LONG = Answer(text="word " * 999 + "end", output_tokens=5_000)
GUIDE = Path(__file__).parents[2] / "docs" / "litellm.md"
LEARNED = 30


@dataclass
class Proxied:
    """The proxy, the provider behind it, and the history beside it."""

    url: str
    provider: ScriptedProvider
    history: str
    seen: int = LEARNED * len(AGENTS)
    client: openai.OpenAI = field(init=False)

    def __post_init__(self) -> None:
        self.client = openai.OpenAI(base_url=self.url, api_key=KEY, max_retries=0)

    def ask(self, **options: Any) -> Any:
        """A chat completion of the model that the configuration names."""
        return self.client.chat.completions.create(
            **{"model": "plain", "messages": HELLO, **options}
        )

    def rows(self, count: int) -> list[CallRecord]:
        """The rows since the last look; they come with LiteLLM's logging, a moment later."""
        found = until(lambda: rows_of(self.history)[self.seen :], count)
        self.seen += count
        return found


def config(text: str, url: str) -> str:
    """The guide's configuration, with its models moved to the provider of this test."""
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    model = f"{{model: openai/{MODEL}, api_base: {url}/v1, api_key: sk-x, max_retries: 0}}"
    return re.sub(
        r"model_list:\n(?:  .*\n)+",
        f"model_list:\n  - model_name: plain\n    litellm_params: {model}\n",
        block,
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """One proxy for all tests: it takes a while to start."""
    folder = tmp_path_factory.mktemp("litellm")
    history = f"sqlite:///{folder / 'history.db'}"
    store = open_store(history)
    store.append(
        [
            record(
                ts=time.time() - 60 - number, call_id=f"{agent}{number}", agent=agent,
                task_type="conversation", model=MODEL, output_tokens=100 + number,
            )
            for agent in AGENTS
            for number in range(LEARNED)
        ]
    )  # fmt: skip
    store.close()
    provider = ScriptedProvider()
    with (
        provider.serve() as url,
        litellm_proxy(
            folder,
            config(GUIDE.read_text(), url),
            BUDGET_PROXY_STORE=history,
            BUDGET_PROXY_HOLDOUT="0",
            BUDGET_PROXY_CAPS="always",
            BUDGET_PROXY_FLOOR="64",
            BUDGET_PROXY_GUIDANCE="off",
        ) as proxy,
    ):
        yield Proxied(proxy, provider, history)


@pytest.fixture
def proxied(running: Proxied) -> Proxied:
    """The proxy, with a provider that remembers nothing of earlier tests."""
    running.provider.requests.clear()
    running.provider.script.clear()
    running.provider.answer = Answer()
    return running


def test_a_plain_call_is_metered_exactly(proxied: Proxied) -> None:
    """What the provider is sent is LiteLLM's own; the decision stands in the answer's headers."""
    raw = proxied.client.chat.completions.with_raw_response.create(model="plain", messages=HELLO)  # type: ignore[arg-type]
    assert json.loads(raw.text)["usage"]["completion_tokens"] == 34
    assert proxied.provider.last.body == {"model": MODEL, "messages": HELLO}
    (row,) = proxied.rows(1)
    assert (row.model, row.input_tokens, row.output_tokens) == (MODEL, 12, 34)
    assert (row.exact, row.finish_reason, row.status) == (True, "stop", 200)
    assert raw.headers["llm_provider-x-budget-call-id"] == row.call_id


@pytest.mark.parametrize("asked", [False, True], ids=["unasked", "asked"])
def test_a_stream_is_metered_exactly(proxied: Proxied, asked: bool) -> None:
    """The caller gets a usage chunk only if it asked for one."""
    options = {"stream_options": {"include_usage": True}} if asked else {}
    chunks = list(proxied.ask(stream=True, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == Answer().text
    assert [not chunk.choices for chunk in chunks][-1] is asked
    (row,) = proxied.rows(1)
    assert (row.input_tokens, row.output_tokens, row.exact, row.stream) == (12, 34, True, True)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_an_error_settles_with_its_status(proxied: Proxied, stream: bool) -> None:
    """The caller gets it as LiteLLM tells it."""
    proxied.provider.then(Answer(status=400, error=("no such thing", None)))
    with pytest.raises(openai.BadRequestError, match="no such thing"):
        proxied.ask(stream=stream)
    (row,) = proxied.rows(1)
    assert (row.finish_reason, row.status, row.output_tokens) == ("error", 400, 0)


def test_a_stream_that_breaks_off_settles_as_an_error(proxied: Proxied) -> None:
    """What it cost is unknown, so the row is an estimate."""
    proxied.provider.then(Answer(cut=3))
    with pytest.raises(openai.APIError):
        list(proxied.ask(stream=True))
    (row,) = proxied.rows(1)
    assert (row.finish_reason, row.exact) == ("error", False)


def test_every_attempt_of_the_router_has_a_row(proxied: Proxied) -> None:
    """LiteLLM tries again after a 500, as it is set to."""
    proxied.provider.then(Answer(status=500, error=("try later", None)))
    assert proxied.ask().usage.completion_tokens == 34
    rows = proxied.rows(2)
    assert [(row.finish_reason, row.status) for row in rows] == [("error", 500), ("stop", 200)]


@pytest.mark.parametrize(
    "given",
    [
        {"extra_body": {"budget": {"cap": 20, "agent": "geographer"}}},
        {"extra_headers": {"x-budget-cap": "20", "x-budget-agent": "geographer"}},
    ],
    ids=["body", "headers"],
)
def test_callers_set_budgets_as_they_do_with_our_proxy(
    proxied: Proxied, given: dict[str, Any]
) -> None:
    """In the body or in headers; the provider sees the cap and nothing else of it."""
    assert proxied.ask(**given).usage.completion_tokens == 20
    assert proxied.provider.last.body == {"model": MODEL, "messages": HELLO, "max_tokens": 20}
    (row,) = proxied.rows(1)
    assert (row.agent, row.cap, row.finish_reason) == ("geographer", 20, "length")


def test_a_wrong_budget_is_a_bad_request(proxied: Proxied) -> None:
    """It says what to write, and reaches no provider."""
    with pytest.raises(openai.BadRequestError, match="budget has no field 'cup'"):
        proxied.ask(extra_body={"budget": {"cup": 20}})
    assert proxied.provider.requests == []
    assert proxied.rows(0) == []


def test_a_learned_cap_reaches_the_provider(proxied: Proxied) -> None:
    """Sized by the history that was there at the start, for the agent it is of."""
    proxied.ask(extra_body={"budget": {"agent": "capped"}})
    cap = proxied.provider.last.body["max_tokens"]
    assert 130 < cap < 500
    (row,) = proxied.rows(1)
    assert (row.agent, row.cap, row.support) == ("capped", cap, LEARNED)


def test_an_answer_cut_by_our_cap_is_asked_for_again(proxied: Proxied) -> None:
    """The caller gets the whole answer; both attempts are in the history."""
    proxied.provider.answer = LONG
    answer = proxied.ask(extra_body={"budget": {"agent": "resent"}})
    assert answer.usage.completion_tokens == 5_000
    assert answer.choices[0].finish_reason == "stop"
    assert ["max_tokens" in body for body in proxied.provider.bodies] == [True, False]
    rows = proxied.rows(2)
    assert [(row.attempt, row.cut_by_us) for row in rows] == [(1, True), (2, False)]


def test_a_short_answer_is_better_than_none(proxied: Proxied) -> None:
    """Where asking again fails, the answer that our cap cut is what the caller gets."""
    proxied.provider.answer = LONG
    proxied.provider.then(LONG, *[Answer(status=400, error=("too long", None))] * 4)
    answer = proxied.ask(extra_body={"budget": {"agent": "short"}})
    assert answer.choices[0].finish_reason == "length"
    rows = proxied.rows(2)
    assert [(row.attempt, row.status) for row in rows] == [(1, 200), (2, 400)]


def test_a_caller_that_leaves_a_stream_settles(proxied: Proxied) -> None:
    """While there is much more to come."""
    proxied.provider.then(Answer(text="word " * 200_000 + "end", output_tokens=200_000))
    stream = proxied.ask(stream=True)
    next(iter(stream))
    stream.close()
    (row,) = proxied.rows(1)
    assert row.stream
    assert (row.output_tokens or 0) < 200_000


def test_a_caller_that_leaves_settles(proxied: Proxied) -> None:
    """Whether LiteLLM cancels its call or reads it to its end, it is in the history."""
    proxied.provider.then(Answer(delay=2.0))
    with httpx2.Client(headers={"authorization": f"Bearer {KEY}"}) as client:
        body = {"model": "plain", "messages": HELLO}
        with pytest.raises(httpx2.ReadTimeout):
            client.post(f"{proxied.url}/v1/chat/completions", json=body, timeout=0.5)
    (row,) = proxied.rows(1)
    assert row.finish_reason in {"stop", "cancelled"}
