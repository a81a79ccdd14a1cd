"""``/v1/budget``: questions over HTTP, answered in threads of their own.

Whatever blocks (the history, sums, forecasts) runs there and never on the event loop, so that
calls under way go on; the threads are few and none of theirs, and so is the queue before them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Any, Final

import orjson

from budget_proxy.analytics.encoding import encoded
from budget_proxy.assemble import Engine
from budget_proxy.errors import InvalidInput, StoreError
from budget_proxy.proxy.admin.endpoint import Endpoint
from budget_proxy.proxy.admin.openapi import PREFIX, document
from budget_proxy.proxy.admin.question import Question
from budget_proxy.proxy.admin.refusal import FORBIDDEN, NOT_FOUND, Refusal
from budget_proxy.proxy.admin.registry import ENDPOINTS
from budget_proxy.proxy.caller import Caller
from budget_proxy.proxy.headers import Headers, first, whole
from budget_proxy.store.keys import Role, VirtualKey
from budget_proxy.transport.coding import TooLarge

_THREADS: Final = 2
_WAITING: Final = 32
_MOST_BODY: Final = 1024 * 1024
_FLUSHED: Final = 1.0
"""Seconds in which calls that have just ended get into the history; then without them."""
_HEADERS: Final = (
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
)
_OURS: Final = frozenset({"same-origin", "none"})


class Site:
    """The endpoints on one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="budget-proxy-admin")
        self._waiting = 0

    def close(self) -> None:
        """Wait for what is under way, and answer nothing more."""
        self._pool.shutdown(cancel_futures=True)

    async def answer(self, caller: Caller) -> None:
        """Answer one request. Raises CallerLeft."""
        try:
            content = await self._content(caller)
        except Refusal as refusal:
            await self.refuse(caller, refusal)
        else:
            await _send(caller, 200, _HEADERS, content)

    async def refuse(self, caller: Caller, refusal: Refusal) -> None:
        """Say why one is not answered."""
        headers = (*_HEADERS, *refusal.headers)
        await _send(caller, refusal.status, headers, encoded(refusal.body))

    async def _content(self, caller: Caller) -> bytes:
        path = caller.raw_path.removeprefix(PREFIX)
        if path == "/openapi.json":
            _check_method(caller.method, ["GET"])
            return await self._in_thread(lambda: self._described)
        found = [(one, given) for one in ENDPOINTS if (given := one.match(path)) is not None]
        if not found:
            known = ", ".join(PREFIX + one.path for one in ENDPOINTS)
            message = f"there is nothing at {caller.path[:200]!r}; there are {known}"
            raise Refusal(404, message, type_=NOT_FOUND)
        method = _check_method(caller.method, [one.method for one, _ in found])
        endpoint, given = next(item for item in found if item[0].method == method)
        _check_role(caller.key, endpoint.needs)
        body = await _body(caller) if endpoint.method == "POST" else None
        asker = None if caller.key is None else caller.key.id
        asked = endpoint.ask(given, caller.query, body, asker)
        return await self._in_thread(partial(self._respond, endpoint, asked))

    async def _in_thread(self, work: Callable[[], bytes]) -> bytes:
        if self._waiting >= _WAITING:
            raise Refusal(
                503, f"{_WAITING} questions to the history wait already: ask again later",
                type_="overloaded_error", headers=[("retry-after", "1")],
            )  # fmt: skip
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def _respond(self, endpoint: Endpoint, asked: Question) -> bytes:
        self._engine.flush(_FLUSHED)
        try:
            return encoded(endpoint.respond(self._engine, asked))
        except InvalidInput as error:
            raise Refusal(400, str(error)) from None
        except StoreError as error:
            raise Refusal(503, str(error), type_="history_error") from None

    @cached_property
    def _described(self) -> bytes:
        return encoded(document(ENDPOINTS))


async def _send(caller: Caller, status: int, headers: Headers, content: bytes) -> None:
    await caller.start(status, whole(headers, len(content)))
    await caller.end(b"" if caller.method == "HEAD" else content)


def _check_role(key: VirtualKey | None, needed: Role) -> None:
    """Raise Refusal where the key that was sent does not do; without keys everybody here may."""
    if key is not None and not key.may(needed):
        raise Refusal(
            403, f"this needs a key with the role {needed}; the role of {key.id} is {key.role}",
            type_=FORBIDDEN,
        )  # fmt: skip


def _check_method(method: str, known: list[str]) -> str:
    """The method that is meant. Raises Refusal where it is none of the known ones."""
    allowed = sorted({*known, "HEAD"} if "GET" in known else set(known))
    if method not in allowed:
        raise Refusal(
            405, f"{method[:20]} is not for this path, but {' and '.join(allowed)}",
            type_="method_not_allowed", headers=[("allow", ", ".join(allowed))],
        )  # fmt: skip
    return "GET" if method == "HEAD" else method


async def _body(caller: Caller) -> Any:
    """What a request brings along as JSON. Raises Refusal.

    Web pages cannot send JSON to another site without asking before (which gets no leave);
    those that the browser says are of another site are refused besides. What hosts were allowed
    has been checked (proxy/hosts.py).
    """
    site = first(caller.headers, "sec-fetch-site")
    if site is not None and site not in _OURS and first(caller.headers, "origin") is None:
        raise Refusal(403, "web pages of other sites may not ask this", type_=FORBIDDEN)
    kind = (first(caller.headers, "content-type") or "").partition(";")[0].strip().lower()
    if kind != "application/json" or first(caller.headers, "content-encoding") is not None:
        raise Refusal(415, "send JSON that is not compressed, with content-type: application/json")
    try:
        return orjson.loads(await caller.read(_MOST_BODY))
    except TooLarge as error:
        raise Refusal(413, str(error), type_="request_too_large") from None
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"the body is no valid JSON: {error}") from None
