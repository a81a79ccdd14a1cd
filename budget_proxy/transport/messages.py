"""What goes into an exchange, what it yields to its driver, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from budget_proxy.scope import CallReport
from budget_proxy.types import Override, Scope, Ticket

Headers = Sequence[tuple[str, str]]

_OK: Final = 200
_EVENTS: Final = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request. ``scope`` and ``override`` are what goes without saying for it.

    Precedence: the body's ``budget`` key, then ``x-budget-*`` headers, then these.
    ``calls`` receives a report of each attempt. A body of more than ``limit`` bytes, unpacked,
    is refused; without a limit one that is too long to be read passes as it came.
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
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Send this upstream: our headers are removed, length and host are the driver's.

    Where it is not ``metered`` nobody here reads the answer: a driver may hand it on as it comes.
    ``streamed`` says that it asks for a stream.
    """

    content: bytes
    headers: Headers
    metered: bool = True
    streamed: bool = False

    def is_relayed(self, status: int, content_type: str | None) -> bool:
        """Whether an answer is events, to be relayed as they come.

        Some hosts name no type, or another than that of events, and the SDKs do not look at it:
        where a stream was asked for all but JSON is one.
        """
        kind = (content_type or "").lower()
        events = kind.startswith(_EVENTS) or (self.streamed and "json" not in kind)
        return status == _OK and events


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


@dataclass(frozen=True, slots=True)
class Unsent:
    """The driver did not send this: it has no way to, or an answer without it."""
