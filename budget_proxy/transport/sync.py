"""The sync driver: an HTTP transport around a client's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from budget_proxy.engine import Question
from budget_proxy.transport.binding import Binding
from budget_proxy.transport.exchange import Relay, Send
from budget_proxy.transport.guard import fail_open
from budget_proxy.transport.steps import wait
from budget_proxy.transport.trip import Trip, is_coded, is_ours, passed_through


class BudgetTransport:
    """Sends a client's calls through its engine, everything else as it is."""

    def __init__(self, inner: Any, binding: Binding) -> None:
        self._inner = inner
        self._binding = binding

    def handle_request(self, request: Any) -> Any:
        """The response to a request. Raises what the inner transport raises."""
        if not is_ours(request):
            return self._inner.handle_request(passed_through(request))
        request.read()
        with Trip(self._binding, request) as trip:
            for step in trip:
                if isinstance(step, Send):
                    self._send(trip, step)
                elif isinstance(step, Question):
                    with fail_open(self._binding.engine, "lookup"):
                        trip.found(self._binding.engine.answer(step))
                else:
                    wait(step.ticket)
            return trip.response(RelayStream)

    def _send(self, trip: Trip, step: Send) -> None:
        with trip.failing():
            response = self._inner.handle_request(trip.outgoing(step))
            if trip.reads(response):
                response.read()
            trip.sent(response)


class RelayStream:
    """A streamed answer on its way through a Relay."""

    base: ClassVar = "SyncByteStream"

    def __init__(self, response: Any, relay: Relay) -> None:
        self._response = response
        self._relay = relay

    def __iter__(self) -> Iterator[bytes]:
        coded = is_coded(self._response)
        with self._relay as relay:
            for chunk in self._response.iter_bytes() if coded else self._response.iter_raw():
                if passed := relay.feed(chunk):
                    yield passed
            if rest := relay.end():
                yield rest

    def close(self) -> None:
        """Settle what was seen, and let the connection go."""
        self._relay.abort()
        self._response.close()
