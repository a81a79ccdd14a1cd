"""What a client is bound to: an engine, and what goes without saying for its calls."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from budget_proxy.assemble import Engine
from budget_proxy.scope import current, merge, parse
from budget_proxy.store.sigterm import flush_on_sigterm
from budget_proxy.transport.exchange import Headers, Request
from budget_proxy.types import Mode, Override, Scope


class Ours(TypedDict, total=False):
    """What is taken besides what the SDKs take: see ``wrap``."""

    engine: Engine | None
    agent: str | None
    mode: Mode | None
    thinking: str | None
    effort: str | None


@dataclass(frozen=True, slots=True)
class Binding:
    """The engine of a client, and the scope and override of calls that say nothing else."""

    engine: Engine
    scope: Scope = Scope()
    override: Override = Override()

    def request(
        self,
        *,
        method: str,
        host: str,
        path: str,
        headers: Headers,
        content: bytes,
        timeout: float | None,
    ) -> Request:
        """A request of this client, made under the ``with budget(...)`` of this moment."""
        scope, override, calls = self.scope, self.override, None
        under = current()
        if under is not None:
            scope, override = merge(under.scope, scope), merge(under.override, override)
            calls = under.calls
        return Request(method, host, path, headers, content, timeout, scope, override, calls)


def bind(
    engine: Engine | None, settings: Mapping[str, Any], before: Binding | None = None
) -> Binding:
    """A Binding from ``settings``, in which ``None`` leaves what stood ``before``.

    Without any engine it is the one of the whole process. Raises InvalidInput on a wrong
    setting, and what Engine.open raises.
    """
    scope, override = parse(dict(settings))
    if before is None:
        return Binding(engine or default_engine(), scope, override)
    return Binding(
        engine or before.engine, merge(scope, before.scope), merge(override, before.override)
    )


_lock: Final = threading.Lock()
_default: Engine | None = None


def default_engine() -> Engine:
    """The engine of clients that were given none, opened by the settings when first needed.

    It lives as long as the process; its history is flushed at exit and, where nobody else
    handles that signal, on SIGTERM.
    """
    global _default  # noqa: PLW0603 (one engine a process is what the function is for)
    with _lock:
        if _default is None:
            _default = Engine.open()
            flush_on_sigterm()
        return _default
