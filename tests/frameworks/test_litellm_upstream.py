"""Our proxy before other providers' models, which it reaches through LiteLLM."""

from __future__ import annotations

import asyncio
import gzip
import json
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import litellm
import openai
import pytest
from litellm import exceptions
from litellm.integrations.custom_logger import CustomLogger

from budget_proxy.assemble import Engine
from budget_proxy.proxy.app import create_app
from budget_proxy.store import issuing
from budget_proxy.transport.coding import MAX_BODY
from budget_proxy.types import CallRecord
from tests.codings import CODINGS
from tests.doors import learned, rows
from tests.frameworks.lite import HELLO, rows_of, until
from tests.provider_answers import Answer
from tests.providers import ScriptedProvider
from tests.proxied import served
from tests.test_cli_serve import serving

PLAIN = "hosted_vllm/plain-model"
CLAUDE = "anthropic/claude-sonnet-5-5"
MISTRAL = "mistral/mistral-large"
KEYS = {"authorization": "Bearer sk-ours", "x-api-key": "sk-ours"}
OVERLOADED = (
    b'data: {"type": "error", "error": {"message": "the model is overloaded", '
    b'"type": "overloaded_error", "code": 503}}\n\n'
)
LONG = Answer(text="word " * 999 + "end", output_tokens=5_000)


@dataclass
class Proxied:
    """The proxy, its engine, and the provider that stands for all providers."""

    client: openai.OpenAI
    engine: Engine
    provider: ScriptedProvider
    seen: int = 0

    def ask(self, model: str, **options: Any) -> Any:
        """A chat completion."""
        return self.client.chat.completions.create(**{"model": model, "messages": HELLO, **options})

    def rows(self, count: int) -> list[CallRecord]:
        """The rows since the last look."""
        found = until(lambda: rows(self.engine)[self.seen :], count)
        self.seen += count
        return found


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxied]:
    """A proxy whose LiteLLM finds keys and base URLs in the environment, as in life."""
    provider = ScriptedProvider()
    patterns = ("hosted_vllm/*", "anthropic/*", "mistral/*", "gemini/*")
    with provider.serve() as url:
        for name, base in (
            ("HOSTED_VLLM", f"{url}/v1"), ("MISTRAL_AZURE", f"{url}/v1"), ("ANTHROPIC", url),
        ):  # fmt: skip
            monkeypatch.setenv(f"{name}_API_BASE", base)
            monkeypatch.setenv(f"{name}_API_KEY", "sk-ours")
        monkeypatch.setenv("MISTRAL_API_KEY", "sk-ours")
        with (
            Engine.open(
                "memory:", holdout=0.0, caps="always", floor=64, guidance="off",
                openai_base_url=url, litellm_models=patterns,
            ) as engine,
            served(create_app(engine)) as proxy,
            openai.OpenAI(base_url=f"{proxy}/v1", api_key="sk-callers", max_retries=8) as client,
        ):  # fmt: skip
            client.models.list()  # waits, by trying again, until the proxy is up
            provider.requests.clear()
            yield Proxied(client.with_options(max_retries=0), engine, provider)


@pytest.mark.parametrize(
    ("model", "path", "credential"),
    [
        (PLAIN, "/v1/chat/completions", "authorization"),
        (MISTRAL, "/v1/chat/completions", "authorization"),
        (CLAUDE, "/v1/messages", "x-api-key"),
    ],
)
def test_a_call_reaches_its_provider_with_its_budget_and_our_key(
    proxied: Proxied, model: str, path: str, credential: str
) -> None:
    """In the provider's dialect, under its name for the model; the caller's key stays here."""
    bare = model.rpartition("/")[2]
    answer = proxied.ask(model, extra_body={"budget": {"cap": 20}})
    seen = proxied.provider.last
    assert (seen.path, seen.headers[credential]) == (path, KEYS[credential])
    assert (seen.body["model"], seen.body["max_tokens"]) == (bare, 20)
    assert "sk-callers" not in str(dict(seen.headers))
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (20, "length")
    (row,) = proxied.rows(1)
    assert (row.model, row.output_tokens, row.exact, row.cap) == (bare, 20, True, 20)


def test_virtual_keys_are_asked_for_and_stay_here(proxied: Proxied) -> None:
    """Scoped to models as callers spell them; LiteLLM has the providers' keys, so none lacks."""
    issued = issuing.create(proxied.engine.store, "Ann", time.time(), models=("hosted_vllm/*",))
    mine, unknown = (
        Proxied(proxied.client.with_options(api_key=key), proxied.engine, proxied.provider)
        for key in (issued.secret, issued.secret[:-1] + "x")
    )
    mine.ask(PLAIN)
    seen = proxied.provider.last
    assert seen.headers["authorization"] == "Bearer sk-ours"
    assert issued.secret[20:] not in str((dict(seen.headers), seen.content))
    (row,) = mine.rows(1)
    assert (row.model, row.key) == ("plain-model", issued.key.id)
    with pytest.raises(openai.PermissionDeniedError, match="is for the models hosted_vllm"):
        mine.ask(CLAUDE)
    with pytest.raises(openai.AuthenticationError):
        unknown.ask(PLAIN)
    assert len(proxied.provider.requests) == 1


@pytest.mark.parametrize("model", [PLAIN, CLAUDE])
@pytest.mark.parametrize("asked", [False, True], ids=["unasked", "asked"])
def test_a_stream_comes_as_events_and_is_metered_exactly(
    proxied: Proxied, model: str, asked: bool
) -> None:
    """The usage event is for those who asked for it."""
    options = {"stream_options": {"include_usage": True}} if asked else {}
    chunks = list(proxied.ask(model, stream=True, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == Answer().text
    assert [not chunk.choices for chunk in chunks][-1] is asked
    (row,) = proxied.rows(1)
    assert (row.input_tokens, row.output_tokens, row.exact, row.stream) == (12, 34, True, True)


def test_a_stream_that_the_caller_leaves_settles(proxied: Proxied) -> None:
    """Closed while there is more to come. No two chunks are the same: LiteLLM ends such streams."""
    words = " ".join(map(str, range(200_000)))
    proxied.provider.answer = Answer(text=words, output_tokens=200_000)
    stream = proxied.ask(PLAIN, stream=True)
    next(iter(stream))
    stream.close()
    (row,) = proxied.rows(1)
    assert (row.finish_reason, row.exact) == ("cancelled", False)


def test_models_of_no_pattern_go_where_they_went(proxied: Proxied) -> None:
    """To the base URL for OpenAI's, with the caller's own key."""
    assert proxied.ask("gpt-5.4").usage.completion_tokens == 34
    seen = proxied.provider.last
    assert (seen.body["model"], seen.headers["authorization"]) == ("gpt-5.4", "Bearer sk-callers")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
def test_a_compressed_call_goes_where_a_plain_one_goes(proxied: Proxied, coding: str) -> None:
    """To the model's own provider, with our key for it, and never to OpenAI with the caller's."""
    body = json.dumps({"model": PLAIN, "messages": HELLO, "budget": {"cap": 20}}).encode()
    name, pack = CODINGS[coding]
    reply = httpx.post(
        f"{proxied.client.base_url}chat/completions", content=pack(body),
        headers={"content-encoding": name, "authorization": "Bearer sk-callers"},
    )  # fmt: skip
    assert reply.json()["usage"]["completion_tokens"] == 20
    (seen,) = proxied.provider.requests
    assert seen.headers["authorization"] == KEYS["authorization"]
    assert (seen.body["model"], seen.body["max_tokens"]) == ("plain-model", 20)
    assert "content-encoding" not in seen.headers
    (row,) = proxied.rows(1)
    assert (row.model, row.output_tokens, row.exact) == ("plain-model", 20, True)


def test_a_compressed_call_that_is_too_long_when_unpacked_is_refused(proxied: Proxied) -> None:
    """As a long plain one is; neither provider sees it."""
    reply = httpx.post(
        f"{proxied.client.base_url}chat/completions", content=gzip.compress(bytes(MAX_BODY + 1)),
        headers={"content-encoding": "gzip"},
    )  # fmt: skip
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "request_too_large")
    assert proxied.provider.requests == []


def test_an_answer_cut_by_our_cap_is_asked_for_again(proxied: Proxied) -> None:
    """As with every other upstream: what was learned under the model's own name counts."""
    learned(proxied.engine, tokens=100, model="plain-model")
    proxied.provider.answer = LONG
    assert proxied.ask(PLAIN).usage.completion_tokens == 5_000
    assert ["max_tokens" in body for body in proxied.provider.bodies] == [True, False]
    assert [(row.attempt, row.cut_by_us) for row in proxied.rows(2)] == [(1, True), (2, False)]


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, openai.BadRequestError), (401, openai.AuthenticationError),
     (429, openai.RateLimitError), (503, openai.InternalServerError)],
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_an_error_has_its_status_and_openais_shape(
    proxied: Proxied, status: int, error: type[openai.APIStatusError], stream: bool
) -> None:
    """So that callers' own handling of errors works; nothing is tried again for them."""
    proxied.provider.answer = Answer(status=status, error=("no", None))
    with pytest.raises(error) as raised:
        proxied.ask(PLAIN, stream=stream)
    assert raised.value.status_code == status
    assert isinstance(raised.value.body, dict)
    assert "no" in raised.value.body["message"]
    assert len(proxied.provider.requests) == 1
    (row,) = proxied.rows(1)
    assert (row.finish_reason, row.status, row.output_tokens) == ("error", status, 0)


@pytest.mark.parametrize(
    ("model", "variable"),
    [(PLAIN, "HOSTED_VLLM"), (MISTRAL, "MISTRAL_AZURE"), (CLAUDE, "ANTHROPIC"),
     ("gemini/gemini-3", "GEMINI")],
)  # fmt: skip
def test_a_provider_that_cannot_be_reached_is_a_bad_gateway(
    proxied: Proxied, monkeypatch: pytest.MonkeyPatch, model: str, variable: str
) -> None:
    """Told by the proxy itself, whatever LiteLLM makes of it; nothing was used."""
    monkeypatch.setenv(f"{variable}_API_BASE", "http://127.0.0.1:9/v1")
    monkeypatch.setenv(f"{variable}_API_KEY", "sk-ours")
    with pytest.raises(
        openai.InternalServerError, match=r"cannot reach litellm://.*LITELLM_MODELS.*127\.0\.0\.1"
    ) as raised:
        proxied.ask(model)
    assert (raised.value.status_code, raised.value.code) == (502, "upstream_unreachable")
    (row,) = proxied.rows(1)
    assert (row.finish_reason, row.status, row.output_tokens) == ("error", 0, 0)


@pytest.mark.parametrize("model", [PLAIN, CLAUDE])
@pytest.mark.parametrize(
    "messages", ["hello", 5, None, [5], [{"role": "user", "content": 5}],
                 [{"role": "user", "content": ["x"]}]],
)  # fmt: skip
def test_messages_that_are_none_are_the_callers_fault(
    proxied: Proxied, model: str, messages: Any
) -> None:
    """LiteLLM would stumble over them, and callers' SDKs try again."""
    with pytest.raises(openai.BadRequestError, match="messages must be a list") as raised:
        proxied.ask(model, messages=messages)
    assert raised.value.param == "messages"
    assert proxied.provider.requests == []
    (row,) = proxied.rows(1)
    assert (row.finish_reason, row.status, row.output_tokens) == ("error", 400, 0)


def test_what_litellm_stumbles_over_is_told_without_its_traceback(proxied: Proxied) -> None:
    """Which would name files of the proxy's machine."""
    with pytest.raises(openai.InternalServerError, match="Unsupported response_format") as raised:
        proxied.ask(CLAUDE, response_format="x")
    assert raised.value.status_code == 500
    assert "Traceback" not in raised.value.message
    assert "site-packages" not in raised.value.message


@pytest.mark.parametrize(
    ("error", "status"),
    [(exceptions.BudgetExceededError(2.0, 1.0), litellm.budget_exceeded_status_code),
     (exceptions.GuardrailRaisedException("guard", "not this"), 400),
     (exceptions.BlockedPiiEntityError("EMAIL", "guard"), 400),
     (exceptions.ModelNotMappedError("which?"), 502)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_errors_that_only_litellm_knows_have_openais_shape(
    proxied: Proxied, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, stream: bool
) -> None:
    """They derive from no error of OpenAI's."""

    class Guard(CustomLogger):  # type: ignore[misc] # untyped where LiteLLM is not installed
        async def async_pre_call_deployment_hook(self, *_: Any, **__: Any) -> None:
            raise error

    monkeypatch.setattr(litellm, "callbacks", [Guard()])
    with pytest.raises(openai.APIStatusError) as raised:
        proxied.ask(PLAIN, stream=stream)
    assert (raised.value.status_code, raised.value.code) == (status, "litellm_error")
    assert str(error) in raised.value.message
    (row,) = proxied.rows(1)
    assert (row.finish_reason, row.status, row.output_tokens) == ("error", status, 0)


@pytest.mark.parametrize(
    ("model", "answer", "words"),
    [
        (PLAIN, Answer(inserted=(3, OVERLOADED)), "the model is overloaded"),
        (CLAUDE, Answer(inserted=(4, b"event: error\n" + OVERLOADED)), "the model is overloaded"),
        (PLAIN, Answer(cut=3), "payload is not completed"),
        (CLAUDE, Answer(cut=4), "payload is not completed"),
    ],
    ids=["plain told", "claude told", "plain cut", "claude cut"],
)
def test_a_stream_that_breaks_says_why_in_its_last_event(
    proxied: Proxied, model: str, answer: Answer, words: str
) -> None:
    """As OpenAI does; the row tells of an error, and estimates what came before it."""
    proxied.provider.answer = answer
    came = []
    with pytest.raises(openai.APIError, match=words) as raised:
        came.extend(proxied.ask(model, stream=True))
    assert not isinstance(raised.value, openai.APIConnectionError)
    assert "Original exception" not in raised.value.message
    assert came
    (row,) = proxied.rows(1)
    assert (row.finish_reason, row.exact, row.stream) == ("error", False, True)
    assert row.output_tokens


def test_a_provider_that_does_not_answer_is_a_gateway_timeout(
    proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the setting to look at; what was used is unknown."""
    monkeypatch.setattr("budget_proxy.proxy.litellm.READ_SECONDS", 0.3)
    proxied.provider.answer = Answer(delay=3.0)
    with pytest.raises(openai.InternalServerError, match=r"litellm://.*LITELLM_MODELS") as raised:
        proxied.ask(PLAIN)
    assert raised.value.status_code == 504
    (row,) = proxied.rows(1)
    assert (row.finish_reason, row.exact) == ("error", False)


def test_a_parameter_of_the_caller_for_litellm_itself_is_refused(proxied: Proxied) -> None:
    """Or a caller could have our key sent elsewhere."""
    with pytest.raises(openai.BadRequestError, match="api_base"):
        proxied.ask(PLAIN, extra_body={"api_base": "http://127.0.0.1:9"})
    assert proxied.provider.requests == []


async def test_loading_litellm_does_not_hold_up_the_event_loop() -> None:
    """It is imported before the first request, in a thread: others go on meanwhile."""
    going_on, started = threading.Event(), asyncio.Event()

    def load() -> None:
        assert going_on.wait(20)

    async def send(message: Any) -> None:
        assert message["type"] == "lifespan.startup.complete"
        started.set()

    async def receive() -> Any:
        return await asyncio.Event().wait() if started.is_set() else {"type": "lifespan.startup"}

    with Engine.open("memory:", litellm_models=("gemini/*",)) as engine:
        app = create_app(engine)
        assert app._litellm is not None
        app._litellm.load = load  # type: ignore[method-assign]
        life = asyncio.ensure_future(app({"type": "lifespan"}, receive, send))
        await asyncio.sleep(0.1)
        assert not started.is_set()
        going_on.set()
        await asyncio.wait_for(started.wait(), 20)
        life.cancel()


def test_the_command_serves_them(
    tmp_path: Path, proxied: Proxied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of its own says which models go that way, prints no more, and ends in order.

    LiteLLM would print that it cannot fetch its table of models, if it tried.
    """
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP")
    monkeypatch.setenv("BUDGET_PROXY_LITELLM_MODELS", "hosted_vllm/*, mistral/*")
    with serving(tmp_path, "http://127.0.0.1:9") as (url, printed, process):
        assert "hosted_vllm/*, mistral/*, with the keys it finds" in printed
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="sk-callers", max_retries=0)
        answer = client.chat.completions.create(model=PLAIN, messages=HELLO)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == Answer().text
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
    assert len(proxied.provider.requests) == 1
    (row,) = rows_of(f"sqlite:///{tmp_path / 'h.db'}")
    assert (row.model, row.output_tokens) == ("plain-model", 34)
