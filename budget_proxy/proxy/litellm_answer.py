"""What LiteLLM answered or raised, as an answer of OpenAI's over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from budget_proxy.litellm.stream import DONE, event, told
from budget_proxy.proxy.headers import Headers
from budget_proxy.transport.payload import encoded
from budget_proxy.wire.openai_error import openai_error

_JSON: Final = (("content-type", "application/json"),)
_EVENTS: Final = (("content-type", "text/event-stream; charset=utf-8"),)
_OK: Final = 200
_BAD_REQUEST: Final = 400
_BAD_GATEWAY: Final = 502
_ERRORS: Final = range(400, 600)


class LiteLLMAnswer:
    """What LiteLLM answered, as the bytes of an answer over HTTP."""

    def __init__(self, answer: Any, status: int = _OK) -> None:
        """``answer`` is a response, a stream, or bytes."""
        self.status = status
        self._answer = answer
        self.headers: Headers = _EVENTS if hasattr(answer, "__anext__") else _JSON

    async def read(self) -> bytes:
        """The whole body."""
        if isinstance(self._answer, bytes):
            return self._answer
        return told(self._answer)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Where it breaks off, the last event says why, as OpenAI's would."""
        from budget_proxy.litellm.failure import KINDS

        try:
            async for chunk in self._answer:
                yield event(told(chunk))
        except KINDS as error:
            yield event(await failed(error).read())
        else:
            yield DONE

    async def close(self) -> None:
        """Let the connection go."""
        if hasattr(self._answer, "aclose"):
            await self._answer.aclose()


def refused(message: str, code: str, parameter: str) -> LiteLLMAnswer:
    """The answer to a call that is wrong in a parameter."""
    return _error(_BAD_REQUEST, message, code, parameter)


def failed(error: Exception) -> LiteLLMAnswer:
    """The answer that an error of LiteLLM's is; 502 where it names no status."""
    from budget_proxy.litellm.failure import said

    status: Any = getattr(error, "status_code", None)
    return _error(
        status if status in _ERRORS else _BAD_GATEWAY,
        said(error), getattr(error, "code", None), getattr(error, "param", None),
    )  # fmt: skip


def _error(status: int, message: str, code: Any, parameter: Any) -> LiteLLMAnswer:
    status, body = openai_error(status, message, str(code or "litellm_error"))
    body["error"]["param"] = parameter
    return LiteLLMAnswer(encoded(body), status)
