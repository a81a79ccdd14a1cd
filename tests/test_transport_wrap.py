"""Wrapping SDK clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_type

import anthropic
import httpx
import openai
import pytest

from budget_proxy.assemble import Engine
from budget_proxy.errors import InvalidInput
from budget_proxy.transport import binding
from budget_proxy.transport.wrap import wrap
from tests.doors import ANTHROPIC, HELLO, MODEL, OPENAI, client, http_client, now, rows
from tests.providers import ScriptedProvider

AZURE = {"api_version": "2026-10-01", "azure_endpoint": "https://me.openai.azure.com"}
KINDS: list[Any] = [
    *OPENAI, openai.AzureOpenAI, openai.AsyncAzureOpenAI, *ANTHROPIC,
]  # fmt: skip


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine without history."""
    with Engine.open("memory:", holdout=0.0) as engine:
        yield engine


@pytest.fixture
def provider() -> ScriptedProvider:
    """The network's far end."""
    return ScriptedProvider()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def plain(request: pytest.FixtureRequest, provider: ScriptedProvider) -> Any:
    """A client of each class, as its SDK makes it."""
    more = AZURE if "Azure" in request.param.__name__ else {}
    return client(request.param, provider, **more)


async def ask(sdk_client: Any, **options: Any) -> Any:
    """Make one call with whatever client it is."""
    if hasattr(sdk_client, "messages"):
        create, options = sdk_client.messages.create, {"max_tokens": 900, **options}
    else:
        create = sdk_client.chat.completions.create
    return await now(create(model=MODEL, messages=HELLO, **options))


async def shut(sdk_client: Any) -> None:
    """Close a client of either colour."""
    await now(sdk_client.close())


async def test_a_wrapped_client_is_of_the_very_same_type(plain: Any, engine: Engine) -> None:
    """Nothing that looks at the type can tell a wrapped client from a plain one."""
    assert type(wrap(plain, engine=engine)) is type(plain)
    await shut(plain)


async def test_calls_of_the_wrapped_client_are_recorded_and_of_the_original_not(
    plain: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """Both send the same request; only one is metered, under its agent."""
    wrapped = wrap(plain, engine=engine, agent="reviewer")
    await ask(plain)
    await ask(wrapped)
    first, second = provider.requests
    assert first.body == second.body
    assert _without_ids(first.headers) == _without_ids(second.headers)
    (row,) = rows(engine)
    assert (row.agent, row.output_tokens, row.exact) == ("reviewer", 34, True)


async def test_copies_keep_the_budget(
    plain: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """``copy`` and ``with_options`` share the HTTP client, and so the budget."""
    wrapped = wrap(plain, engine=engine, agent="a")
    await ask(wrapped.with_options(timeout=5))
    await ask(wrapped.copy(default_headers={"x-extra": "1"}))
    assert provider.last.headers["x-extra"] == "1"
    assert [row.agent for row in rows(engine)] == ["a", "a"]


async def test_wrapping_twice_does_not_nest(
    plain: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """One call is one row; what the second wrap gives replaces what the first gave."""
    first = wrap(plain, engine=engine, agent="one", mode="observe")
    second = wrap(first, agent="two")
    await ask(second)
    await ask(first)
    assert len(provider.requests) == 2
    assert [(row.agent, row.mode) for row in rows(engine)] == [
        ("two", "observe"),
        ("one", "observe"),
    ]


@pytest.mark.parametrize("closes", ["original", "wrapped"])
async def test_closing_either_closes_both(plain: Any, engine: Engine, closes: str) -> None:
    """As with the SDK's own copies."""
    wrapped = wrap(plain, engine=engine)
    await shut(plain if closes == "original" else wrapped)
    assert plain.is_closed()
    assert wrapped.is_closed()


async def test_a_client_wrapped_in_passing_lives_on(provider: ScriptedProvider) -> None:
    """The SDK closes its HTTP client when the client is collected; wrapping outlives that."""
    with Engine.open("memory:") as engine, provider.serve() as url:
        wrapped = wrap(openai.OpenAI(api_key="k", base_url=f"{url}/v1"), engine=engine)
        await ask(wrapped)
        assert not wrapped.is_closed()
        await shut(wrapped)
        assert len(rows(engine)) == 1


async def test_a_wrapped_client_that_goes_leaves_the_original_open(engine: Engine) -> None:
    """What is collected is the view; the original's connections stay."""
    plain = openai.OpenAI(api_key="k")
    wrap(plain, engine=engine)
    assert not plain.is_closed()
    plain.close()


async def test_an_openai_client_on_httpx_works_too(
    engine: Engine, provider: ScriptedProvider
) -> None:
    """Openai still takes the older library's clients; then everything is of that library."""
    older: Any = httpx.Client(transport=provider.transport(httpx))
    wrapped = wrap(openai.OpenAI(api_key="k", http_client=older), engine=engine)
    raw = wrapped.chat.completions.with_raw_response.create(model=MODEL, messages=[])
    assert isinstance(raw.http_response, httpx.Response)
    stream = wrapped.chat.completions.create(model=MODEL, messages=[], stream=True)
    assert len(list(stream)) > 5
    assert [row.output_tokens for row in rows(engine)] == [34, 34]


async def test_a_users_subclass_keeps_its_type(engine: Engine, provider: ScriptedProvider) -> None:
    """A subclass of an SDK's client is wrapped through the copy it inherits."""

    class Mine(openai.OpenAI):
        """A user's client."""

    wrapped = wrap(client(Mine, provider), engine=engine)
    assert type(wrapped) is Mine
    await ask(wrapped)
    assert len(rows(engine)) == 1


def test_a_subclass_that_cannot_be_copied_is_refused(engine: Engine) -> None:
    """The SDK's copy calls the constructor by the SDK's names; one without them cannot be."""

    class Odd(openai.OpenAI):
        def __init__(self, team: str) -> None:
            super().__init__(api_key=team)

    with pytest.raises(InvalidInput, match=r"Odd cannot be wrapped.*budget_proxy\.openai"):
        wrap(Odd("team"), engine=engine)


@pytest.mark.parametrize("other", [None, 7, openai.OpenAI, object(), {"api_key": "k"}])
def test_anything_else_is_refused_by_name(engine: Engine, other: Any) -> None:
    """The message says what is accepted."""
    with pytest.raises(InvalidInput, match=r"wrap takes a client .* openai\.OpenAI\(\)"):
        wrap(other, engine=engine)


@pytest.mark.parametrize("wrong", [{"mode": "strict"}, {"agent": 7}, {"effort": "much"}])
def test_a_wrong_setting_is_refused(wrong: Any, engine: Engine) -> None:
    """Settings are checked when the client is wrapped, not at its first call."""
    with pytest.raises(InvalidInput):
        wrap(openai.OpenAI(api_key="k"), engine=engine, **wrong)


async def test_without_an_engine_the_processs_own_is_used(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is opened by the settings when the first client is wrapped, and shared by all."""
    monkeypatch.setattr(binding, "_default", None)
    monkeypatch.setenv("BUDGET_PROXY_STORE", "memory:")
    for kind in (openai.OpenAI, anthropic.Anthropic):
        await ask(wrap(client(kind, provider)))
    engine = binding.default_engine()
    assert [row.api for row in rows(engine)] == ["openai.chat", "anthropic.messages"]
    engine.close()


def test_type_checkers_see_the_same_type(engine: Engine) -> None:
    """``wrap`` is typed from its argument; this fails in mypy, not at run time."""
    wrapped = wrap(openai.OpenAI(api_key="k"), engine=engine)
    assert_type(wrapped, openai.OpenAI)
    other = wrap(anthropic.AsyncAnthropic(api_key="k"), engine=engine)
    assert_type(other, anthropic.AsyncAnthropic)
    assert isinstance(wrapped, openai.OpenAI)
    wrapped.close()


async def test_azure_routes_and_meters(engine: Engine, provider: ScriptedProvider) -> None:
    """A deployment's path is a call like any other, and the api version stays in the query."""
    for kind in (openai.AzureOpenAI, openai.AsyncAzureOpenAI):
        wrapped = wrap(client(kind, provider, **AZURE), engine=engine)
        await ask(wrapped)
        await ask(wrapped.with_options(timeout=3), stream=False)
    assert {seen.path for seen in provider.requests} == {
        f"/openai/deployments/{MODEL}/chat/completions"
    }
    assert {row.host for row in rows(engine)} == {"me.openai.azure.com"}
    assert "api-key" in provider.last.headers


async def test_a_new_http_client_is_not_wrapped(engine: Engine, provider: ScriptedProvider) -> None:
    """``with_options(http_client=...)`` takes another HTTP client, and leaves the budget."""
    wrapped = wrap(client(openai.OpenAI, provider), engine=engine)
    await ask(wrapped.with_options(http_client=http_client(openai.OpenAI, provider)))
    assert rows(engine) == []


def _without_ids(headers: Any) -> dict[str, str]:
    return {name: text for name, text in headers.items() if "idempotency" not in name}
