"""What the upstream client does with answers that are late, odd or missing."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from pyreqwest.client import ClientBuilder

from budget_proxy.proxy import upstream as module
from budget_proxy.proxy.upstream import Upstream, UpstreamError
from tests.proxied import Answer
from tests.proxied import Upstream as Provider


@pytest.fixture
async def client() -> AsyncIterator[Upstream]:
    """The proxy's upstream client."""
    opened = Upstream(direct=True)
    yield opened
    await opened.close()


async def test_connections_are_kept(client: Upstream) -> None:
    """Answers that were read to their end leave their connection to the next request."""
    with Provider(lambda _: Answer(parts=[b"a", b"b"])) as provider:
        for _ in range(3):
            answer = await client.ask("POST", f"{provider.url}/x", [], b"body")
            assert await answer.read() == b"ab"
            await answer.close()
        assert not provider.seen[0].left.is_set()
        assert [seen.body for seen in provider.seen] == [b"body"] * 3


async def test_chunks_come_as_they_are_sent(client: Upstream) -> None:
    """Nothing is gathered on the way."""
    parts = [b"one", b"two", b"three"]
    with Provider(lambda _: Answer(parts=parts, pause=0.05)) as provider:
        answer = await client.forward("GET", f"{provider.url}/x", [], b"", 0)
        assert [chunk async for chunk in answer.chunks()] == parts
        await answer.close()


async def test_an_answer_that_is_left_is_cut(client: Upstream) -> None:
    """Closing before the end ends it at the provider."""
    with Provider(lambda _: Answer(parts=[b"x" * 100] * 100, pause=0.05)) as provider:
        answer = await client.ask("GET", f"{provider.url}/x", [], b"")
        await answer.close()
        assert provider.seen[0].left.wait(1)


async def test_a_broken_answer_is_an_error(client: Upstream) -> None:
    """Whether it is read whole or in chunks; what came before can be used."""
    with Provider(lambda _: Answer(parts=[b"some"], cut=True)) as provider:
        answer = await client.ask("GET", f"{provider.url}/x", [], b"")
        with pytest.raises(UpstreamError) as caught:
            await answer.read()
        assert not caught.value.timeout
        assert not caught.value.connecting
        await answer.close()


async def test_headers_that_are_no_text_do_not_hide_the_others(client: Upstream) -> None:
    """Odd bytes in one header cost that one."""
    headers = [("x-a", "1"), ("x-odd", "caf\xe9"), ("x-a", "2")]
    with Provider(lambda _: Answer(headers=headers)) as provider:
        answer = await client.ask("GET", f"{provider.url}/x", [], b"")
        assert sorted(answer.headers) == [("x-a", "1"), ("x-a", "2")]
        await answer.close()


async def test_nobody_there(client: Upstream) -> None:
    """A refused connection, and a name that is none, are told apart from lost answers."""
    for url in ("http://127.0.0.1:9/x", "http://no.such.host.invalid/x"):
        with pytest.raises(UpstreamError) as caught:
            await client.ask("GET", url, [], b"")
        assert caught.value.connecting
        assert not caught.value.timeout
        assert "http" not in str(caught.value)


async def test_a_provider_that_says_nothing(
    client: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for an answer ends, and counts as one that the provider may have billed."""
    quick = ClientBuilder().no_proxy().read_timeout(timedelta(seconds=0.1)).build()
    monkeypatch.setattr(client, "_reading", quick)
    with Provider(lambda _: Answer(silent=True)) as provider:
        with pytest.raises(UpstreamError) as caught:
            await client.ask("GET", f"{provider.url}/x", [], b"")
        assert caught.value.timeout
        assert not caught.value.connecting


async def test_a_machine_that_does_not_take_connections(
    client: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait for a connection ends sooner, and nothing was sent."""
    quick = ClientBuilder().no_proxy().connect_timeout(timedelta(seconds=0.2)).build()
    monkeypatch.setattr(client, "_reading", quick)
    with ExitStack() as stack:
        busy = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # the queue of connections is full from here on
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(busy.getsockname())
        with pytest.raises(UpstreamError) as caught:
            await client.ask("GET", f"http://127.0.0.1:{busy.getsockname()[1]}/x", [], b"")
    assert caught.value.timeout
    assert caught.value.connecting


async def test_proxies_of_the_environment_are_not_asked_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other providers are reached through HTTP_PROXY; what is direct needs nobody's help."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Provider(lambda _: Answer(parts=[b"here"])) as provider:
        direct, roundabout = Upstream(direct=True), Upstream()
        answer = await direct.ask("GET", f"{provider.url}/x", [], b"")
        assert await answer.read() == b"here"
        await answer.close()
        with pytest.raises(UpstreamError):
            await roundabout.ask("GET", f"{provider.url}/x", [], b"")
        await direct.close()
        await roundabout.close()


def test_callers_wait_longer_than_connections() -> None:
    """Providers may think for long; the SDKs give up after 600 s, and it is they who decide."""
    assert module.CONNECT_SECONDS == 10
    assert module.READ_SECONDS >= 600
