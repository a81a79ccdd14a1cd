"""The proxy as an ASGI app: who may call, what goes where, and how it begins and ends.

``/v1/…`` and Azure's ``/openai/…`` go to the providers, ``/healthz`` and ``/v1/budget/…`` are
ours, all else is not found. Beyond one process nothing is shared but the history.
"""

from __future__ import annotations

import asyncio
import gc
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import orjson
from starlette.types import Receive, Scope, Send

from budget_proxy.analytics.watcher import Watcher
from budget_proxy.analytics.webhook import webhook_of
from budget_proxy.assemble import Engine
from budget_proxy.proxy import errors
from budget_proxy.proxy.admin.openapi import PREFIX
from budget_proxy.proxy.admin.refusal import unauthorised
from budget_proxy.proxy.admin.site import Site
from budget_proxy.proxy.caller import Caller, CallerLeft
from budget_proxy.proxy.forward import forward
from budget_proxy.proxy.headers import first
from budget_proxy.proxy.health import health
from budget_proxy.proxy.hosts import Guard, is_loopback
from budget_proxy.proxy.keyring import Keyring, Unauthorised
from budget_proxy.proxy.litellm import API as LITELLM_API
from budget_proxy.proxy.litellm import LiteLLMUpstream
from budget_proxy.proxy.target import Target, Targets
from budget_proxy.proxy.upstream import Upstream
from budget_proxy.settings import data_directory
from budget_proxy.wire import dialect_for
from budget_proxy.wire.base import Dialect
from budget_proxy.wire.path import is_realtime

if TYPE_CHECKING:
    from budget_proxy.analytics.daily import DailyReports

_PROVIDERS: Final = ("/v1/", "/openai/")
_OURS: Final = PREFIX + "/"
_SELDOM: Final = 50_000
"""Objects more than were let go of, after which the garbage collector looks at the new ones."""
_REWRITTEN: Final = re.compile(r"\\|/\.{1,2}(/|$)")
"""What a URL's reader would make another path of, on which nobody here has decided."""
_NO_SOCKETS: Final = "budget-proxy does not relay WebSockets: use the HTTP API"
_NO_REALTIME: Final = (
    "budget-proxy does not relay the realtime and live APIs (WebSocket, WebRTC, SIP), since it "
    "cannot see their tokens: use Responses or chat completions, or call the provider directly"
)


def create_app(engine: Engine) -> App:
    """The proxy on an engine that is the caller's to close. Raises ConfigError."""
    return App(engine)


def take_turns() -> None:
    """Have this process's threads take turns fifty times as often as Python does by itself.

    The thread that writes the history asks for its turn again with every statement. Where the
    event loop never rests that took a third of a second, in which a kill would lose answers.
    """
    sys.setswitchinterval(0.0001)


def from_settings() -> App:
    """The proxy on an engine of its own, as the settings say: what a server's worker runs."""
    take_turns()
    return App(Engine.open(), owns_engine=True, owns_process=True)


class App:
    """An ASGI application."""

    def __init__(
        self, engine: Engine, *, owns_engine: bool = False, owns_process: bool = False
    ) -> None:
        self.engine = engine
        self._owns_engine = owns_engine
        self._owns_process = owns_process
        self._guard = Guard.of(engine.settings.allowed_hosts)
        self._targets = Targets(engine.settings)
        self._upstreams = {
            target.provider: Upstream(direct=is_loopback(target.base.hostname or ""))
            for target in (self._targets.openai, self._targets.anthropic)
        }
        self._keyring = Keyring(engine.store, now=engine.now, on_fault=engine.fault)
        self._site = Site(engine)
        models = engine.settings.litellm_models
        self._litellm = LiteLLMUpstream(models) if models else None
        self._daily = daily_reports_of(engine)
        self._watcher = watcher_of(engine)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, WebSocket or life of the server."""
        if scope["type"] == "http":
            with suppress(CallerLeft):
                await self._request(Caller(scope, receive, send))
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await _refuse_socket(scope, receive, send)

    async def _request(self, caller: Caller) -> None:
        dialect = dialect_for(caller.method, caller.path)
        target = self._targets.of(dialect, caller.path, caller.headers)
        refusal = self._guard.refusal(caller.headers, caller.address)
        if refusal is not None:
            await errors.refuse(caller, target, 403, refusal, "host_not_allowed")
        elif caller.path == "/healthz":
            await self._health(caller)
        elif await self._lets_in(caller, target):
            await self._serve(caller, target, dialect)

    async def _lets_in(self, caller: Caller, target: Target) -> bool:
        """Whether a request may go on; one that may not is answered here."""
        try:
            caller.let_in(await self._keyring.admit(caller.headers, caller.address))
        except Unauthorised as error:
            if _is_ours(caller.path):
                await self._site.refuse(caller, unauthorised(str(error)))
            else:
                await errors.refuse(caller, target, 401, str(error), "invalid_api_key")
            return False
        return True

    async def _serve(self, caller: Caller, target: Target, dialect: Dialect | None) -> None:
        if _is_ours(caller.path):
            await self._site.answer(caller)
        elif not caller.path.startswith(_PROVIDERS) or _REWRITTEN.search(caller.path):
            await errors.not_found(caller)
        elif is_realtime(caller.path):
            await errors.refuse(caller, target, 501, _NO_REALTIME, "realtime_not_supported")
        elif (first(caller.headers, "upgrade") or "").lower() == "websocket":
            await errors.refuse(caller, target, 501, _NO_SOCKETS, "websocket_not_supported")
        else:
            upstream = self._upstreams[target.provider]
            completes = dialect is not None and dialect.api == LITELLM_API
            elsewhere = self._litellm if completes else None
            await forward(self.engine, upstream, target, caller, elsewhere)

    async def _health(self, caller: Caller) -> None:
        content = orjson.dumps(health(self.engine, private=self._keyring.required))
        await caller.answer(200, [("content-type", "application/json")], content)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if self._litellm is not None:
            await asyncio.to_thread(self._litellm.load)
        if self._daily is not None:
            self._daily.start()
        self._watcher.start()
        self._keyring.start()
        if self._owns_process:
            _settle_down()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._daily is not None:
            await asyncio.to_thread(self._daily.close)
        await asyncio.to_thread(self._watcher.close)
        await asyncio.to_thread(self._keyring.close)
        for upstream in self._upstreams.values():
            await upstream.close()
        await asyncio.to_thread(self._site.close)
        await asyncio.to_thread(self.engine.close if self._owns_engine else self.engine.flush)
        await send({"type": "lifespan.shutdown.complete"})


def daily_reports_of(engine: Engine) -> DailyReports | None:
    """What writes a report a day, if the settings ask for it."""
    settings = engine.settings
    if settings.report_daily is None:
        return None
    from budget_proxy.analytics.daily import DailyReports

    return DailyReports(
        engine.store,
        at=settings.report_daily,
        zone=ZoneInfo(settings.time_zone),
        directory=(settings.report_directory or data_directory() / "reports").expanduser(),
        on_fault=engine.fault,
    )


def watcher_of(engine: Engine) -> Watcher:
    """What keeps the alerts of an engine's history up to date, and sends them as settings say.

    Raises ConfigError where the webhook's URL is none.
    """
    given, secret = engine.settings.alerts, engine.settings.alerts_secret
    return Watcher(
        engine.store,
        on_fault=engine.fault,
        post=webhook_of(given.webhook, secret),
        form=given.format,
        refusing=engine.core.ledger.refusing,
    )


def _is_ours(path: str) -> bool:
    return path.startswith(_OURS) or path == PREFIX


def _settle_down() -> None:
    """In a process of our own, have the garbage collector pass over what is loaded by now.

    Looking all of it through, the history and the tables, would hold up every stream at once,
    and the rows that are to be written: 110-150 ms with 1,000 calls under way. Nor is what calls
    leave looked through every second, as there is next to nothing that others do not free.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_SELDOM, *gc.get_threshold()[1:])


async def _refuse_socket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    if "websocket.http.response" in scope.get("extensions", {}):
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "websocket.http.response.start", "status": 501, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": _NO_SOCKETS.encode()})
    else:
        await send({"type": "websocket.close", "code": 1003, "reason": _NO_SOCKETS})
