"""What LiteLLM's errors say: it wraps nearly everything, in classes that tell little.

A refused connection comes as an InternalServerError of some providers and as an
APIConnectionError of others, and so does a fault of LiteLLM's own, with its traceback in the
message. What was raised first tells them apart.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import httpx
import litellm
import openai

KINDS: Final[tuple[type[Exception], ...]] = (
    openai.OpenAIError,
    *(
        kind
        for kind in vars(litellm.exceptions).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
)
"""All that LiteLLM raises on purpose; not all of it derives from OpenAI's error."""
_TRACEBACK: Final = "Traceback (most recent call last)"


class Lost(NamedTuple):
    """A connection that failed: why, in the words of what was raised first."""

    reason: str
    connecting: bool
    """It was never made."""


def lost(error: Exception) -> Lost | None:
    """The connection's fault that an error comes from; ``None`` if it comes from none."""
    chain = _chain(error)
    for one in chain:
        if isinstance(one, httpx.TransportError):
            first = chain[-1]
            connecting = isinstance(one, httpx.ConnectError | httpx.ConnectTimeout)
            return Lost(str(first) or type(first).__name__, connecting)
    return None


def said(error: Exception) -> str:
    """An error's message, without a traceback; for a stream that broke, of what broke it."""
    message = str(getattr(error, "original_exception", None) or error)
    return message.partition(_TRACEBACK)[0].rstrip() or type(error).__name__


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it was raised from, and so on."""
    chain = [error]
    while (cause := _cause(chain[-1])) is not None and cause not in chain:
        chain.append(cause)
    return chain


def _cause(error: BaseException) -> BaseException | None:
    hidden = error.__suppress_context__
    return error.__cause__ if hidden or error.__cause__ else error.__context__
