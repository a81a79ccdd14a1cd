"""A view of an HTTP client is that client: hooks, proxies, TLS, cookies, auth, limits, closing."""

from __future__ import annotations

import gc
import json
import ssl
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from budget_proxy.assemble import Engine
from budget_proxy.errors import InvalidInput
from budget_proxy.transport.binding import Binding
from budget_proxy.transport.view import bound, view
from budget_proxy.types import Scope
from tests.doors import HELLO, MODEL, now, rows
from tests.provider_answers import Answer
from tests.providers import AUTHORITY, ScriptedProvider

CHAT = {"model": MODEL, "messages": HELLO}
PATH = "/v1/chat/completions"
URL = f"http://api.test{PATH}"


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine without history."""
    with Engine.open("memory:", holdout=0.0) as engine:
        yield engine


@pytest.fixture
def provider() -> ScriptedProvider:
    """The network's far end."""
    return ScriptedProvider()


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> Any:
    """Each HTTP library."""
    found: dict[str, ModuleType] = {"httpx": httpx, "httpx2": httpx2}
    return found[request.param]


@pytest.fixture(params=["Client", "AsyncClient"])
def kind(request: pytest.FixtureRequest, library: Any) -> Any:
    """Each of its client classes."""
    return getattr(library, request.param)


async def post(client: Any, url: str = URL, **options: Any) -> Any:
    """Make a call."""
    return await now(client.post(url, json=CHAT, **options))


async def close(client: Any) -> None:
    """Close a client of either colour."""
    await now(client.aclose() if hasattr(client, "aclose") else client.close())


def is_async(kind: Any) -> bool:
    """Whether a class of clients is the async one."""
    return bool(kind.__name__ == "AsyncClient")


async def test_the_view_budgets_and_the_original_does_not(
    kind: Any, library: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """Only what goes through the view is recorded."""
    owner = kind(transport=provider.transport(library))
    seen = view(owner, Binding(engine))
    await post(owner)
    assert rows(engine) == []
    await post(seen)
    assert len(rows(engine)) == 1
    assert provider.requests[0] == provider.requests[1]


async def test_a_view_looks_like_its_owner(kind: Any, library: Any, engine: Engine) -> None:
    """It is an instance of the owner's class and bears its name."""
    owner = kind()
    seen = view(owner, Binding(engine))
    assert isinstance(seen, kind)
    assert type(seen).__name__ == kind.__name__
    assert type(seen).__module__ == library.__name__
    await close(owner)


async def test_event_hooks_run_whenever_they_were_added(
    kind: Any, library: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """Hooks of the owner see the view's requests and responses, later ones too."""
    heard: list[str] = []

    def hook(name: str) -> Any:
        def note(_: Any) -> None:
            heard.append(name)

        async def note_async(_: Any) -> None:
            heard.append(name)

        return note_async if is_async(kind) else note

    hooks = {"request": [hook("request")], "response": [hook("response")]}
    owner = kind(transport=provider.transport(library), event_hooks=hooks)
    seen = view(owner, Binding(engine))
    await post(seen)
    owner.event_hooks["request"].append(hook("late"))
    await post(seen)
    assert heard == ["request", "response", "request", "late", "response"]


async def test_a_hook_sees_the_request_before_us_and_the_answer_after(
    kind: Any, library: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """Hooks stand between the client and our transport: they see the caller's body."""
    bodies: list[Any] = []

    def note(request: Any) -> None:
        bodies.append(json.loads(request.content))

    async def note_async(request: Any) -> None:
        note(request)

    hooks = {"request": [note_async if is_async(kind) else note]}
    owner = kind(transport=provider.transport(library), event_hooks=hooks)
    body = {**CHAT, "budget": 99}
    await now(view(owner, Binding(engine)).post(URL, json=body))
    assert bodies == [body]
    assert provider.bodies == [{**CHAT, "max_tokens": 99}]


async def test_mounts_are_kept_and_wrapped(kind: Any, library: Any, engine: Engine) -> None:
    """A call whose URL a mount (a proxy) serves goes that way, budgeted; others do not."""
    direct, proxied = ScriptedProvider(), ScriptedProvider()
    mounts = {"http://far.test": proxied.transport(library), "http://none.test": None}
    owner = kind(transport=direct.transport(library), mounts=mounts)
    seen = view(owner, Binding(engine))
    for host in ("far.test", "near.test", "none.test"):
        await post(seen, f"http://{host}{PATH}")
    assert [each.headers["host"] for each in proxied.requests] == ["far.test"]
    assert [each.headers["host"] for each in direct.requests] == ["near.test", "none.test"]
    assert [row.host for row in rows(engine)] == ["far.test", "near.test", "none.test"]


async def test_a_proxy_of_the_environment_is_used(
    kind: Any, engine: Engine, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY, read by the client when it was made, carries the view's calls."""
    with provider.serve() as url:
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        owner = kind()
        response = await post(view(owner, Binding(engine)), "http://far.test" + PATH)
        assert response.status_code == 200
        await close(owner)
    assert provider.last.path == "http://far.test" + PATH
    assert [row.host for row in rows(engine)] == ["far.test"]


async def test_tls_is_verified_by_the_owners_context(
    kind: Any, library: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """A certificate that the owner trusts is accepted, and one that it does not is refused."""
    trusting = ssl.create_default_context()
    AUTHORITY.configure_trust(trusting)
    with provider.serve(tls=True) as url:
        owner = kind(verify=trusting)
        assert (await post(view(owner, Binding(engine)), url + PATH)).status_code == 200
        await close(owner)
        wary = kind()
        with pytest.raises(library.ConnectError, match=r"(?i)certificate"):
            await post(view(wary, Binding(engine)), url + PATH)
        await close(wary)
    assert [row.finish_reason for row in rows(engine)] == ["stop", "error"]


async def test_cookies_go_both_ways(
    kind: Any, library: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """A cookie set by an answer through the view is the owner's, and comes back."""
    provider.then(Answer(headers={"set-cookie": "crumb=1; Path=/"}))
    owner = kind(transport=provider.transport(library))
    seen = view(owner, Binding(engine))
    await post(seen)
    assert owner.cookies["crumb"] == "1"
    await post(seen)
    assert provider.last.headers["cookie"] == "crumb=1"


async def test_auth_signs_what_the_view_sends(
    kind: Any, library: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """The owner's auth applies, a flow of several requests included."""
    provider.then(
        Answer(status=401, headers={"www-authenticate": 'Digest realm="r", nonce="n", qop="auth"'})
    )
    owner = kind(transport=provider.transport(library), auth=library.DigestAuth("u", "p"))
    response = await post(view(owner, Binding(engine)))
    assert response.status_code == 200
    assert "authorization" not in provider.requests[0].headers
    assert provider.last.headers["authorization"].startswith('Digest username="u"')


async def test_limits_hold_for_view_and_owner_together(
    kind: Any, library: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """They share one pool: a connection that one holds is not free for the other."""
    limits = library.Limits(max_connections=1)
    with provider.serve() as url:
        owner = kind(limits=limits, timeout=library.Timeout(5, pool=0.05))
        seen = view(owner, Binding(engine))
        body = {**CHAT, "stream": True}
        request = seen.build_request("POST", url + PATH, json=body)
        held = await now(seen.send(request, stream=True))
        with pytest.raises(library.PoolTimeout):
            await post(owner, url + PATH)
        await now(held.aclose() if is_async(kind) else held.close())
        assert (await post(owner, url + PATH)).status_code == 200
        await close(owner)


async def test_timeouts_end_the_views_calls(
    kind: Any, library: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """A provider that is too slow is the library's own ReadTimeout."""
    provider.answer = Answer(delay=0.5)
    with provider.serve() as url:
        owner = kind(timeout=0.05)
        with pytest.raises(library.ReadTimeout):
            await post(view(owner, Binding(engine)), url + PATH)
        await close(owner)
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact) == ("error", False)


@pytest.mark.parametrize("closes", ["owner", "view"])
async def test_closing_one_closes_both(
    kind: Any, library: Any, engine: Engine, provider: ScriptedProvider, closes: str
) -> None:
    """As with the SDKs' own copies there is one HTTP client, and it is closed or it is not."""
    inner = provider.transport(library)
    closed: list[str] = []

    def note() -> None:
        closed.append("inner")

    async def note_async() -> None:
        note()

    inner.close, inner.aclose = note, note_async
    owner = kind(transport=inner)
    seen = view(owner, Binding(engine))
    await post(seen)
    await close(owner if closes == "owner" else seen)
    assert owner.is_closed
    assert seen.is_closed
    assert closed == ["inner"]
    for each in (owner, seen):
        with pytest.raises(RuntimeError, match="closed"):
            await post(each)


async def test_a_view_as_context_manager_closes_the_owner(
    kind: Any, library: Any, engine: Engine, provider: ScriptedProvider
) -> None:
    """``with`` works on a view as on its owner."""
    owner = kind(transport=provider.transport(library))
    seen = view(owner, Binding(engine))
    if is_async(kind):
        async with seen:
            await post(seen)
    else:
        with seen:
            await post(seen)
    assert owner.is_closed


def test_a_view_that_goes_leaves_the_owner_open(engine: Engine) -> None:
    """The SDKs' clients close when they are collected; a view must not close its owner."""
    closed: list[str] = []

    class Closing(httpx2.Client):
        def close(self) -> None:
            closed.append("closed")

        def __del__(self) -> None:
            self.close()

    owner = Closing()
    seen = view(owner, Binding(engine))
    del seen
    gc.collect()
    assert closed == []
    seen = view(owner, Binding(engine))
    del owner
    gc.collect()
    assert closed == [], "the view keeps its owner alive"
    del seen
    gc.collect()
    assert closed == ["closed"]


def test_a_users_own_client_class_keeps_its_ways(
    engine: Engine, provider: ScriptedProvider
) -> None:
    """Methods and attributes of a subclass are there, also those set later."""

    class Mine(httpx2.Client):
        def send(self, request: Any, **options: Any) -> Any:
            request.headers["x-mine"] = "yes"
            return super().send(request, **options)

    owner = Mine(transport=provider.transport())
    seen = view(owner, Binding(engine))
    seen.post(URL, json=CHAT)
    assert provider.last.headers["x-mine"] == "yes"
    owner.headers["x-later"] = "yes"
    seen.post(URL, json=CHAT)
    assert provider.last.headers["x-later"] == "yes"


def test_a_view_of_a_view_is_a_view_of_the_owner(
    engine: Engine, provider: ScriptedProvider
) -> None:
    """Binding anew replaces the binding, so that no call is budgeted twice."""
    owner = httpx2.Client(transport=provider.transport())
    first = view(owner, Binding(engine, Scope(agent="one")))
    second = view(first, Binding(engine, Scope(agent="two")))
    assert bound(owner) is None
    assert bound(first) == Binding(engine, Scope(agent="one"))
    second.post(URL, json=CHAT)
    assert [row.agent for row in rows(engine)] == ["two"]


def test_an_http_client_without_the_seam_is_refused(engine: Engine) -> None:
    """A library that no longer has the method we override must not go past us unnoticed."""

    class Changed:
        __module__ = "httpx2"

    Changed.__module__ = "httpx2"
    with pytest.raises(InvalidInput, match="Changed is no HTTP client"):
        view(Changed(), Binding(engine))
