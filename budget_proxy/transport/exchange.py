"""One HTTP exchange, sans-IO: request in, what to send, reply or relay out.

``exchange`` is a generator driven alike by the sync transport, the async transport and the
proxy. It yields

* ``Lookup``: ask ``engine.lookup`` for the session (blocking; off the event loop);
* ``Send``: send this body and these headers upstream, answer with a ``Reply`` (its content
  read and decoded, or ``None`` for an event stream of status 200) or with ``Failed``;
* ``Wait``: wait until the ticket is done, so that what a session was given is on disk before
  its first answer returns;

and returns the ``Reply`` to hand to the client, a ``Relay`` to pass the stream through, or
``Failed``, upon which the driver raises what it caught. A driver that gives up closes the
generator or aborts the relay: the open attempt settles as cancelled.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from budget_proxy.assemble import Engine
from budget_proxy.classify.descriptor import parse as parse_descriptor
from budget_proxy.engine import Answer, Step
from budget_proxy.errors import InvalidInput
from budget_proxy.scope import (
    BODY_KEY,
    HEADER_PREFIX,
    CallReport,
    merge,
    parse,
    parse_headers,
    strip_headers,
)
from budget_proxy.transport.guard import fail_open
from budget_proxy.transport.payload import decoded, encoded
from budget_proxy.types import (
    Body,
    Call,
    CallRecord,
    Lookup,
    Outcome,
    Override,
    Plan,
    Scope,
    Session,
    Ticket,
)
from budget_proxy.wire import dialect_for
from budget_proxy.wire.base import Context, Dialect, Meter
from budget_proxy.wire.own import strip
from budget_proxy.wire.provider import NO_RETRY, is_signed

Headers = Sequence[tuple[str, str]]
_OK: Final = 200
_BAD_REQUEST: Final = 400
_PRINTABLE: Final = range(0x20, 0x7F)


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request. ``scope`` and ``override`` are what goes without saying for it.

    Precedence: the body's ``budget`` key, then ``x-budget-*`` headers, then these.
    ``calls`` receives a report of each attempt.
    """

    method: str
    host: str
    path: str
    headers: Headers
    content: bytes
    timeout: float | None = None
    scope: Scope = Scope()
    override: Override = Override()
    calls: list[CallReport] | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Send this upstream: our headers are removed, length and host are the driver's."""

    content: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for this (about a second at most) before going on; its failure is the engine's."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class Reply:
    """An upstream answer; ``content`` is decoded, or ``None`` where the body streams."""

    status: int
    headers: Headers
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Failed:
    """The driver could not get an answer; ``timeout`` if it gave up waiting for one."""

    timeout: bool = False


class Relay:
    """A streamed answer on its way: bytes in, bytes out; settles once.

    That is when the provider says that it is over, before the client reads so: a client may
    then make its next call, while the connection is still being wound up.
    """

    def __init__(self, reply: Reply, headers: Headers, attempt: _Attempt, meter: Meter) -> None:
        self.status = reply.status
        self.headers = headers
        self._attempt = attempt
        self._meter = meter
        self._open = True

    def feed(self, chunk: bytes) -> bytes:
        """Bytes for the client, from bytes of the provider."""
        with fail_open(self._attempt.engine, "relay"):
            passed = self._meter.feed(chunk)
            if self._meter.done:
                self._settle(cancelled=False)
            return passed
        return chunk

    def end(self) -> bytes:
        """The provider's stream ended: the last bytes for the client."""
        try:
            with fail_open(self._attempt.engine, "relay"):
                return self._meter.close()
            return b""
        finally:
            self._settle(cancelled=False)

    def abort(self) -> None:
        """The client left, or the stream broke. Safe to call after ``end``."""
        self._settle(cancelled=True)

    def _settle(self, *, cancelled: bool) -> None:
        if not self._open:
            return
        self._open = False
        with fail_open(self._attempt.engine, "settle"):
            seconds = self._attempt.seconds()
            self._attempt.advance(self._meter.outcome(seconds=seconds, cancelled=cancelled))
            self._attempt.close()


class _Attempt:
    """The engine's generator for one call, and the clock of the attempt under way."""

    def __init__(self, engine: Engine, call: Call, body: Body, request: Request) -> None:
        self.engine = engine
        self._run = engine.run(call, body, self._report if request.calls is not None else None)
        self._calls = request.calls
        self._sent = time.monotonic()

    def advance(self, answer: Answer) -> Step | None:
        """Push the engine on; ``None`` when it has nothing more to send."""
        try:
            step = self._run.send(answer)
        except StopIteration:
            return None
        self._sent = time.monotonic()
        return step

    def seconds(self) -> float:
        """Seconds since this attempt was planned."""
        return time.monotonic() - self._sent

    def close(self) -> None:
        """Give up: an open attempt settles as cancelled."""
        with fail_open(self.engine, "settle"):
            self._run.close()

    def _report(self, plan: Plan, record: CallRecord) -> None:
        if self._calls is not None:
            self._calls.append(CallReport(plan, record, self.engine.priced))


def exchange(
    engine: Engine, request: Request
) -> Generator[Lookup | Send | Wait, Any, Reply | Relay | Failed]:
    """Drive one request to its answer (see the module's text)."""
    headers = strip_headers(request.headers)
    dialect = dialect_for(request.method, request.path)
    body = _json_object(request.content) if dialect is not None else None
    if dialect is None or body is None:
        reply: Reply | Failed = yield Send(request.content, headers)
        return reply
    stripped, own = strip(body)
    content = request.content if len(stripped) == len(body) else encoded(stripped)
    signed = is_signed(headers)
    try:
        told = len(headers) < len(request.headers)
        scope, override = _asked(request, own, told=told, signed=signed)
    except InvalidInput as error:
        return _refusal(dialect, str(error))
    attempt: _Attempt | None = None
    step: Step | None = None
    with fail_open(engine, "plan"):
        context = _context(engine, request, scope, override, signed=signed)
        call = dialect.read(stripped, context)
        attempt = _Attempt(engine, call, stripped, request)
        step = attempt.advance(None)
        if isinstance(step, Lookup):
            found: Session | None = yield step
            step = attempt.advance(found)
    if attempt is None or not isinstance(step, Plan):
        reply = yield Send(content, headers)
        return reply
    return (yield from _attempts(dialect, attempt, step, content, headers))


def _attempts(
    dialect: Dialect, attempt: _Attempt, plan: Plan, content: bytes, headers: Headers
) -> Generator[Send | Wait, Any, Reply | Relay | Failed]:
    relay: Relay | None = None
    following: Plan | None = plan
    try:
        while following is not None:
            plan = following
            sent = content
            with fail_open(attempt.engine, "encode"):
                sent = _encoded(plan, content)
            reply: Reply | Failed = yield Send(sent, headers)
            if isinstance(reply, Reply) and reply.content is None:
                yield from _durable(plan)
                meter = dialect.meter(drop_usage=plan.patch.include_usage)
                relay = Relay(reply, [*reply.headers, *_our_headers(plan)], attempt, meter)
                return relay
            following = None
            with fail_open(attempt.engine, "settle"):
                step = attempt.advance(_outcome(dialect, plan, reply, attempt.seconds()))
                following = step if isinstance(step, Plan) else None
        if isinstance(reply, Failed):
            return reply
        yield from _durable(plan)
        return replace(reply, headers=[*reply.headers, *_our_headers(plan)])
    finally:
        if relay is None:
            attempt.close()


def _durable(plan: Plan) -> Generator[Wait, Any, None]:
    """What a session was given is on disk before its first answer returns."""
    if plan.pending is not None and not plan.pending.done():
        yield Wait(plan.pending)


def _encoded(plan: Plan, content: bytes) -> bytes:
    """The caller's own bytes where we changed nothing."""
    return encoded(plan.body) if plan.added else content


def _outcome(dialect: Dialect, plan: Plan, reply: Reply | Failed, seconds: float) -> Outcome:
    if isinstance(reply, Failed):
        return Outcome(finish_reason="error", exact=not reply.timeout, seconds=seconds, status=0)
    payload = decoded(reply.content or b"")
    if reply.status == _OK:
        return dialect.read_outcome(payload, seconds=seconds)
    rejected = None
    if reply.status == _BAD_REQUEST and plan.added:
        rejected = dialect.rejected(payload, plan.added)
    return Outcome(finish_reason="error", seconds=seconds, status=reply.status, rejected=rejected)


def _asked(request: Request, own: Any, *, told: bool, signed: bool) -> tuple[Scope, Override]:
    """What was asked of this call: body before headers before what goes without saying.

    ``told`` says that there are headers of ours.
    """
    if signed and (told or own is not None):
        raise InvalidInput(
            "this request is signed, so that nothing can be taken out of it: use "
            f"`with budget(...)` in place of a {BODY_KEY!r} key or {HEADER_PREFIX}* headers"
        )
    scope, override = request.scope, request.override
    if told:
        said_scope, said_override = parse_headers(request.headers)
        scope, override = merge(said_scope, scope), merge(said_override, override)
    if own is not None:
        own_scope, own_override = parse(own)
        scope, override = merge(own_scope, scope), merge(own_override, override)
    if override.descriptor is not None:
        parse_descriptor(override.descriptor)
    return scope, override


def _context(
    engine: Engine, request: Request, scope: Scope, override: Override, *, signed: bool
) -> Context:
    return Context(
        call_id=engine.new_id(),
        now=engine.now(),
        host=request.host,
        scope=scope,
        override=override,
        timeout=request.timeout,
        path=request.path,
        signed=signed,
    )


def _refusal(dialect: Dialect, message: str) -> Reply:
    status, body = dialect.error(_BAD_REQUEST, message, "invalid_budget")
    headers = [("content-type", "application/json"), NO_RETRY]
    return Reply(status, headers, encoded(body))


def _our_headers(plan: Plan) -> list[tuple[str, str]]:
    """What was decided, for the client (design decision 17)."""
    given = plan.allocation
    facts: dict[str, object] = {
        "call-id": plan.call.id,
        "mode": given.mode,
        "arm": given.arm,
        "target": given.target,
        "recommended": given.recommended,
        "reserve": given.reserve,
        "cap": given.cap,
        "attempt": plan.attempt,
        "strategy": plan.forecast.strategy,
        "reason": given.reason,
    }
    return [
        (HEADER_PREFIX + name, _header_safe(str(value)))
        for name, value in facts.items()
        if value is not None
    ]


def _header_safe(text: str) -> str:
    """Agent names may hold anything; a header may not."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if ord(c) in _PRINTABLE else "?" for c in text)


def _json_object(content: bytes) -> Body | None:
    """The body, if it is a JSON object; the provider answers for all else."""
    value = decoded(content, exactly=True)
    return value if isinstance(value, dict) else None
