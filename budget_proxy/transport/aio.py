"""The async driver: an HTTP transport around a client's own. Waits by anyio, as they do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any, ClassVar

from anyio import to_thread

from budget_proxy.engine import Question
from budget_proxy.transport.binding import Binding
from budget_proxy.transport.exchange import Relay, Send
from budget_proxy.transport.guard import fail_open
from budget_proxy.transport.steps import wait
from budget_proxy.transport.trip import Trip, is_coded, is_ours, passed_through

_off_the_loop = partial(to_thread.run_sync, abandon_on_cancel=True)


class AsyncBudgetTransport:
    """Sends a client's calls through its engine, everything else as it is."""

    def __init__(self, inner: Any, binding: Binding) -> None:
        self._inner = inner
        self._binding = binding

    async def handle_async_request(self, request: Any) -> Any:
        """The response to a request. Raises what the inner transport raises."""
        if not is_ours(request):
            return await self._inner.handle_async_request(passed_through(request))
        await request.aread()
        async with Trip(self._binding, request) as trip:
            for step in trip:
                if isinstance(step, Send):
                    await self._send(trip, step)
                elif isinstance(step, Question):
                    with fail_open(self._binding.engine, "lookup"):
                        trip.found(await _off_the_loop(self._binding.engine.answer, step))
                else:
                    await _off_the_loop(wait, step.ticket)
            return trip.response(AsyncRelayStream)

    async def _send(self, trip: Trip, step: Send) -> None:
        with trip.failing():
            response = await self._inner.handle_async_request(trip.outgoing(step))
            if trip.reads(response):
                await response.aread()
            trip.sent(response)


class AsyncRelayStream:
    """A streamed answer on its way through a Relay."""

    base: ClassVar = "AsyncByteStream"

    def __init__(self, response: Any, relay: Relay) -> None:
        self._response = response
        self._relay = relay

    async def __aiter__(self) -> AsyncIterator[bytes]:
        coded = is_coded(self._response)
        inner = self._response.aiter_bytes() if coded else self._response.aiter_raw()
        with self._relay as relay:
            async with aclosing(inner) as chunks:
                async for chunk in chunks:
                    if passed := relay.feed(chunk):
                        yield passed
            if rest := relay.end():
                yield rest

    async def aclose(self) -> None:
        """Settle what was seen, and let the connection go."""
        self._relay.abort()
        await self._response.aclose()
