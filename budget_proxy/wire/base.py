"""What a dialect knows of one provider API: read, write, strip, meter. No I/O.

Bodies stay plain dicts: unknown fields survive, and nothing here validates a provider's
schema. Provider spellings live in this package alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from budget_proxy.types import Body, Call, Capabilities, Outcome, Override, Patch, Scope, frozen

REFUSED: Final = "budget_exceeded"
"""The error code of a call that a hard limit of ours refuses."""


@frozen
class Context:
    """What comes in with a call besides its body.

    ``path`` (no query) names the model where a body does not.
    """

    call_id: str
    now: float
    host: str = ""
    scope: Scope = Scope()
    override: Override = Override()
    timeout: float | None = None
    signed: bool = False
    path: str = ""


@frozen
class Written:
    """A patched copy of a body, and the names of the parameters that we added or changed.

    ``patch`` is what was really written: its numbers are those now in the body by our doing,
    and what found no place in this body is empty in it.
    """

    body: Body
    added: tuple[str, ...]
    patch: Patch = Patch()


class Meter(Protocol):
    """Reads one streamed answer as it passes. Not reusable."""

    @property
    def done(self) -> bool:
        """Whether the provider said that the answer is over."""

    def feed(self, chunk: bytes) -> bytes:
        """Take bytes from the provider, return the bytes for the client.

        The same bytes, save the usage event that only we asked for. Bytes of an event that
        may have to be dropped are held until it is complete.
        """

    def close(self) -> bytes:
        """The provider's stream ended: return what is still held back."""

    def outcome(self, *, seconds: float | None = None, cancelled: bool = False) -> Outcome:
        """What was seen so far. Exact if the provider's own final usage was among it."""


class Dialect(Protocol):
    """One provider API."""

    api: str
    provider: str

    def read(self, body: Body, context: Context) -> Call:
        """A Call from a (stripped) body. Never raises: what is odd counts as absent."""

    def write(
        self, body: Mapping[str, Any], call: Call, patch: Patch, capabilities: Capabilities
    ) -> Written:
        """A copy of the body with the patch written in; the given body is never changed."""

    def read_outcome(self, payload: Any, *, seconds: float | None = None) -> Outcome:
        """The outcome of a plain answer, from its decoded JSON (any JSON, also a wrong one)."""

    def rejected(self, payload: Any, added: tuple[str, ...]) -> str | None:
        """Which of the parameters we added a decoded 400 answer complains of, if one."""

    def without(self, patch: Patch, rejected: str) -> Patch:
        """The patch with what that parameter carries blanked; an unknown name changes nothing."""

    def meter(self, *, drop_usage: bool) -> Meter:
        """A fresh meter for one stream; ``drop_usage`` where only we asked for usage."""

    def error(self, status: int, message: str, code: str) -> tuple[int, Body]:
        """An error body in the provider's own shape, and the status it goes with."""
