"""One request's way through the proxy: calls by the exchange, all else as it is.

A caller that leaves a stream which has begun ends it upstream at once; the row settles as
estimated. Before an answer has begun nobody can stop it: a plain one is then read to its end and
settled exactly, a stream is cut as soon as it begins, and settled as estimated.
"""

from __future__ import annotations

import logging
from typing import Final

from budget_proxy.assemble import Engine
from budget_proxy.proxy import errors
from budget_proxy.proxy.caller import Caller
from budget_proxy.proxy.drive import drive
from budget_proxy.proxy.headers import Headers, first, streamed
from budget_proxy.proxy.litellm import LiteLLMUpstream
from budget_proxy.proxy.litellm_answer import LiteLLMAnswer
from budget_proxy.proxy.permission import Forbidden, is_scoped, permitted
from budget_proxy.proxy.target import NoKey, Target
from budget_proxy.proxy.upstream import Answer, Content, Upstream, UpstreamError
from budget_proxy.scope import strip_headers
from budget_proxy.transport.coding import MAX_BODY, TooLarge, unpacked, without_coding
from budget_proxy.transport.exchange import Failed, Relay, Reply, Request, Send, concerns
from budget_proxy.types import Scope
from budget_proxy.wire.provider import timeout_of

_READ_AT_ONCE: Final = 1024 * 1024
_log = logging.getLogger("budget_proxy")


async def forward(
    engine: Engine,
    upstream: Upstream,
    target: Target,
    caller: Caller,
    elsewhere: LiteLLMUpstream | None = None,
) -> None:
    """Send a request where it belongs and relay the answer, or say why not. Raises CallerLeft."""
    try:
        if concerns(caller.method, caller.path):
            await forward_call(engine, upstream, target, caller, elsewhere)
        else:
            await pass_through(upstream, target, caller)
    except TooLarge as error:
        await errors.refuse(caller, target, 413, str(error), "request_too_large")
    except Forbidden as error:
        await errors.refuse(caller, target, 403, str(error), "model_not_allowed")
    except NoKey as error:
        await errors.refuse(caller, target, 503, str(error), "provider_key_missing")


async def forward_call(
    engine: Engine,
    upstream: Upstream | LiteLLMUpstream,
    target: Target,
    caller: Caller,
    elsewhere: LiteLLMUpstream | None = None,
) -> None:
    """Take a request through the exchange, and relay the answer.

    ``elsewhere`` takes it instead, if it is for one of its models. Raises CallerLeft, TooLarge,
    Forbidden and NoKey.
    """
    content, headers = await _read(caller)
    plain = None if elsewhere is None else unpacked(content, headers, MAX_BODY)
    if elsewhere is not None and plain is not None and (found := elsewhere.route(plain)):
        upstream, (target, content), headers = elsewhere, found, without_coding(headers)
    if caller.key is not None:
        target.check_key()
    request = Request(
        method=caller.method,
        host=target.host,
        path=caller.path,
        headers=headers,
        content=content,
        timeout=timeout_of(caller.headers),
        scope=Scope(key=None if caller.key is None else caller.key.id),
        limit=MAX_BODY,
    )
    sending = _Sending(upstream, target, caller)
    try:
        result = await drive(engine, request, sending.send)
        if isinstance(result, Failed) and sending.error is not None:
            await errors.unreachable(caller, target, sending.error)
        elif isinstance(result, Relay) and sending.answer is not None:
            await caller.while_here(_relay(result, sending.answer, caller))
        elif isinstance(result, Reply):
            await _reply(result, sending.answer, caller)
    finally:
        await sending.close()


async def pass_through(upstream: Upstream, target: Target, caller: Caller) -> None:
    """Send a request that is no completion call as it is, its body and the answer's streamed.

    Raises CallerLeft, TooLarge, Forbidden and NoKey.
    """
    if caller.key is not None:
        target.check_key()
    length = caller.length
    headers: Headers = caller.headers
    content: Content
    if is_scoped(caller.key, caller.method, caller.path):
        content, headers = await _read(caller)
    elif length is not None and length <= _READ_AT_ONCE:
        content = await caller.read(_READ_AT_ONCE)
    else:
        content = caller.stream()
    headers = target.headers(caller.path, strip_headers(headers))
    url = target.url(caller.raw_path, caller.query)
    try:
        answer = await upstream.forward(caller.method, url, headers, content, length)
    except UpstreamError as error:
        await errors.unreachable(caller, target, error)
        return
    try:
        await caller.while_here(_verbatim(answer.status, answer.headers, answer, caller))
    finally:
        await answer.close()


async def _read(caller: Caller) -> tuple[bytes, Headers]:
    """The whole body, and the headers that go with it. Raises TooLarge and Forbidden."""
    content = await caller.read(MAX_BODY)
    if caller.key is not None and is_scoped(caller.key, caller.method, caller.path):
        return permitted(caller.key, caller.path, caller.headers, content)
    return content, caller.headers


class _Sending:
    """What is sent for one call: attempt after attempt, of which the last answer stays open."""

    def __init__(
        self, upstream: Upstream | LiteLLMUpstream, target: Target, caller: Caller
    ) -> None:
        self.answer: Answer | LiteLLMAnswer | None = None
        self.error: UpstreamError | None = None
        self._upstream = upstream
        self._target = target
        self._caller = caller

    async def send(self, step: Send) -> Reply | Failed:
        if self.answer is not None:
            await self.answer.close()
            if await self._caller.has_left():
                return Failed()
        target, caller = self._target, self._caller
        url = target.url(caller.raw_path, caller.query)
        headers = target.headers(caller.path, step.headers)
        try:
            self.answer = await self._upstream.ask(caller.method, url, headers, step.content)
            kind = first(self.answer.headers, "content-type")
            relayed = step.is_relayed(self.answer.status, kind)
            content = None if relayed else await self.answer.read()
        except UpstreamError as error:
            self.error = error
            return Failed(timeout=error.timeout and not error.connecting)
        return Reply(self.answer.status, self.answer.headers, content)

    async def close(self) -> None:
        if self.answer is not None:
            await self.answer.close()


async def _reply(reply: Reply, answer: Answer | LiteLLMAnswer | None, caller: Caller) -> None:
    """A plain answer, or a stream that nothing was planned for."""
    if reply.content is not None:
        await caller.answer(reply.status, reply.headers, reply.content)
    elif answer is not None:
        headers = streamed(reply.headers)
        await caller.while_here(_verbatim(reply.status, headers, answer, caller))


async def _relay(relay: Relay, answer: Answer | LiteLLMAnswer, caller: Caller) -> None:
    try:
        await caller.start(relay.status, streamed(relay.headers))
        async for chunk in answer.chunks():
            if passed := relay.feed(chunk):
                await caller.write(passed)
        await caller.end(relay.end())
    except UpstreamError as error:
        relay.broke()
        _log.warning("the upstream broke off a stream: %s", error)
    finally:
        relay.abort()


async def _verbatim(
    status: int, headers: Headers, answer: Answer | LiteLLMAnswer, caller: Caller
) -> None:
    await caller.start(status, headers)
    try:
        async for chunk in answer.chunks():
            await caller.write(chunk)
    except UpstreamError as error:
        _log.warning("the upstream broke off an answer: %s", error)
        return
    await caller.end()
