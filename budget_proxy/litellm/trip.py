"""One call's trip through the exchange, with LiteLLM in the place of an HTTP library.

Neither sync nor async: what is left to a driver is to call LiteLLM and to wait.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Final, Self

import litellm
from litellm import CustomStreamWrapper

from budget_proxy.errors import InvalidInput
from budget_proxy.litellm.arguments import Arguments, body_of, headers_of, without_ours, written
from budget_proxy.litellm.failure import lost
from budget_proxy.litellm.served import served
from budget_proxy.litellm.stream import relayed
from budget_proxy.transport.binding import Binding
from budget_proxy.transport.exchange import (
    Exchange,
    Failed,
    Headers,
    Relay,
    Reply,
    Request,
    Send,
    Unsent,
    exchange,
)
from budget_proxy.transport.guard import fail_open, noting
from budget_proxy.transport.payload import decoded, encoded
from budget_proxy.transport.steps import Steps
from budget_proxy.types import Body

_PATH: Final = "/v1/chat/completions"
_OK: Final = 200
_TOO_MANY: Final = 429


class Trip(Steps):
    """Steps whose Sends are calls of LiteLLM, answered by ``sent`` or in ``failing``.

    Used in a ``with``: a trip that is left before its end settles its call as cancelled.
    """

    def __init__(self, binding: Binding, arguments: Arguments) -> None:
        self.engine = binding.engine
        self._arguments = arguments
        self._body: Body = {}
        self.size = 0
        """Bytes of the request that was planned for."""
        self._response: Any = None
        self._error: Exception | None = None
        request: Request | None = None
        with fail_open(self.engine, "plan"):
            request = self._request(binding)
        super().__init__(_unplanned() if request is None else exchange(self.engine, request))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def error(self) -> Exception | None:
        """What the newest attempt raised."""
        return self._error

    @property
    def refusal(self) -> str | None:
        """Why nothing was sent; ``None`` if something was."""
        answered = self._response is not None or self._error is not None
        if answered or not isinstance(self.result, Reply):
            return None
        said: str = decoded(self.result.content or b"")["error"]["message"]
        return said

    def outgoing(self, send: Send) -> dict[str, Any]:
        """The arguments to call LiteLLM with."""
        with fail_open(self.engine, "encode"):
            after = decoded(send.content, exactly=True)
            return written(self._arguments, self._body, after)
        return without_ours(self._arguments)

    def failing(self) -> AbstractContextManager[None]:
        """Around calling LiteLLM: note what it raises, to be raised again at the end."""
        return noting(self.failed)

    def failed(self, error: Exception) -> None:
        """The newest attempt raised this."""
        self._error = error
        self.answer = _failure(error)

    def sent(self, response: Any) -> None:
        """What LiteLLM answered: a response, or a stream of which nothing was read."""
        self._response, self._error = response, None
        self.answer = Failed()
        with fail_open(self.engine, "settle"):
            self.answer = self._reply(response)

    def response(self) -> Any:
        """What the caller gets, or raise what LiteLLM raised.

        Raises InvalidInput where what was asked of the call is wrong, and LiteLLM's
        RateLimitError where a limit refuses it: then nothing was sent.
        """
        if self._error is not None:
            raise self._error
        refusal = self.refusal
        if refusal is not None:
            if isinstance(self.result, Reply) and self.result.status == _TOO_MANY:
                raise litellm.RateLimitError(
                    refusal, llm_provider="budget_proxy", model=str(self._body.get("model"))
                )
            raise InvalidInput(refusal)
        if isinstance(self.result, Relay):
            return relayed(self._response, self.result, self.engine)
        if isinstance(self.result, Reply):
            _headed(self._response, self.result.headers)
        return self._response

    def _request(self, binding: Binding) -> Request:
        arguments, settings = self._arguments, binding.engine.settings
        model, host = served(arguments, alias=settings.alias if settings.tiers else None)
        self._body = self._read(model)
        content = encoded(self._body)
        self.size = len(content)
        return binding.request(
            method="POST",
            host=host,
            path=_PATH,
            headers=self._headers(),
            content=content,
            timeout=_seconds(arguments.get("timeout")),
        )

    def _read(self, model: str) -> Body:
        return body_of(self._arguments, model)

    def _headers(self) -> list[tuple[str, str]]:
        return headers_of(self._arguments)

    def _told(self, response: Any) -> dict[str, Any]:
        told: dict[str, Any] = response.model_dump(mode="json", exclude_none=True)
        return told

    def _reply(self, response: Any) -> Reply | Unsent:
        if isinstance(response, CustomStreamWrapper):
            return Reply(_OK, (), None)
        hidden = getattr(response, "_hidden_params", None) or {}
        if hidden.get("cache_hit"):
            return Unsent()
        return Reply(_OK, (), encoded(self._told(response)))


def _headed(response: Any, headers: Headers) -> None:
    """Put what was decided where LiteLLM keeps an answer's headers, and its proxy finds them."""
    hidden = getattr(response, "_hidden_params", None)
    if isinstance(hidden, dict):
        hidden["additional_headers"] = {**(hidden.get("additional_headers") or {}), **dict(headers)}


def _unplanned() -> Exchange:
    """The exchange of a call that could not be read: it is made as it is."""
    yield Send(b"{}", ())
    return Unsent()


def _failure(error: Exception) -> Reply | Failed:
    """What an error of LiteLLM's says of the attempt."""
    status = getattr(error, "status_code", None)
    if isinstance(error, litellm.Timeout):
        return Failed(timeout=True)
    if not isinstance(status, int) or isinstance(error, litellm.APIConnectionError) or lost(error):
        return Failed()
    told = {"message": str(error), "param": getattr(error, "param", None)}
    return Reply(status, (), encoded({"error": told}))


def _seconds(timeout: Any) -> float | None:
    """A timeout in seconds, of a number or of an HTTP library's object."""
    seconds = getattr(timeout, "read", timeout)
    return float(seconds) if isinstance(seconds, int | float) else None
