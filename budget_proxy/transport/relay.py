"""A streamed answer on its way from the provider to the client, whoever drives it."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from budget_proxy.assemble import Engine
from budget_proxy.transport.guard import fail_open
from budget_proxy.transport.messages import Headers, Reply
from budget_proxy.types import Outcome
from budget_proxy.wire.base import Meter


class Account(Protocol):
    """What a stream is settled on."""

    engine: Engine

    def seconds(self) -> float | None:
        """Seconds since the request was sent; ``None`` if that measures nothing."""

    def settle(self, outcome: Outcome) -> None:
        """The stream has ended, with this outcome."""


class Relay:
    """A streamed answer on its way: bytes in, bytes out; settles once.

    That is when the provider says that it is over, before the client reads so: a client may
    then make its next call, while the connection is still being wound up.

    Used in a ``with`` around the reading of the provider's stream, it settles what ends that
    early: an Exception is the provider's, who broke off. What is none (a generator that is
    closed, a task that is cancelled, an interrupt) is the client's, who left.
    """

    def __init__(self, reply: Reply, headers: Headers, account: Account, meter: Meter) -> None:
        self.status = reply.status
        self.headers = headers
        self._account = account
        self._meter = meter
        self._guard = fail_open(account.engine, "relay")
        self._open = True

    def feed(self, chunk: bytes) -> bytes:
        """Bytes for the client, from bytes of the provider."""
        with self._guard:
            passed = self._meter.feed(chunk)
            if self._meter.done:
                self._settle(cancelled=False)
            return passed
        return chunk

    def end(self) -> bytes:
        """The provider's stream ended: the last bytes for the client."""
        try:
            with self._guard:
                return self._meter.close()
            return b""
        finally:
            self._settle(cancelled=False)

    def broke(self) -> None:
        """The provider broke off, which is an error. Safe to call after ``end``."""
        self._settle(cancelled=False)

    def abort(self) -> None:
        """The client left. Safe to call after ``end``."""
        self._settle(cancelled=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            self.broke()
        else:
            self.abort()

    def _settle(self, *, cancelled: bool) -> None:
        if not self._open:
            return
        self._open = False
        with fail_open(self._account.engine, "settle"):
            seconds = self._account.seconds()
            self._account.settle(self._meter.outcome(seconds=seconds, cancelled=cancelled))
