"""The sync and the async driver when something goes wrong, or has to be waited for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from budget_proxy.assemble import Engine
from budget_proxy.errors import StoreError
from budget_proxy.ledger.limits import Limit
from budget_proxy.scope import budget
from budget_proxy.settings import load
from budget_proxy.store.memory import MemoryStore
from budget_proxy.transport import steps
from budget_proxy.transport.binding import Binding
from budget_proxy.transport.view import view
from budget_proxy.types import Lookup, Scope
from tests.doors import (
    HELLO,
    MODEL,
    Door,
    learned,
    rows,
    stream_of,
)
from tests.providers import PATHS, ScriptedProvider
from tests.test_holding import until

CHAT = {"model": MODEL, "messages": HELLO}


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that caps wherever it may, with a low floor."""
    with Engine.open("memory:", holdout=0.0, caps="always", floor=64) as engine:
        yield engine


@pytest.fixture
def provider() -> ScriptedProvider:
    """The network's far end."""
    return ScriptedProvider()


@pytest.fixture(params=["httpx", "httpx2"])
def library(request: pytest.FixtureRequest) -> ModuleType:
    """Each HTTP library."""
    return {"httpx": httpx, "httpx2": httpx2}[request.param]


@pytest.fixture(params=["sync", "async"])
def door(request: pytest.FixtureRequest, library: ModuleType) -> Door:
    """Each library in each colour."""
    return Door(library, request.param)


@pytest.mark.parametrize("error", ["ConnectError", "ReadTimeout", "RemoteProtocolError"])
async def test_errors_of_the_inner_transport_are_raised_as_they_are(
    door: Door, engine: Engine, error: str
) -> None:
    """The very exception comes out, and the attempt is settled as an error."""
    raised = getattr(door.library, error)("no answer")

    def handler(_: Any) -> Any:
        raise raised

    client = door.open(engine, door.library.MockTransport(handler))
    with pytest.raises(door.library.TransportError) as caught:
        await door.post(client, CHAT)
    assert caught.value is raised
    (row,) = rows(engine)
    assert (row.finish_reason, row.exact) == ("error", error != "ReadTimeout")


async def test_an_answer_that_cannot_be_decoded_is_the_librarys_error(
    door: Door, engine: Engine
) -> None:
    """A broken compression is told as without us."""

    def handler(_: Any) -> Any:
        headers = {"content-encoding": "gzip"}
        return door.library.Response(
            200, headers=headers, stream=stream_of(door.library, [b"no gzip"])
        )

    client = door.open(engine, door.library.MockTransport(handler))
    with pytest.raises(door.library.DecodingError):
        await door.post(client, CHAT)
    assert [row.finish_reason for row in rows(engine)] == ["error"]


async def test_any_other_exception_passes_and_cancels(door: Door, engine: Engine) -> None:
    """What no HTTP library raises, an interrupt say, ends the call as cancelled."""

    def handler(_: Any) -> Any:
        raise KeyboardInterrupt

    client = door.open(engine, door.library.MockTransport(handler))
    with pytest.raises(KeyboardInterrupt):
        await door.post(client, CHAT)
    assert [row.finish_reason for row in rows(engine)] == ["cancelled"]


async def test_a_cancelled_task_settles_its_call(engine: Engine, library: ModuleType) -> None:
    """A task that is cancelled while it waits for the provider leaves a cancelled row."""
    door = Door(library, "async")
    begun = asyncio.Event()

    async def handler(_: Any) -> Any:
        begun.set()
        await asyncio.sleep(60)

    client = door.open(engine, door.library.MockTransport(handler))
    task = asyncio.create_task(door.post(client, CHAT))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row.finish_reason for row in rows(engine)] == ["cancelled"]


async def test_a_task_cancelled_while_a_limit_is_asked_leaves_nothing_held(
    library: ModuleType, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the store grants after its caller has left is given back like all that is idle."""
    store = MemoryStore()
    store.save_limit(Limit("tokens", 100_000, "lifetime"))
    asked, go_on, granted = threading.Event(), threading.Event(), Future[int]()
    lease = store.lease

    def slow(*given: Any) -> Any:
        asked.set()
        go_on.wait(10)
        grants = lease(*given)
        granted.set_result(sum(one.amount for one in grants.values()))
        return grants

    monkeypatch.setattr(store, "lease", slow)
    with Engine(load(holdout=0.0), store) as engine:
        door = Door(library, "async")
        client = door.open(engine, provider.transport(door.library))
        task = asyncio.create_task(door.post(client, CHAT))
        assert await asyncio.to_thread(asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert await asyncio.to_thread(granted.result, 10) > 0
        assert await asyncio.to_thread(until, lambda: not store.balances(engine.now())[0].held)


async def test_lookups_do_not_block_the_loop(
    door: Door, engine: Engine, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The async driver reads the history on another thread, the sync one on the caller's."""
    threads: list[int] = []
    lookup = engine.lookup

    def noted(wanted: Lookup) -> Any:
        threads.append(threading.get_ident())
        return lookup(wanted)

    monkeypatch.setattr(engine, "lookup", noted)
    client = door.open(engine, provider.transport(door.library))
    await door.post(client, CHAT)
    same = threads == [threading.get_ident()]
    assert same == (door.name == "Client")


async def test_a_broken_lookup_is_none(
    door: Door, engine: Engine, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the history raises, the call goes on as one of a new session."""
    monkeypatch.setattr(engine, "lookup", _fail)
    client = door.open(engine, provider.transport(door.library))
    assert (await door.post(client, CHAT)).status_code == 200
    assert engine.faults["lookup"] == 1
    assert len(rows(engine)) == 1


@pytest.mark.parametrize("outcome", ["written", "failed", "cancelled", "slow"])
async def test_the_first_answer_waits_a_moment_for_its_session(
    door: Door,
    engine: Engine,
    provider: ScriptedProvider,
    monkeypatch: pytest.MonkeyPatch,
    outcome: str,
) -> None:
    """However its ticket ends, or if it does not, the answer comes."""
    monkeypatch.setattr(steps, "_PATIENCE", 0.05)
    learned(engine)
    ticket: Future[None] = Future()
    monkeypatch.setattr(engine.recorder, "put_session", lambda _: ticket)
    if outcome == "cancelled":
        threading.Timer(0.01, ticket.cancel).start()
    elif outcome != "slow":
        how = ticket.set_result if outcome == "written" else ticket.set_exception
        value: Any = None if outcome == "written" else StoreError("disk full")
        threading.Timer(0.01, how, (value,)).start()
    client = door.open(engine, provider.transport(door.library))
    assert (await door.post(client, CHAT)).status_code == 200
    assert ticket.done() == (outcome != "slow")


async def test_leaving_while_waiting_closes_the_stream(
    engine: Engine, library: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task cancelled between the provider's first byte and ours lets the connection go."""
    learned(engine)
    monkeypatch.setattr(engine.recorder, "put_session", lambda _: Future())
    door = Door(library, "async")
    source = stream_of(door.library, [b"data: {}\n\n"])
    begun = asyncio.Event()

    def handler(_: Any) -> Any:
        begun.set()
        headers = {"content-type": "text/event-stream"}
        return door.library.Response(200, headers=headers, stream=source)

    client = door.open(engine, door.library.MockTransport(handler))
    task = asyncio.create_task(door.post(client, {**CHAT, "stream": True}, stream=True))
    await begun.wait()
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert source.closed
    assert [row.finish_reason for row in rows(engine)] == ["cancelled"]


async def test_the_budget_around_a_call_is_read_when_it_is_made(
    door: Door, engine: Engine, provider: ScriptedProvider
) -> None:
    """Each task has its own ``with budget(...)``; it beats the client's, and gets its calls."""
    plain = getattr(door.library, door.name)(transport=provider.transport(door.library))
    client = view(plain, Binding(engine, Scope(agent="client", run="r")))

    async def one(agent: str) -> list[str]:
        with budget(agent=agent) as under:
            await asyncio.sleep(0)
            await door.post(client, CHAT)
            return [report.record.agent for report in under.calls]

    assert [*await asyncio.gather(one("a"), one("b"))] == [["a"], ["b"]]
    await door.post(client, CHAT)
    *together, last = [(row.agent, row.run) for row in rows(engine)]
    assert sorted(together) == [("a", "r"), ("b", "r")]
    assert last == ("client", "r")


@pytest.mark.parametrize("api", sorted(PATHS))
async def test_host_and_timeout_reach_the_plan(
    door: Door, engine: Engine, provider: ScriptedProvider, api: str
) -> None:
    """The host carries its port, and the timeout is that of reading."""
    client = door.open(engine, provider.transport(door.library), timeout=7.0)
    with budget() as under:
        await door.post(client, {**CHAT, "max_tokens": 100}, url=f"http://h:81{PATHS[api]}")
    call = under.calls[0].plan.call
    assert (call.api, call.host, call.timeout) == (api, "h:81", 7.0)


def _fail(*_: Any, **__: Any) -> Any:
    raise ArithmeticError("a fault of ours")
