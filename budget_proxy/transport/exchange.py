"""One HTTP exchange, sans-IO: request in, what to send, reply or relay out.

``exchange`` is a generator driven alike by the sync transport, the async transport and the
proxy. It yields

* a ``Question``: ask ``engine.answer`` (blocking; off the event loop);
* ``Send``: send this body and these headers upstream, answer with a ``Reply`` (its content
  read and decoded, or ``None`` for an event stream of status 200), with ``Failed``, or with
  ``Unsent``, which ends the exchange;
* ``Wait``: wait until the ticket is done, so that what a session was given is on disk before
  its first answer returns;

and returns the ``Reply`` to hand to the client, a ``Relay`` to pass the stream through, or
``Failed`` (``Unsent``), upon which the driver raises what it caught (does as it would without
us). A driver that gives up closes the generator or aborts the relay: the open attempt settles
as cancelled. The retrieval of an answer that was made in the background takes the same steps,
without a plan (``transport/retrieval.py``).
"""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from typing import Any, Final

from budget_proxy.assemble import Engine
from budget_proxy.classify.descriptor import parse as parse_descriptor
from budget_proxy.engine import UNSENT, Answer, Question, Step
from budget_proxy.errors import InvalidInput
from budget_proxy.ledger.admission import Waiting
from budget_proxy.ledger.refusal import Refusal, Refused
from budget_proxy.ledger.runs import Extending
from budget_proxy.scope import (
    BODY_KEY,
    HEADER_PREFIX,
    CallReport,
    merge,
    parse,
    parse_headers,
    strip_headers,
)
from budget_proxy.transport.coding import MAX_BODY, TooLarge, unpacked, without_coding
from budget_proxy.transport.guard import fail_open
from budget_proxy.transport.messages import (
    Failed,
    Headers,
    Reply,
    Request,
    Send,
    Unsent,
    Wait,
)
from budget_proxy.transport.payload import decoded, encoded
from budget_proxy.transport.relay import Relay
from budget_proxy.transport.retrieval import retrieve
from budget_proxy.transport.told import our_headers
from budget_proxy.types import (
    Body,
    Call,
    CallRecord,
    Outcome,
    Override,
    Plan,
    Scope,
)
from budget_proxy.wire import REFUSED, dialect_for
from budget_proxy.wire.base import Context, Dialect
from budget_proxy.wire.own import strip
from budget_proxy.wire.provider import NO_RETRY, is_retry, is_signed
from budget_proxy.wire.retrieval import retrieval_of

__all__ = [
    "Failed",
    "Headers",
    "Relay",
    "Reply",
    "Request",
    "Send",
    "Unsent",
    "Wait",
    "concerns",
    "exchange",
]

_OK: Final = 200
_BAD_REQUEST: Final = 400
_NAMING: Final = frozenset({400, 422})
"""Statuses that name what is wrong with a body; the second is FastAPI's, and so of many hosts."""
_TOO_LARGE: Final = 413
_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_UNCHECKED: Final = "this call could not be held against the limits in force, so it is not made"
_UNREAD: Final = (
    f"{_UNCHECKED}: its body is no JSON object that can be read here; send one, plain or "
    f"compressed by gzip or deflate, of {MAX_BODY // 2**20} MiB at most"
)


Result = Reply | Relay | Failed | Unsent
Exchange = Generator[Question | Send | Wait, Any, Result]


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

    def settle(self, outcome: Outcome) -> None:
        """Take the outcome of a stream, after which nothing is sent."""
        self.advance(outcome)
        self.close()

    def close(self) -> None:
        """Give up: an open attempt settles as cancelled."""
        with fail_open(self.engine, "settle"):
            self._run.close()

    def _report(self, plan: Plan, record: CallRecord) -> None:
        if self._calls is not None:
            self._calls.append(CallReport(plan, record, self.engine.priced))


def exchange(engine: Engine, request: Request) -> Exchange:
    """Drive one request to its answer (see the module's text)."""
    headers = strip_headers(request.headers)
    dialect = dialect_for(request.method, request.path)
    if dialect is None:
        return (yield from _no_call(engine, request, headers))
    as_it_came = Send(request.content, headers)
    body: Body | None = None
    try:
        body = _json_object(unpacked(request.content, headers, request.limit or MAX_BODY))
        stripped, own = strip(body or {})
        send = as_it_came if len(stripped) == len(body or {}) else _written(stripped, headers)
    except TooLarge as error:
        if request.limit is not None:
            return _refusal(dialect, _TOO_LARGE, str(error), "request_too_large")
    except RecursionError:  # it is nested deeper than it can be written again
        body = None
    if body is None:
        return (yield from _unread(engine, dialect, as_it_came))
    signed = is_signed(headers)
    try:
        told = len(headers) < len(request.headers)
        scope, override = _asked(request, own, told=told, signed=signed)
    except InvalidInput as error:
        return _refusal(dialect, _BAD_REQUEST, str(error), "invalid_budget")
    if override.extend is not None and not is_retry(headers):  # it was granted the first time
        granted = yield Extending(scope.run, override.extend)
        if isinstance(granted, InvalidInput):
            return _refusal(dialect, _BAD_REQUEST, str(granted), "invalid_budget")
    return (yield from _called(engine, dialect, request, stripped, send, scope, override))


def _unread(
    engine: Engine, dialect: Dialect, send: Send
) -> Generator[Send, Any, Reply | Failed | Unsent]:
    """Pass on what is no call to us: the provider answers for it, unless limits are in force."""
    if engine.limited:
        return _refusal(dialect, _BAD_REQUEST, _UNREAD, "limits_unchecked")
    reply: Reply | Failed | Unsent = yield replace(send, metered=False)
    return reply


def _called(
    engine: Engine,
    dialect: Dialect,
    request: Request,
    body: Body,
    send: Send,
    scope: Scope,
    override: Override,
) -> Exchange:
    """Plan a call and make it; as it came, where planning fails and no limit forbids that."""
    attempt: _Attempt | None = None
    step: Plan | Refused | None = None
    try:
        with fail_open(engine, "plan"):
            signed = is_signed(send.headers)
            context = _context(engine, request, scope, override, signed=signed)
            call = dialect.read(body, context)
            attempt = _Attempt(engine, call, body, request)
            step = yield from _planned(attempt, None)
    finally:  # also where the driver gives up: it may stand in line before others
        if attempt is not None and not isinstance(step, Plan):
            attempt.close()
    if isinstance(step, Refused):
        return _refused(dialect, step)
    if attempt is not None and step is not None:
        return (yield from _attempts(dialect, attempt, step, send))
    if engine.limited:
        return _refusal(dialect, _UNAVAILABLE, _UNCHECKED, "limits_unchecked")
    reply: Reply | Failed | Unsent = yield replace(send, metered=False)
    return reply


def concerns(method: str, path: str) -> bool:
    """Whether a request is to go through ``exchange``. All others may pass unread."""
    return dialect_for(method, path) is not None or retrieval_of(method, path) is not None


def _no_call(
    engine: Engine, request: Request, headers: Headers
) -> Generator[Send, Any, Reply | Relay | Failed]:
    wanted = retrieval_of(request.method, request.path)
    if wanted is not None:
        return (yield from retrieve(engine, wanted, request, headers))
    reply: Reply | Failed = yield Send(request.content, headers, metered=False)
    return reply


def _planned(
    attempt: _Attempt, answer: Answer
) -> Generator[Question | Wait, Any, Plan | Refused | None]:
    """Push the engine on to its next Plan or Refusal; ``None`` when it has nothing more."""
    step = attempt.advance(answer)
    while step is not None:
        if isinstance(step, Plan | Refused):
            return step
        if isinstance(step, Waiting):
            yield Wait(step.ticket)
            step = attempt.advance(attempt.engine.now())
        else:
            found: Answer = yield step
            step = attempt.advance(found)
    return None


def _attempts(
    dialect: Dialect, attempt: _Attempt, plan: Plan, send: Send
) -> Generator[Question | Send | Wait, Any, Result]:
    relay: Relay | None = None
    following: Plan | None = plan
    try:
        while following is not None:
            plan = following
            sent = send
            with fail_open(attempt.engine, "encode"):
                sent = _written(plan.body, send.headers) if plan.added else send
            reply: Reply | Failed | Unsent = yield replace(sent, streamed=plan.call.stream)
            if isinstance(reply, Unsent):
                attempt.advance(UNSENT)
                return reply
            if isinstance(reply, Reply) and reply.content is None:
                yield from _durable(plan)
                meter = dialect.meter(drop_usage=plan.patch.include_usage)
                relay = Relay(
                    reply, [*reply.headers, *our_headers(attempt.engine, plan)], attempt, meter
                )
                return relay
            following = None
            with fail_open(attempt.engine, "settle"):
                outcome = _outcome(dialect, plan, reply, attempt.seconds())
                step = yield from _planned(attempt, outcome)
                following = step if isinstance(step, Plan) else None
        if not isinstance(reply, Reply):
            return reply
        yield from _durable(plan)
        return replace(reply, headers=[*reply.headers, *our_headers(attempt.engine, plan)])
    finally:
        if relay is None:
            attempt.close()


def _durable(plan: Plan) -> Generator[Wait, Any, None]:
    """What a session was given is on disk before its first answer returns."""
    if plan.pending is not None and not plan.pending.done():
        yield Wait(plan.pending)


def _written(body: Body, headers: Headers) -> Send:
    """A body of ours: plain, as every provider takes it, whatever coding the caller's came in."""
    return Send(encoded(body), without_coding(headers))


def _outcome(dialect: Dialect, plan: Plan, reply: Reply | Failed, seconds: float) -> Outcome:
    if isinstance(reply, Failed):
        return Outcome(finish_reason="error", exact=not reply.timeout, seconds=seconds, status=0)
    payload = decoded(reply.content or b"")
    if reply.status == _OK:
        return dialect.read_outcome(payload, seconds=seconds)
    rejected = None
    if reply.status in _NAMING and plan.added:
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


def _refusal(dialect: Dialect, status: int, message: str, code: str) -> Reply:
    status, body = dialect.error(status, message, code)
    headers = [("content-type", "application/json"), NO_RETRY]
    return Reply(status, headers, encoded(body))


def _refused(dialect: Dialect, refusal: Refused) -> Reply:
    """What a limit or an alarm refuses, in the provider's shape; clients are not to try again."""
    reply = _refusal(dialect, _TOO_MANY, refusal.message, REFUSED)
    after = refusal.retry_after
    if isinstance(refusal, Refusal):
        facts = [(f"{HEADER_PREFIX}limit", str(refusal.limit.id))]
    else:
        facts = [(f"{HEADER_PREFIX}run-alert", refusal.kind)]
    facts += [("retry-after", str(after))] if after is not None else []
    return replace(reply, headers=[*reply.headers, *facts])


def _json_object(content: bytes | None) -> Body | None:
    """The body, if it is a JSON object; the provider answers for all else."""
    value = decoded(content, exactly=True) if content is not None else None
    return value if isinstance(value, dict) else None
