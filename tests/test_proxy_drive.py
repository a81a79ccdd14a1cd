"""What the steps of an exchange mean on the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from budget_proxy.assemble import Engine
from budget_proxy.errors import StoreError
from budget_proxy.proxy import drive as module
from budget_proxy.proxy.drive import drive
from budget_proxy.transport.exchange import Failed, Reply, Request, Send, Wait
from budget_proxy.types import Lookup

REQUEST = Request("POST", "h", "/v1/chat/completions", [], b"{}")
REPLY = Reply(200, [], b"{}")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine on an empty history."""
    with Engine.open(f"sqlite:///{tmp_path / 'h.db'}") as opened:
        yield opened


class Script:
    """An exchange that takes these steps, and notes what it was answered and that it ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *steps: Any) -> None:
        self.answers: list[Any] = []
        self.ended = False
        self._steps = steps
        monkeypatch.setattr(module, "exchange", lambda *_: self._run())

    def _run(self) -> Generator[Any, Any, Any]:
        try:
            for step in self._steps:
                self.answers.append((yield step))
        finally:
            self.ended = True
        return REPLY


async def reply(_: Send) -> Reply | Failed:
    """An upstream that answers."""
    return REPLY


async def test_steps_are_answered(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A send by what came, a wait by nothing, and the end is the result."""
    ticket: Future[None] = Future()
    ticket.set_result(None)
    script = Script(monkeypatch, Send(b"", []), Wait(ticket))
    assert await drive(engine, REQUEST, reply) is REPLY
    assert script.answers == [REPLY, None]


async def test_lookups_leave_the_event_loop_free(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow history holds up its own call and no other."""
    script = Script(monkeypatch, Lookup("key"))

    def slow(_: Lookup) -> None:
        time.sleep(0.2)

    monkeypatch.setattr(engine, "lookup", slow)
    driving = asyncio.ensure_future(drive(engine, REQUEST, reply))
    ticks = 0
    while not driving.done():
        await asyncio.sleep(0.01)
        ticks += 1
    assert ticks > 5
    assert script.answers == [None]


async def test_a_lookup_that_raises_found_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours is counted, and the call goes on."""
    script = Script(monkeypatch, Lookup("key"))

    def broken(_: Lookup) -> None:
        raise RuntimeError("injected")

    monkeypatch.setattr(engine, "lookup", broken)
    assert await drive(engine, REQUEST, reply) is REPLY
    assert script.answers == [None]
    assert engine.faults["lookup"] == 1


async def test_a_ticket_that_fails_holds_nothing_up(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What went wrong with a row is the recorder's to count."""
    ticket: Future[None] = Future()
    ticket.set_exception(StoreError("injected"))
    script = Script(monkeypatch, Wait(ticket))
    assert await drive(engine, REQUEST, reply) is REPLY
    assert script.answers == [None]


async def test_a_ticket_is_not_waited_for_without_end(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that does not answer delays a call by so much and no more."""
    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.05)
    ticket: Future[None] = Future()
    Script(monkeypatch, Wait(ticket))
    started = time.monotonic()
    assert await drive(engine, REQUEST, reply) is REPLY
    assert 0.04 < time.monotonic() - started < 1
    assert not ticket.cancelled()  # the row is still to be written


async def test_an_exchange_that_is_given_up_is_closed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What sending raises passes through, and the exchange ends, so that it can settle."""
    script = Script(monkeypatch, Send(b"", []))

    async def never(_: Send) -> Reply | Failed:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await drive(engine, REQUEST, never)
    assert script.ended
