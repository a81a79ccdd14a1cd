"""Asking after an answer that is made in the background: nothing is planned, usage is read."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final

from budget_proxy.assemble import Engine
from budget_proxy.transport.guard import fail_open
from budget_proxy.transport.messages import Failed, Headers, Reply, Request, Send
from budget_proxy.transport.payload import decoded
from budget_proxy.transport.relay import Relay
from budget_proxy.types import Outcome
from budget_proxy.wire.retrieval import Retrieval

_OK: Final = 200


def retrieve(
    engine: Engine, wanted: Retrieval, request: Request, headers: Headers
) -> Generator[Send, Any, Reply | Relay | Failed]:
    """The exchange of a retrieval: every byte passes, and a finished answer settles its call."""
    reply: Reply | Failed = yield Send(request.content, headers)
    if isinstance(reply, Failed) or reply.status != _OK:
        return reply
    account = _Late(engine, wanted)
    if reply.content is None:
        return Relay(reply, reply.headers, account, wanted.dialect.meter(drop_usage=False))
    with fail_open(engine, "settle"):
        account.settle(wanted.dialect.read_outcome(decoded(reply.content)))
    return reply


class _Late:
    """The account of a call that was made earlier, maybe by another process."""

    def __init__(self, engine: Engine, wanted: Retrieval) -> None:
        self.engine = engine
        self._response = wanted.response

    def seconds(self) -> None:
        """Not known: the answer may have ended long before somebody asked."""

    def settle(self, outcome: Outcome) -> None:
        """Hand over what ended; a stream that broke off before its last event told nothing."""
        if outcome.response_id == self._response and not outcome.pending:
            self.engine.settle_late(self._response, outcome)
