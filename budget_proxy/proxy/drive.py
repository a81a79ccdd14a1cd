"""The proxy's driver of an exchange: what each step means on an event loop of asyncio.

The clients' own drivers are in ``transport``; this one differs in that it waits for tickets
without a thread, and that what it sends goes to the proxy's upstream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any, Final

from budget_proxy.assemble import Engine
from budget_proxy.engine import Answer, Question
from budget_proxy.transport.exchange import Failed, Reply, Request, Result, Send, exchange
from budget_proxy.transport.guard import fail_open
from budget_proxy.types import Ticket

Sender = Callable[[Send], Awaitable[Reply | Failed]]
_WAIT_SECONDS: Final = 1.0


async def drive(engine: Engine, request: Request, send: Sender) -> Result:
    """Take one request's exchange to its end.

    Whatever ``send`` raises, cancellation included, passes through; an attempt that is open
    then settles as cancelled.
    """
    steps = exchange(engine, request)
    answer: Any = None
    try:
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            if isinstance(step, Send):
                answer = await send(step)
            elif isinstance(step, Question):
                answer = await _found(engine, step)
            else:
                await _done(step.ticket)
                answer = None
    finally:
        steps.close()


async def _found(engine: Engine, asked: Question) -> Answer:
    with fail_open(engine, "lookup"):
        return await asyncio.to_thread(engine.answer, asked)
    return None


async def _done(ticket: Ticket) -> None:
    """Wait for a ticket, a second at most; its failure is the recorder's, and so is its fate."""
    if not isinstance(ticket, Future):
        return
    waiting = asyncio.wrap_future(ticket)
    await asyncio.wait({waiting}, timeout=_WAIT_SECONDS)
    if waiting.done() and not waiting.cancelled():
        waiting.exception()  # looked at, so that asyncio does not complain that nobody did
