"""A trip that LiteLLM itself makes: we are told of it by hooks, before and after."""

from __future__ import annotations

from typing import Any, Final

from budget_proxy.litellm.arguments import Arguments, budget_headers
from budget_proxy.litellm.trip import Trip
from budget_proxy.transport.binding import Binding
from budget_proxy.transport.exchange import Failed, Send, Unsent
from budget_proxy.types import Body
from budget_proxy.wire.value import mapping

_OF_THE_PROXY: Final = frozenset(
    {
        "acompletion", "litellm_call_id", "litellm_logging_obj", "litellm_metadata", "metadata",
        "proxy_server_request",
    }
)  # fmt: skip
"""What LiteLLM's proxy books a call by."""


class HookedTrip(Trip):
    """A Trip on the arguments that a hook was given; its streams are read when they are over."""

    def __init__(self, binding: Binding, arguments: Arguments) -> None:
        self._counted = bool(mapping(arguments.get("stream_options")).get("include_usage"))
        super().__init__(binding, arguments)

    def again(self, send: Send) -> dict[str, Any]:
        """The arguments for an attempt of our own, after LiteLLM's and not in its books."""
        arguments = self.outgoing(send)
        kept = {name: arguments[name] for name in arguments.keys() - _OF_THE_PROXY}
        return {**kept, "no-log": True}

    def unsent(self) -> None:
        """LiteLLM did not, or will not, send this."""
        self.answer = Unsent()

    def broke_off(self) -> None:
        """An answer that had begun did not end; what it cost is unknown."""
        self.answer = Failed(timeout=True)

    def _headers(self) -> list[tuple[str, str]]:
        """Those of the proxy's caller too, which LiteLLM does not send on."""
        request = mapping(self._arguments.get("proxy_server_request"))
        return [*super()._headers(), *budget_headers(request.get("headers"))]

    def _read(self, model: str) -> Body:
        """The body; its usage counts as asked for, since an extra chunk is not ours to remove."""
        body = super()._read(model)
        if body.get("stream") is True:
            options = mapping(body.get("stream_options"))
            body["stream_options"] = {**options, "include_usage": True}
        return body

    def _told(self, response: Any) -> dict[str, Any]:
        """The answer; a stream's usage that nobody asked for is LiteLLM's guess, and left out."""
        told = super()._told(response)
        if self._body.get("stream") is True and not self._counted:
            told.pop("usage", None)
        return told
