"""An SDK's module under our name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import anthropic as sdk_anthropic
import openai as sdk_openai
import pytest

from budget_proxy.assemble import Engine
from budget_proxy.transport import binding
from budget_proxy.transport.family import family_of
from budget_proxy.transport.view import bound
from budget_proxy.transport.wrap import wrap
from tests.doors import HELLO, MODEL, http_client, now, rows
from tests.providers import ScriptedProvider

SDKS: dict[str, Any] = {"openai": sdk_openai, "anthropic": sdk_anthropic}
CLIENTS = [
    ("openai", "OpenAI"), ("openai", "AsyncOpenAI"), ("openai", "AzureOpenAI"),
    ("openai", "AsyncAzureOpenAI"), ("openai", "Client"), ("openai", "AsyncClient"),
    ("anthropic", "Anthropic"), ("anthropic", "AsyncAnthropic"), ("anthropic", "Client"),
    ("anthropic", "AsyncClient"),
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


@pytest.fixture(params=CLIENTS, ids=".".join)
def pair(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """Our class, and the SDK's of the same name."""
    sdk, name = request.param
    return getattr(import_module(f"budget_proxy.{sdk}"), name), getattr(SDKS[sdk], name)


def made(kind: Any, provider: ScriptedProvider, **options: Any) -> Any:
    """A client of a class of ours."""
    if "Azure" in kind.__name__:
        options |= {"api_version": "2026-10-01", "azure_endpoint": "https://me.openai.azure.com"}
    options = {"api_key": "k", "http_client": http_client(kind, provider), **options}
    return kind(**options)


async def ask(client: Any) -> Any:
    """Make one call with whatever client it is."""
    if hasattr(client, "messages"):
        return await now(client.messages.create(model=MODEL, messages=HELLO, max_tokens=900))
    return await now(client.chat.completions.create(model=MODEL, messages=HELLO))


async def test_a_client_of_ours_is_the_sdks_own_and_budgeted(
    pair: tuple[Any, Any], engine: Engine, provider: ScriptedProvider
) -> None:
    """Our arguments bind it; the type is exactly the SDK's, which its credentials need."""
    ours, theirs = pair
    client = made(ours, provider, engine=engine, agent="a", mode="observe")
    assert type(client) is theirs
    await ask(client)
    assert [(row.agent, row.mode) for row in rows(engine)] == [("a", "observe")]


async def test_isinstance_and_issubclass_hold_for_both_names(
    pair: tuple[Any, Any], engine: Engine, provider: ScriptedProvider
) -> None:
    """Ours and theirs answer alike, for clients of either, wrapped ones and copies."""
    ours, theirs = pair
    client = made(ours, provider, engine=engine)
    plain = made(theirs, provider)
    for each in (client, plain, wrap(plain, engine=engine), client.with_options(timeout=5)):
        assert isinstance(each, ours)
        assert isinstance(each, theirs)
    assert issubclass(theirs, ours)
    assert issubclass(ours, theirs)
    assert not isinstance("text", ours)
    assert not issubclass(str, ours)


def test_azure_clients_are_openai_clients() -> None:
    """The SDK's class tree holds among our names too."""
    ours: Any = import_module("budget_proxy.openai")
    assert issubclass(ours.AzureOpenAI, ours.OpenAI)
    assert not issubclass(ours.OpenAI, ours.AzureOpenAI)
    assert not issubclass(ours.AsyncOpenAI, ours.OpenAI)
    assert ours.Client is ours.OpenAI


async def test_a_subclass_of_ours_is_budgeted(
    pair: tuple[Any, Any], engine: Engine, provider: ScriptedProvider
) -> None:
    """It takes our arguments, passes them up, and is an instance of all three."""
    ours, theirs = pair

    class Mine(ours):  # type: ignore[misc, valid-type]
        def __init__(self, **options: Any) -> None:
            super().__init__(agent="mine", **options)

    Mine.__name__ = theirs.__name__  # so that the helper picks the right colour
    client = made(Mine, provider, engine=engine)
    assert type(client) is Mine
    assert isinstance(client, ours)
    assert isinstance(client, theirs)
    await ask(client)
    await ask(client.with_options(timeout=5))
    assert type(client.copy()) is Mine
    assert [row.agent for row in rows(engine)] == ["mine", "mine"]


async def test_a_subclass_keeps_its_engine_with_another_http_client(
    pair: tuple[Any, Any], engine: Engine, provider: ScriptedProvider
) -> None:
    """A copy with an HTTP client of its own is bound as the original was."""
    ours, theirs = pair

    class Mine(ours):  # type: ignore[misc, valid-type]
        """A user's client."""

    Mine.__name__ = theirs.__name__
    client = made(Mine, provider, engine=engine, agent="a")
    other = http_client(theirs, provider)
    copied = client.with_options(http_client=other)
    assert bound(copied._client) == bound(client._client)
    await ask(copied)
    assert [row.agent for row in rows(engine)] == ["a"]


def test_isinstance_of_a_users_subclass_is_its_own() -> None:
    """Only our own names stand for the SDK's; a user's class is no other."""
    ours: Any = import_module("budget_proxy.openai")

    class Mine(ours.OpenAI):  # type: ignore[misc]
        """A user's client."""

    assert not isinstance(sdk_openai.OpenAI(api_key="k"), Mine)
    assert not issubclass(sdk_openai.OpenAI, Mine)
    assert issubclass(Mine, ours.OpenAI)


@pytest.mark.parametrize("sdk", sorted(SDKS))
def test_everything_else_is_the_sdks_own(sdk: str) -> None:
    """Errors, types, helpers: the very same objects, and listed alike."""
    ours = import_module(f"budget_proxy.{sdk}")
    theirs = SDKS[sdk]
    swapped = {name for owner, name in CLIENTS if owner == sdk}
    for name in theirs.__all__:
        if isinstance(getattr(theirs, name), type) and name not in swapped:
            same = getattr(ours, name) is getattr(theirs, name)
            assert same or issubclass(getattr(ours, name), getattr(theirs, name))
    assert ours.RateLimitError is theirs.RateLimitError
    assert ours.types is theirs.types
    assert ours.__version__ == theirs.__version__
    assert set(theirs.__all__) <= set(dir(ours))


@pytest.mark.parametrize("sdk", sorted(SDKS))
def test_a_name_that_nobody_has_is_an_attribute_error(sdk: str) -> None:
    """As with any module."""
    ours = import_module(f"budget_proxy.{sdk}")
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = ours.Nonsense
    with pytest.raises(AttributeError, match="__path__"):
        _ = ours.__path__


@pytest.mark.parametrize("sdk", sorted(SDKS))
def test_a_missing_sdk_says_how_to_install_it(sdk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first name that is asked for tells which extra is missing."""
    ours = import_module(f"budget_proxy.{sdk}")
    monkeypatch.setitem(sys.modules, sdk, None)
    with pytest.raises(ImportError, match=rf"pip install {sdk}"):
        _ = ours.RateLimitError


def test_what_an_sdk_itself_misses_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation of the SDK is not mistaken for a missing one."""
    ours = import_module("budget_proxy.openai")
    library = family_of(sdk_openai.DefaultHttpxClient).__name__
    monkeypatch.delitem(sys.modules, "openai")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ModuleNotFoundError, match=library):
        _ = ours.RateLimitError


def test_wrong_arguments_are_the_sdks_to_refuse(engine: Engine) -> None:
    """What neither of us knows raises what the SDK raises."""
    ours: Any = import_module("budget_proxy.openai")
    with pytest.raises(TypeError, match="colour"):
        ours.OpenAI(api_key="k", colour="red", engine=engine)
    with pytest.raises(sdk_openai.OpenAIError, match="Missing credentials"):
        ours.OpenAI(engine=engine)


def test_anthropic_finds_its_credentials(
    engine: Engine, provider: ScriptedProvider, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile on disk is found by the SDK, which looks for one in its own class only."""
    ours: Any = import_module("budget_proxy.anthropic")
    for folder in ("configs", "credentials"):
        (tmp_path / folder).mkdir()
    config = '{"version": "1.0", "authentication": {"type": "user_oauth"}}'
    (tmp_path / "configs" / "default.json").write_text(config)
    secret = tmp_path / "credentials" / "default.json"
    secret.write_text('{"version": "1.0", "type": "oauth_token", "access_token": "found-it"}')
    secret.chmod(0o600)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    client = ours.Anthropic(
        http_client=http_client(sdk_anthropic.Anthropic, provider), engine=engine
    )
    client.messages.create(model=MODEL, messages=HELLO, max_tokens=9)
    assert provider.last.headers["authorization"] == "Bearer found-it"
    assert len(rows(engine)) == 1


def test_without_an_engine_a_subclass_uses_the_processs_own(
    provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``wrap`` does."""
    monkeypatch.setattr(binding, "_default", None)
    monkeypatch.setenv("BUDGET_PROXY_STORE", "memory:")
    ours: Any = import_module("budget_proxy.openai")

    class Mine(ours.OpenAI):  # type: ignore[misc]
        """A user's client."""

    client = Mine(api_key="k", http_client=http_client(sdk_openai.OpenAI, provider))
    client.chat.completions.create(model=MODEL, messages=HELLO)
    engine = binding.default_engine()
    assert len(rows(engine)) == 1
    engine.close()
